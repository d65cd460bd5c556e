"""Feature networks: VGG-19 against torchvision's own activations."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from tests.standins.tiny_encoders import write_perceptual
from training.encoders.features import VGG19_SLICE_ENDS, feature_distance, load_features
from training.encoders.lpips import PerceptualError

Vgg19File = tuple[Path, dict[str, Tensor]]  # where the weights are, and what they are


@pytest.fixture(scope="module")
def vgg19_file(tmp_path_factory: pytest.TempPathFactory) -> Vgg19File:
    """Random weights under torchvision's names, of the trunk alone."""
    with torch.device("meta"):
        shapes = torchvision.models.vgg19().features.state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {
        f"features.{name}": torch.randn(t.shape, generator=generator) * 0.05
        for name, t in shapes.items()
    }
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    save_file(state, path)
    return path, state


def test_vgg19_slices_are_torchvisions_activations(vgg19_file: Vgg19File) -> None:
    path, state = vgg19_file
    network = load_features(f"vgg19:{path}")
    x = torch.rand(1, 1, 32, 32) * 2 - 1
    with torch.device("meta"):
        reference = torchvision.models.vgg19().features
    reference.load_state_dict(
        {k.removeprefix("features."): t for k, t in state.items()}, assign=True
    )
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    picture = ((x.repeat(1, 3, 1, 1) + 1) / 2 - mean) / std
    slices = network.slices(x)
    assert [s.shape[1] for s in slices] == [64, 128, 256, 512, 512]
    with torch.no_grad():
        for end, found in zip(VGG19_SLICE_ENDS, slices, strict=True):
            torch.testing.assert_close(found, reference[:end](picture))
    assert not any(p.requires_grad for p in network.parameters())


def test_a_perceptual_network_serves_as_well(tmp_path: Path) -> None:
    network = load_features(write_perceptual(tmp_path / "perceptual"))
    assert len(network.slices(torch.zeros(1, 1, 32, 32))) == 5


def test_distance_weighs_coarse_slices_most() -> None:
    zeros, ones = torch.zeros(1, 2, 4, 4, requires_grad=True), torch.ones(1, 2, 4, 4)
    weights = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1]
    for k, weight in enumerate(weights):
        true = [ones if i == k else torch.zeros(1, 2, 4, 4) for i in range(5)]
        assert feature_distance([zeros] * 5, true).item() == pytest.approx(weight)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist.*vgg19:FILE"), (b"no weights", "cannot be read as weights")],
)
def test_unusable_files_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "vgg19.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PerceptualError, match=message):
        load_features(f"vgg19:{path}")


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(PerceptualError, match=r"is not a state dict of torchvision's VGG-19"):
        load_features(f"vgg19:{tmp_path / 'other.safetensors'}")
