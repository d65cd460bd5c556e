"""Inception features: of the file that was given, and of no other."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import inception_v3

from pipeline.arrays import Pixels
from training.encoders.inception import FEATURES, InceptionError, load_inception


class Script(torch.nn.Module):
    """Takes what the 2015 TorchScript network takes; its features are easy to foresee."""

    def forward(self, pictures: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        assert pictures.dtype == torch.uint8
        return pictures.float().mean((1, 2, 3))[:, None] * torch.ones(2048)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        network = inception_v3(weights=None, init_weights=False, aux_logits=True).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):  # features would vanish on 94 layers' way
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        return network


@pytest.fixture(scope="module")
def files(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inception")
    save_file(network.state_dict(), folder / "inception.safetensors")
    torch.save(network.state_dict(), folder / "inception.pth")
    return folder


def drawings() -> list[Pixels]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, size=size, dtype=np.uint8) for size in ((40, 48), (299, 299))]


def test_features_are_what_torchvisions_classifier_sees(network: nn.Module, files: Path) -> None:
    seen = []
    handle = network.fc.register_forward_hook(lambda module, args, out: seen.append(args[0]))
    drawing = torch.tensor(drawings()[1]).expand(1, 3, -1, -1) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        network((drawing - mean[:, None, None]) / std[:, None, None])
    handle.remove()
    found = [load_inception(files / f"inception.{kind}") for kind in ("safetensors", "pth")]
    described = [inception.features(drawings()) for inception in found]
    assert described[0].shape == (2, FEATURES)
    assert np.array_equal(*described)
    expected = seen[0][0].numpy()
    assert expected.std() > 0.01
    assert np.allclose(described[0][1], expected, rtol=1e-3, atol=1e-3 * expected.std())
    assert found[0].label.startswith("torchvision: inception.safetensors ")


def test_torchscript_of_the_2015_network(tmp_path: Path) -> None:
    torch.jit.script(Script()).save(str(tmp_path / "inception.pt"))
    inception = load_inception(tmp_path / "inception.pt")
    assert inception.label.startswith("torchscript: inception.pt ")
    described = inception.features(drawings())
    assert described[:, 7] == pytest.approx([drawing.mean() for drawing in drawings()], rel=1e-5)


def test_other_files_are_refused(files: Path, network: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(InceptionError, match=r"no such file.*inception_v3\(weights="):
        load_inception(tmp_path / "lost.pth")
    (tmp_path / "notes.pth").write_text("not weights")
    with pytest.raises(InceptionError, match="cannot be read"):
        load_inception(tmp_path / "notes.pth")
    state = network.state_dict()
    torch.save({key: state[key] for key in state if "_1a_" in key}, tmp_path / "cut.pth")
    with pytest.raises(InceptionError, match="such as Conv2d_2a"):
        load_inception(tmp_path / "cut.pth")
    with pytest.raises(ValueError, match="uint8"):
        load_inception(files / "inception.pth").features([np.zeros((40, 40))])
