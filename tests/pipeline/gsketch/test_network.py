"""G_sketch computes the equations, uses all that it is given, and all of it learns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.taps import Taps, TapShapes
from pipeline.gsketch.aggregation import groups_of
from pipeline.gsketch.network import GSketch, GSketchConfig
from tests.pipeline.gsketch import literal_gsketch

STEPS = (0, 3, 8)


def shapes_of(backbone: Backbone, branches: int = 2) -> TapShapes:
    return TapShapes.of(backbone, branches)


def make(
    shapes: TapShapes, *, vae_features: bool = True, timesteps: tuple[int, ...] = STEPS
) -> GSketch:
    torch.manual_seed(0)
    generator = GSketch(GSketchConfig(shapes, timesteps, vae_features))
    with torch.no_grad():  # away from the symmetric start, where wrong weights would not show
        for parameter in generator.parameters():
            parameter.add_(
                0.3 * torch.randn_like(parameter) * (parameter.std(unbiased=False) + 0.5)
            )
    return generator


def features(
    shapes: TapShapes, count: int = 2, steps: tuple[int, ...] = STEPS
) -> tuple[Taps, Tensor]:
    random = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    unet = {t: [draw(count, shapes.branches, *s) for s in shapes.unet] for t in steps}
    vae = [draw(count, *s) for s in shapes.vae]
    size = shapes.image_size
    return Taps(unet, vae), draw(count, 3, size, size).clamp(-1, 1)


@pytest.mark.parametrize("branches", [1, 2])
@pytest.mark.parametrize("vae_features", [True, False])
def test_equals_the_equations_written_out(
    backbone: Backbone, branches: int, vae_features: bool
) -> None:
    shapes = shapes_of(backbone, branches)
    generator = make(shapes, vae_features=vae_features).double()
    taps, images = features(shapes)
    taps, images = taps.to("cpu", torch.float64), images.double()
    with torch.no_grad():
        ours = generator(taps, images)
        expected = literal_gsketch.draw(generator, taps, images)
    assert ours.shape == (2, 1, 64, 64)
    assert ours.std() > 0.05
    assert (ours - expected).abs().max() < 1e-9
    with torch.no_grad():
        single = generator.float()(taps.to("cpu", torch.float32), images.float())
    assert (single - expected).abs().max() < 1e-5


def test_streaming_equals_all_at_once(backbone: Backbone) -> None:
    shapes = shapes_of(backbone)
    aggregation = make(shapes).aggregation
    taps, _ = features(shapes)
    with torch.no_grad():
        together = aggregation(taps.unet)
        sums = None
        for t in (8, 0, 3):  # any order
            sums = aggregation.accumulate({t: taps.unet[t]}, sums)
        assert sums is not None
        streamed = aggregation.finish(sums)
    assert (streamed - together).abs().max() < 1e-5


def test_half_precision_stays_near(backbone: Backbone) -> None:
    shapes = shapes_of(backbone)
    generator = make(shapes)
    taps, images = features(shapes)
    with torch.no_grad():
        exact = generator(taps, images)
        half = generator.bfloat16()(taps.to("cpu", torch.bfloat16), images.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).abs().mean() < 0.02


def test_every_parameter_learns(backbone: Backbone) -> None:
    shapes = shapes_of(backbone)
    generator = make(shapes)
    taps, images = features(shapes)
    generator(taps, images).square().mean().backward()
    still = [
        name
        for name, parameter in generator.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert not still
    assert sum(p.numel() for p in generator.parameters()) == sum(
        x.numel() for x in generator.state_dict().values()
    )


def test_every_input_matters(backbone: Backbone) -> None:
    shapes = shapes_of(backbone)
    generator = make(shapes)
    taps, images = features(shapes)
    tracked = taps.map(lambda x: x.requires_grad_(True))
    images.requires_grad_(True)
    generator(tracked, images).square().sum().backward()
    for t, layers in tracked.unet.items():
        for layer, f in enumerate(layers):
            for branch in range(2):
                assert f.grad is not None
                assert f.grad[:, branch].abs().max() > 0, (t, layer, branch)
    for n, v in enumerate(tracked.vae):
        assert v.grad is not None and v.grad.abs().max() > 0, n
    assert images.grad is not None and images.grad.abs().max() > 0


@pytest.mark.parametrize("layer", range(12))
def test_every_layer_and_step_changes_the_sketch(backbone: Backbone, layer: int) -> None:
    shapes = shapes_of(backbone)
    generator = make(shapes)
    taps, images = features(shapes, count=1)
    with torch.no_grad():
        before = generator(taps, images)
        for t in STEPS:
            changed = {s: list(layers) for s, layers in taps.unet.items()}
            changed[t][layer] = -changed[t][layer]
            assert (generator(Taps(changed, taps.vae), images) - before).abs().max() > 1e-7


def test_weights_are_two_softmaxes(backbone: Backbone) -> None:
    aggregation = make(shapes_of(backbone), timesteps=tuple(range(13))).aggregation
    w, parts = aggregation.weights()
    assert w[:9].sum().item() == pytest.approx(1)
    assert (w[9:].sum() + parts.sum()).item() == pytest.approx(1)
    assert w[9:].numel() + parts.numel() == 42


def test_further_steps_are_ignored_and_missing_ones_named(backbone: Backbone) -> None:
    shapes = shapes_of(backbone)
    generator = make(shapes)
    taps, images = features(shapes, steps=(0, 1, 3, 8, 20))
    chosen = Taps({t: taps.unet[t] for t in (8, 3, 0)}, taps.vae)
    with torch.no_grad():
        assert torch.equal(generator(taps, images), generator(chosen, images))
    with pytest.raises(ValueError, match=r"\[8\] are missing"):
        generator(Taps({0: taps.unet[0], 3: taps.unet[3]}, taps.vae), images)


def test_without_vae_features_only_image_and_unet_are_seen(backbone: Backbone) -> None:
    shapes = shapes_of(backbone)
    generator = make(shapes, vae_features=False)
    taps, images = features(shapes)
    with torch.no_grad():
        assert torch.equal(generator(taps, images), generator(Taps(taps.unet), images))
        assert not torch.equal(generator(taps, images), generator(taps, -images))


def stable_diffusion_shapes() -> TapShapes:
    unet = [(1280, 8, 8)] * 3 + [(1280, 16, 16)] * 3 + [(640, 32, 32)] * 3 + [(320, 64, 64)] * 3
    vae = (
        [(512, 64, 64)] * 5 + [(512, 128, 128)] * 3 + [(256, 256, 256)] * 3 + [(128, 512, 512)] * 3
    )
    return TapShapes(tuple(unet), tuple(vae), first_level=9, image_size=512, branches=2)


def test_widths_at_stable_diffusions_size() -> None:
    with torch.device("meta"):
        generator = GSketch(GSketchConfig(stable_diffusion_shapes(), tuple(range(13))))
    aggregation, decoder = generator.aggregation, generator.decoder
    assert aggregation.out_channels == 2 * 384
    assert [b.expand.out_channels for b in aggregation.bottlenecks] == [960] * 9 + [384] * 3
    assert [b.expand.in_channels for b in aggregation.bottlenecks] == [240] * 9 + [96] * 3
    assert [r.reduce.out_channels for r in decoder.reductions] == [16] * 8 + [8] * 6
    assert [f.conv.out_channels for f in decoder.fusions] == [256, 128, 64]
    assert [f.conv.in_channels for f in decoder.fusions] == [768 + 80, 256 + 48, 128 + 24]
    assert decoder.output.conv.in_channels == 64 + 24 + 3
    first_level = sum(p.numel() for b in aggregation.bottlenecks[:9] for p in b.parameters())
    assert 18.0e6 < first_level < 18.6e6  # the part that never learns in the public code
    assert sum(p.numel() for p in generator.parameters()) < 22.5e6


def test_groups_divide_every_width() -> None:
    assert [groups_of(c) for c in (1, 8, 16, 80, 96, 240, 384, 960)] == [
        1,
        2,
        4,
        20,
        24,
        30,
        32,
        32,
    ]
    assert all(c % groups_of(c) == 0 for c in range(1, 400))


def test_save_and_load(backbone: Backbone, tmp_path: Path) -> None:
    shapes = shapes_of(backbone)
    generator = make(shapes)
    generator.save(tmp_path)
    again = GSketch.load(tmp_path)
    assert again.config == generator.config
    taps, images = features(shapes)
    with torch.no_grad():
        assert torch.equal(again(taps, images), generator(taps, images))
    assert not any(p.requires_grad for p in again.parameters())


def test_unusable_files_are_refused(backbone: Backbone, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        GSketch.load(tmp_path)
    make(shapes_of(backbone)).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"timesteps": [0]}))
    with pytest.raises(ValueError, match="not a usable G_sketch"):
        GSketch.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="not a usable G_sketch"):
        GSketch.load(tmp_path)
