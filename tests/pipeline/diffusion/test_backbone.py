"""Backbones load frozen and whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file

from pipeline.diffusion.backbone import (
    Backbone,
    BackboneError,
    backbone_folder,
    fingerprint_folder,
    load_backbone,
)


def test_loads_frozen_with_its_own_sizes(backbone: Backbone) -> None:
    for module in (backbone.unet, backbone.vae, backbone.text_encoder):
        assert not module.training
        assert not any(p.requires_grad for p in module.parameters())
    assert backbone.latent_shape == (4, 8, 8)
    assert backbone.image_size == 64
    assert backbone.unconditional.shape == (1, 16, 24)


def test_fingerprint_is_of_the_files(backbone: Backbone, tiny_backbone_folder: Path) -> None:
    assert {"unet/config.json", "tokenizer/tokenizer.json"} < set(backbone.fingerprint)
    name = "vae/diffusion_pytorch_model.safetensors"
    expected = hashlib.sha256((tiny_backbone_folder / name).read_bytes()).hexdigest()
    assert backbone.fingerprint[name] == expected


def test_dtype(tiny_backbone_folder: Path) -> None:
    backbone = load_backbone(tiny_backbone_folder, dtype=torch.bfloat16)
    assert {p.dtype for p in backbone.unet.parameters()} == {torch.bfloat16}
    assert backbone.unconditional.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "name",
    [
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer_config.json",
    ],
)
def test_a_missing_file_is_named(tiny_backbone_folder: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(tiny_backbone_folder, tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(BackboneError, match=name):
        load_backbone(folder)


def test_broken_and_incomplete_weights_are_refused(
    tiny_backbone_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_backbone_folder, tmp_path / "model")
    for name in (
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    ):
        file = folder / name
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BackboneError, match="cannot be read"):
            load_backbone(folder)
        file.write_bytes(whole)
        weights = load_file(file)
        weights.pop(sorted(weights)[0])
        save_file(weights, file, metadata={"format": "pt"})
        with pytest.raises(BackboneError, match="missing"):
            load_backbone(folder)
        file.write_bytes(whole)
    load_backbone(folder)


@pytest.mark.parametrize("location", ["no/such/folder", "nobody/no-such-model", "/nowhere"])
def test_unknown_locations(location: str) -> None:
    with pytest.raises(BackboneError, match="folder"):
        load_backbone(location)


def test_what_diffusers_left_in_the_hub_cache_is_found(
    tiny_backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache lists a checkpoint of another format, which diffusers did not fetch."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--somebody--tiny"
    shutil.copytree(tiny_backbone_folder, repository / "snapshots" / commit)
    (repository / "snapshots" / commit / "model_index.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    names = ["model_index.json", "unet/diffusion_pytorch_model.bin"]
    entry = {"size": 1, "blob_id": "0" * 40}
    (repository / "trees").mkdir()
    (repository / "trees" / f"{commit}.json").write_text(
        json.dumps({"format_version": 1, "files": dict.fromkeys(names, entry)})
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(LocalEntryNotFoundError):
        snapshot_download("somebody/tiny", local_files_only=True)
    folder = backbone_folder("somebody/tiny")
    assert folder == repository / "snapshots" / commit
    assert fingerprint_folder(folder) == fingerprint_folder(tiny_backbone_folder)
    with pytest.raises(BackboneError, match="hf download somebody/other"):
        backbone_folder("somebody/other")
