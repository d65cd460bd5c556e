"""The CLIP image tower against open_clip's own transform and encoder."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import NoReturn

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from pipeline.arrays import Pixels
from tests.standins.tiny_encoders import CLIP_SIDE, write_clip
from training.encoders.clip import ClipEncoder, ClipError, load_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> ClipEncoder:
    return load_clip(folder)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def smooth_picture(side: int) -> Pixels:
    rows, columns = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(2 * np.pi * (k * rows + columns)) for k in (1, 2, 3)]
    return np.uint8(np.stack(waves, axis=-1) * 100 + 128)


def test_equals_open_clips_own_transform_and_encoder(folder: Path, encoder: ClipEncoder) -> None:
    picture = smooth_picture(80)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    with torch.no_grad():
        prepared = transform(Image.fromarray(picture))[None]
        expected = model.eval().encode_image(prepared, normalize=True)
        x = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
        # Pillow rounds the resized picture to 8 bits; std 0.26 stretches that half step.
        assert (encoder.prepare(x) - prepared).abs().max() < 1.5 / 255 / 0.26
        assert torch.allclose(encoder.image(x), expected, atol=5e-3)


def test_gradient_reaches_every_pixel_even_of_blank_paper(encoder: ClipEncoder) -> None:
    paper = torch.ones(2, 1, 48, 48, requires_grad=True)
    encoder.image(paper)[:, 0].sum().backward()
    assert paper.grad.isfinite().all()
    assert (paper.grad != 0).float().mean() > 0.95


def test_embeddings_have_unit_length_and_weights_are_frozen(encoder: ClipEncoder) -> None:
    x = torch.rand(3, 3, CLIP_SIDE, CLIP_SIDE)
    assert torch.allclose(encoder.image(x).norm(dim=-1), torch.ones(3), atol=1e-6)
    assert not torch.allclose(encoder.features(x).norm(dim=-1), torch.ones(3), atol=1e-2)
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not encoder.train().training and encoder.label == "embedded"


def test_grey_equals_three_equal_channels(encoder: ClipEncoder) -> None:
    x = torch.rand(1, 1, 40, 40)
    assert torch.allclose(encoder.image(x), encoder.image(x.repeat(1, 3, 1, 1)), atol=1e-6)


def test_a_named_model_reads_a_weight_file(
    folder: Path, encoder: ClipEncoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    config_path = tmp_path / "tiny-test-clip.json"
    config_path.write_text(json.dumps(config))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", [config_path])
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {"tiny-test-clip": config})
    named = load_clip(f"tiny-test-clip:{folder / 'open_clip_model.safetensors'}")
    assert named.label == "real: tiny-test-clip"
    assert torch.equal(named.visual.conv1.weight, encoder.visual.conv1.weight)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("nowhere", "no such folder"),
        ("ViT-B-32:laion2b_s34b_b79k", "hf download laion/CLIP-ViT-B-32"),
        ("ViT-B-32:lost.safetensors", "neither a file nor a tag"),
        ("ViT-Z-99:x", "unknown CLIP model"),
        ("roberta-ViT-B-32:x", "Hugging Face text tower"),
    ],
)
def test_what_is_missing_is_named(
    location: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.encoders.clip.try_to_load_from_cache", lambda *args: None)
    with pytest.raises(ClipError, match=said):
        load_clip(location)


def test_a_folder_without_weights_names_the_file(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "open_clip_config.json", tmp_path)
    with pytest.raises(ClipError, match=r"lacks open_clip_model\.safetensors"):
        load_clip(tmp_path)


def test_weights_of_another_width_are_refused(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 12
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    shutil.copy(folder / "open_clip_model.safetensors", tmp_path)
    with pytest.raises(ClipError, match="do not fit"):
        load_clip(tmp_path)


def test_wrong_number_of_channels_is_refused(encoder: ClipEncoder) -> None:
    with pytest.raises(ValueError, match="1 or 3"):
        encoder.image(torch.rand(1, 2, 32, 32))
