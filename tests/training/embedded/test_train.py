"""All embedded models, from scenes to card, on a budget of two steps each."""

from __future__ import annotations

from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline

from training.embedded.train import Budget, train_all
from training.encoders.clip import load_clip
from training.encoders.lpips import load_perceptual
from training.styles.edges import load_edges


@pytest.mark.slow
def test_everything_is_made_and_opens(tmp_path: Path) -> None:
    out = tmp_path / "out"
    budget = Budget(128, 2, 2, 2, 2, edge_scenes=16, edge_steps=2)
    train_all(out, tmp_path / "checkpoints", lambda *_, **__: None, budget=budget)
    assert {"README.md", "figures.json", "contact-sheet.png"} <= {p.name for p in out.iterdir()}
    StableDiffusionPipeline.from_pretrained(out / "diffusion", local_files_only=True)
    load_clip(out / "clip")
    load_perceptual(out / "perceptual")
    load_edges(out / "edges")
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "autoencoder",
        "clip",
        "denoiser",
        "edges",
        "recogniser",
    ]
