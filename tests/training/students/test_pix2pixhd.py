"""Pix2PixHD against its description, written out operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.encoders.features import SLICE_WEIGHTS
from training.students.pix2pixhd import PRESETS, Pix2PixHD
from training.students.pix2pixhd_discriminators import DiscriminatorConfig, MultiScaleDiscriminators
from training.students.pix2pixhd_generator import GeneratorConfig, GlobalGenerator
from training.students.student import Batch


class Halves:
    """A feature network of five halvings, with nothing learned."""

    label = "halves"

    def slices(self, x: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(x, 2**k) for k in range(5)]


def num_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def make_batch(side: int = 32, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 3, side, side, generator=generator) * 2 - 1
    return Batch(images, images.mean(dim=1, keepdim=True).sign())


@pytest.mark.parametrize(
    ("preset", "generator", "discriminators"),
    [
        ("paper", 182_436_993, 5_531_522),
        ("medium", 7_862_081, 1_389_506),
        ("small", 1_082_529, 350_690),
    ],
)
def test_numbers_of_parameters(preset: str, generator: int, discriminators: int) -> None:
    with torch.device("meta"):
        student = Pix2PixHD(PRESETS[preset](), Halves())
    assert num_parameters(student.generator) == generator
    assert num_parameters(student.discriminators) == discriminators


def literal_generator(
    state: Mapping[str, Tensor], x: Tensor, downs: int, blocks: int, resize: bool = False
) -> Tensor:
    """The description of Wang et al. (3.1) and method.md section 6, operation by operation."""
    weights = iter(state.values())

    def take() -> tuple[Tensor, Tensor]:
        return next(weights), next(weights)

    def norm(y: Tensor) -> Tensor:
        mean, variance = y.mean((2, 3), keepdim=True), y.var((2, 3), keepdim=True, correction=0)
        return (y - mean) / (variance + 1e-5).sqrt()

    def reflected(y: Tensor, pad: int) -> Tensor:
        return F.conv2d(F.pad(y, [pad] * 4, mode="reflect"), *take())

    x = norm(reflected(x, 3)).clamp(min=0)
    for _ in range(downs):
        padded = F.pad(x, [1] * 4, mode="reflect" if resize else "constant")
        x = norm(F.conv2d(padded, *take(), stride=2)).clamp(min=0)
    for _ in range(blocks):
        inner = norm(reflected(x, 1)).clamp(min=0)
        x = x + norm(reflected(inner, 1))
    for _ in range(downs):
        if resize:
            x = reflected(x.repeat_interleave(2, 2).repeat_interleave(2, 3), 1)
        else:
            x = F.conv_transpose2d(x, *take(), stride=2, padding=1, output_padding=1)
        x = norm(x).clamp(min=0)
    return reflected(x, 3).tanh()


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_the_generator_is_the_one_described(upsampling: Literal["transposed", "resize"]) -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(width=4, downs=2, blocks=2, upsampling=upsampling)
    network = GlobalGenerator(config).double()
    x = torch.rand(1, 3, 24, 16).double() * 2 - 1
    expected = literal_generator(
        network.state_dict(), x, downs=2, blocks=2, resize=upsampling == "resize"
    )
    assert network(x).shape == (1, 1, 24, 16)
    torch.testing.assert_close(network(x), expected, atol=1e-9, rtol=1e-7)


def test_an_extractor_of_before_opens_as_published() -> None:
    network = Pix2PixHD.network_from({"width": 4, "downs": 1, "blocks": 1})
    assert any(isinstance(layer, nn.ConvTranspose2d) for layer in network.modules())


def literal_discriminators(
    state: Mapping[str, Tensor], images: Tensor, sketches: Tensor
) -> list[list[Tensor]]:
    """The description of Wang et al. (3.2) with three strided layers and two scales."""
    weights = iter(state.values())
    x, found = torch.cat([images, sketches], 1), []
    for scale in range(2):
        if scale:
            # Means over the windows' pixels that exist: padding does not count.
            ones = torch.ones_like(x[:1, :1])
            sums = F.avg_pool2d(x, 3, 2, 1, divisor_override=1)
            x = sums / F.avg_pool2d(ones, 3, 2, 1, divisor_override=1)
        y, maps = x, []
        for stage, stride in enumerate((2, 2, 2, 1, 1)):
            y = F.conv2d(y, next(weights), next(weights), stride, padding=2)
            if 0 < stage < 4:
                mean, variance = y.mean((2, 3), True), y.var((2, 3), correction=0, keepdim=True)
                y = (y - mean) / (variance + 1e-5).sqrt()
            if stage < 4:
                y = torch.where(y > 0, y, 0.2 * y)
            maps.append(y)
        found.append(maps)
    return found


def test_the_discriminators_are_those_described() -> None:
    torch.manual_seed(0)
    network = MultiScaleDiscriminators(DiscriminatorConfig(width=4)).double()
    batch = make_batch(64)
    images, sketches = batch.images.double(), batch.sketches.double()
    expected = literal_discriminators(network.state_dict(), images, sketches)
    for scale, literal in zip(network(images, sketches), expected, strict=True):
        for ours, theirs in zip(scale, literal, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-7)


def test_both_phases_learn_by_the_paper_s_adam() -> None:
    with torch.device("meta"):
        student = Pix2PixHD(PRESETS["small"](), Halves())
    # Wang et al., 3.1 and appendix: beta1 0.5.
    assert [phase.betas for phase in student.phases()] == [(0.5, 0.999)] * 2


def test_discriminators_see_both_pictures_at_both_scales() -> None:
    torch.manual_seed(0)
    network = MultiScaleDiscriminators(DiscriminatorConfig(width=4))
    batch = make_batch(64)
    maps = network(batch.images, batch.sketches)
    assert [[m.shape[1] for m in scale] for scale in maps] == [[4, 8, 16, 32, 1]] * 2
    # Kernels of 4 with padding 2 give n / 2 + 1 at stride 2 and n + 1 at stride 1.
    assert [[m.shape[-1] for m in scale] for scale in maps] == [
        [33, 17, 9, 10, 11],
        [17, 9, 5, 6, 7],
    ]
    blank = network(batch.images, torch.ones_like(batch.sketches))
    grey = network(torch.zeros_like(batch.images), batch.sketches)
    for scale in range(2):
        assert not torch.allclose(maps[scale][-1], blank[scale][-1])
        assert not torch.allclose(maps[scale][-1], grey[scale][-1])


def test_losses_are_the_weighted_terms_of_the_paper() -> None:
    torch.manual_seed(0)
    student, batch = Pix2PixHD.create("small", Halves()), make_batch()
    terms = student.losses("generator", batch)
    drawn = student.generator(batch.images)
    fake = student.discriminators(batch.images, drawn)
    real = student.discriminators(batch.images, batch.sketches)
    adversarial = sum((scale[-1] - 1).square().mean() for scale in fake)
    # Wang et al., eq. 3: a sum over the maps in front of the scores; a mean over the two scales.
    matching = (
        sum(
            (a - b).abs().mean()
            for s in range(2)
            for a, b in zip(fake[s][:-1], real[s][:-1], strict=True)
        )
        / 2
    )
    slices = zip(
        SLICE_WEIGHTS, Halves().slices(drawn), Halves().slices(batch.sketches), strict=True
    )
    perceptual = sum(weight * (a - b).abs().mean() for weight, a, b in slices)
    torch.testing.assert_close(terms["adversarial"], adversarial)
    torch.testing.assert_close(terms["matching"], 10 * matching)
    torch.testing.assert_close(terms["perceptual"], 10 * perceptual)

    terms = student.losses("discriminators", batch)
    torch.testing.assert_close(terms["fake"], 0.5 * sum(s[-1].square().mean() for s in fake))
    torch.testing.assert_close(terms["real"], 0.5 * sum((s[-1] - 1).square().mean() for s in real))


def test_nothing_flows_from_one_phase_into_the_other() -> None:
    torch.manual_seed(0)
    student, batch = Pix2PixHD.create("small", Halves()), make_batch()
    student.discriminators.requires_grad_(False)
    sum(student.losses("generator", batch).values()).backward()
    assert all(p.grad is None for p in student.discriminators.parameters())
    student.generator.zero_grad()
    student.discriminators.requires_grad_(True)
    sum(student.losses("discriminators", batch).values()).backward()
    assert all(p.grad is None for p in student.generator.parameters())


def test_all_that_can_matter_receives_gradient() -> None:
    torch.manual_seed(0)
    student, batch = Pix2PixHD.create("small", Halves()), make_batch()
    sum(student.losses("generator", batch).values()).backward()
    student.discriminators.zero_grad()
    sum(student.losses("discriminators", batch).values()).backward()
    for phase in student.phases():
        for name, parameter in phase.module.named_parameters():
            assert parameter.grad is not None, name
            # A bias in front of an instance norm without affine is undone by it.
            assert name.endswith("bias") or parameter.grad.abs().max() > 0, name


def test_weights_start_narrow() -> None:
    torch.manual_seed(0)
    network = GlobalGenerator(GeneratorConfig(width=32, downs=1, blocks=1))
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert all(abs(w.std().item() - 0.02) < 0.002 for w in weights)


@pytest.mark.parametrize("wrong", [{"preset": "huge"}, {"phase": "encoder"}])
def test_unknown_names_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        student = Pix2PixHD.create(wrong.get("preset", "small"), Halves())
        student.losses(wrong["phase"], make_batch())


@pytest.mark.parametrize(("preset", "radius"), [("small", 68), ("medium", 116)])
def test_how_far_a_pixel_of_the_drawing_looks(preset: str, radius: int) -> None:
    """By gradients of one pixel, through the layers without norms, which look everywhere."""
    network = PRESETS[preset]().generator
    layers = GlobalGenerator(replace(network, width=1)).double()
    for module in list(layers.modules()):
        for child, layer in module.named_children():
            if isinstance(layer, nn.InstanceNorm2d | nn.ReLU):
                setattr(module, child, nn.Identity())
    for parameter in layers.parameters():
        nn.init.ones_(parameter)
    x = torch.zeros(1, 3, 512, 512, dtype=torch.float64, requires_grad=True)
    layers.layers[:-1](x)[0, 0, 255, 255].backward()
    assert x.grad is not None
    touched = x.grad[0].abs().sum(0).nonzero()
    reach = max(255 - int(touched.min()), int(touched.max()) - 255)
    assert radius - 4 <= reach <= radius + 8  # halvings and doublings shift it by their grid
