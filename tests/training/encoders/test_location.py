"""Locations of weights: what lies on the disk becomes absolute, names stay names."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.encoders.location import absolute_location


def test_files_become_absolute_and_names_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip").mkdir()
    (tmp_path / "w:1.pth").touch()
    assert absolute_location("clip") == str(tmp_path / "clip")
    assert absolute_location("vgg19:w:1.pth") == f"vgg19:{tmp_path / 'w:1.pth'}"
    for name in ("vgg19", "ViT-B-32:openai", "owner/name"):
        assert absolute_location(name) == name
