"""A tiny project for the commands: backbone, encoders and a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.standins.tiny_encoders import write_clip, write_perceptual


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random CLIP and perceptual networks."""
    folder = tmp_path_factory.mktemp("encoders")
    write_clip(folder / "clip")
    write_perceptual(folder / "perceptual")
    return folder


@pytest.fixture
def tiny_settings(tiny_backbone_folder: Path, encoders: Path) -> dict[str, Any]:
    """A recipe's data for the tiny models."""
    perceptual = str(encoders / "perceptual")
    return {
        "style": "xdog",
        "backbone": str(tiny_backbone_folder),
        "run": "run",
        "example": {"prompt": "a red cat", "seed": 3, "drawing": "drawing.png"},
        "sampler": {"steps": 3, "guidance": 2.0, "batch": 2},
        "teach": {
            "iterations": 2,
            "diffusion_duration": 2,
            "timesteps": [0, 2],
            "prompts": "prompts.txt",
            "clip": str(encoders / "clip"),
            "perceptual": perceptual,
        },
        "dataset": {"samples": 4, "shard_size": 2},
        "distill": {"preset": "small", "epochs": 1, "batch": 2, "workers": 1,
                    "perceptual": perceptual},
    }  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, tiny_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with recipe.yaml and prompts.txt, and no drawing yet."""
    (tmp_path / "prompts.txt").write_text("a red cat\na blue dog\na green house\n\ntwo balls\n")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny_settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path
