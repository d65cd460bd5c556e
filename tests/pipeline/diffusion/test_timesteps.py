"""Step selections: the paper's, equal ones, and a backbone's own."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from pipeline.diffusion import timesteps


def test_equal_is_the_papers_baseline() -> None:
    assert timesteps.equal(50, 13) == tuple(4 * i + 1 for i in range(13))


@pytest.mark.parametrize("steps", [1, 2, 13, 14, 20, 25, 50, 100])
def test_selections_are_distinct_and_inside(steps: int) -> None:
    for chosen in (timesteps.equal(steps, min(steps, 13)), timesteps.scaled(steps)):
        assert len(set(chosen)) == len(chosen)
        assert list(chosen) == sorted(chosen)
        assert 0 <= chosen[0] and chosen[-1] < steps


def test_scaled_keeps_the_papers_own() -> None:
    assert timesteps.scaled(50) == timesteps.PAPER_TIMESTEPS
    assert len(timesteps.scaled(100)) == 13
    assert timesteps.scaled(2) == (0, 1)


def test_representative_of_stable_diffusion_1(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "unet").mkdir()
    config = {"block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768}
    (tmp_path / "unet/config.json").write_text(json.dumps(config))
    with caplog.at_level(logging.WARNING):
        assert timesteps.representative(tmp_path, 50) == timesteps.PAPER_TIMESTEPS
        assert not caplog.records
        assert timesteps.representative(tmp_path, 25) == timesteps.scaled(25)
    assert "25 steps" in caplog.text


def test_a_backbones_own_selection(
    tiny_backbone_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(tiny_backbone_folder, tmp_path / "model")
    with caplog.at_level(logging.WARNING):
        assert timesteps.representative(folder, 50) == timesteps.PAPER_TIMESTEPS
    assert "no selection known" in caplog.text
    timesteps.write_selection(folder, 50, (7, 0, 30))
    timesteps.write_selection(folder, 20, (1, 2))
    assert timesteps.representative(folder, 50) == (0, 7, 30)
    assert timesteps.representative(folder, 20) == (1, 2)


@pytest.mark.parametrize("text", ["{", "[1]", '{"50": [50]}', '{"50": []}', '{"50": 3}'])
def test_broken_selections_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "timesteps.json").write_text(text)
    with pytest.raises(ValueError, match="expected"):
        timesteps.representative(tmp_path, 50)


def test_equal_refuses_more_than_there_are() -> None:
    with pytest.raises(ValueError, match="1 to 5"):
        timesteps.equal(5, 6)
