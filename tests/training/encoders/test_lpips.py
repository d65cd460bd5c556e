"""The perceptual distance against the lpips package."""

from __future__ import annotations

from pathlib import Path

import lpips
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.standins.tiny_encoders import random_trunk, write_perceptual
from training.encoders.lpips import Perceptual, PerceptualError, load_perceptual


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_perceptual(tmp_path_factory.mktemp("perceptual"))


@pytest.fixture(scope="module")
def perceptual(folder: Path) -> Perceptual:
    return load_perceptual(folder)


def picture(seed: int, channels: int = 3, side: int = 48) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, channels, side, side, generator=generator) * 2 - 1


@pytest.mark.filterwarnings("ignore")
def test_equals_the_lpips_package(folder: Path, perceptual: Perceptual) -> None:
    reference = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False).eval()
    weights = load_file(folder / "model.safetensors")
    slices = [
        reference.net.slice1,
        reference.net.slice2,
        reference.net.slice3,
        reference.net.slice4,
        reference.net.slice5,
    ]
    with torch.no_grad():
        for layers in slices:
            for number, layer in layers.named_children():
                if hasattr(layer, "weight"):
                    layer.weight.copy_(weights[f"features.{number}.weight"])
                    layer.bias.copy_(weights[f"features.{number}.bias"])
        for k, head in enumerate(reference.lins):
            head.model[-1].weight.copy_(weights[f"lin{k}.weight"])
        a, b = picture(1), picture(2)
        assert torch.allclose(perceptual.distance(a, b), reference(a, b).flatten(), rtol=1e-5)


def test_is_a_distance_of_equal_pictures_zero_and_symmetric(perceptual: Perceptual) -> None:
    a, b = picture(1), picture(2)
    assert torch.equal(perceptual.distance(a, a), torch.zeros(2))
    assert torch.allclose(perceptual.distance(a, b), perceptual.distance(b, a))
    assert (perceptual.distance(a, b) > 0).all()


def test_grey_is_repeated_and_slices_are_five(perceptual: Perceptual) -> None:
    a, b = picture(1, channels=1), picture(2, channels=1)
    three = perceptual.distance(a.repeat(1, 3, 1, 1), b.repeat(1, 3, 1, 1))
    assert torch.allclose(perceptual.distance(a, b), three)
    assert [f.shape[1] for f in perceptual.slices(a)] == [64, 192, 384, 256, 256]


def test_gradient_reaches_the_picture_but_not_the_weights(perceptual: Perceptual) -> None:
    a = picture(1).requires_grad_()
    perceptual.distance(a, picture(2)).sum().backward()
    assert a.grad.abs().sum() > 0 and a.grad.isfinite().all()
    assert not any(p.requires_grad for p in perceptual.parameters())


def test_silent_features_do_not_poison_the_gradient(tmp_path: Path) -> None:
    folder = write_perceptual(tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["features.10.bias"] -= 1e6  # the last stage's ReLU never opens
    save_file(weights, folder / "model.safetensors")
    a = picture(1).requires_grad_()
    load_perceptual(folder).distance(a, picture(2)).sum().backward()
    assert a.grad.isfinite().all()


def test_without_heads_slices_count_equally(tmp_path: Path) -> None:
    network = load_perceptual(write_perceptual(tmp_path, heads=False))
    a, b = picture(1), picture(2)
    expected = torch.zeros(2)
    for x, y in zip(network.slices(a), network.slices(b), strict=True):
        cosine = torch.nn.functional.cosine_similarity(x, y, dim=1)
        both_silent = (x.norm(dim=1) == 0) & (y.norm(dim=1) == 0)
        one_silent = (x.norm(dim=1) == 0) ^ (y.norm(dim=1) == 0)
        squared = torch.where(both_silent, 0.0, torch.where(one_silent, 1.0, 2 - 2 * cosine))
        expected += squared.mean(dim=(1, 2)) / 5
    assert torch.allclose(network.distance(a, b), expected, rtol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_a_real_trunk_takes_the_packages_calibrated_heads(tmp_path: Path) -> None:
    path = tmp_path / "alexnet.pth"
    torch.save(random_trunk(3), path)
    network = load_perceptual(f"alex:{path}")
    assert network.label == "real: alex"
    assert torch.equal(network.network.net.slice1[0].weight, random_trunk(3)["features.0.weight"])
    calibrated = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).lin0.model[1].weight
    assert torch.equal(network.network.lin0.model[1].weight, calibrated)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("nowhere", "no such folder"),
        ("alex:lost.pth", r"looked for lost\.pth"),
        ("vgg", r"vgg16-397923af\.pth.*vgg:FILE"),
    ],
)
def test_what_is_missing_is_named(
    location: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(PerceptualError, match=said):
        load_perceptual(location)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.pth"
    file.write_text("not weights")
    with pytest.raises(PerceptualError, match="cannot be read"):
        load_perceptual(f"alex:{file}")
    folder = write_perceptual(tmp_path / "cut")
    weights = load_file(folder / "model.safetensors")
    del weights["features.8.bias"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(PerceptualError, match=r"8\.bias, found nothing"):
        load_perceptual(folder)
    (folder / "config.json").unlink()
    with pytest.raises(PerceptualError, match=r"lacks config\.json"):
        load_perceptual(folder)


def test_pictures_that_are_too_small_are_refused(perceptual: Perceptual) -> None:
    with pytest.raises(ValueError, match="at least 32"):
        perceptual.slices(torch.zeros(1, 3, 16, 64))
