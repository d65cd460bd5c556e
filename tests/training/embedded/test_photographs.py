"""The photographs that the autoencoder learns from: known by their bytes, named on the card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import canonical
from training.embedded import photographs
from training.embedded.photographs import PHOTOGRAPHS, SIDES, read_photographs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make one photograph of 800 x 600 px, in the place of the package's."""
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    known = replace(
        PHOTOGRAPHS[0], file="a.png", sha256=canonical.sha256_of_file(tmp_path / "a.png")
    )
    monkeypatch.setattr(photographs, "PHOTOGRAPHS", (known,))
    return tmp_path


def test_each_comes_at_every_size(folder: Path) -> None:
    pictures = read_photographs(folder)
    assert [min(p.shape[:2]) for p in pictures] == list(SIDES)
    assert all(p.shape[1] / p.shape[0] == pytest.approx(4 / 3, abs=0.01) for p in pictures)


def test_a_missing_or_changed_file_is_named(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"another")
    with pytest.raises(ValueError, match="a.png: expected .* got another file; unpack"):
        read_photographs(folder)
    (folder / "a.png").unlink()
    with pytest.raises(ValueError, match="a.png: expected .* got nothing; unpack"):
        read_photographs(folder)


def test_every_one_has_author_and_licence() -> None:
    assert all(p.author and p.licence in {"CC BY 4.0", "CC0 1.0"} for p in PHOTOGRAPHS)
    assert len({p.sha256 for p in PHOTOGRAPHS}) == len(PHOTOGRAPHS)
