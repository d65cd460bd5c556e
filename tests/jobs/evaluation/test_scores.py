"""Scores: what is kept of them, and who wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.evaluation.score_table import beats_baselines
from jobs.evaluation.scores import EvaluationScores, SetScores, read_scores, write_scores
from jobs.evaluation.scores_section import score_groups


def result(ssim: float) -> dict[str, Any]:
    """What an extractor with this SSIM and the baselines are found to score."""
    scores = {"extractor": (0.1, ssim), "blank": (0.3, 0.5), "sobel": (0.2, 0.4)}
    systems = {
        name: {
            metric: {"mean": value, "low": value - 0.05, "high": value + 0.05}
            for metric, value in zip(("lpips", "ssim"), pair, strict=True)
        }
        for name, pair in scores.items()
    }
    margin = {"mean": ssim - 0.5, "low": ssim - 0.55, "high": ssim - 0.45}
    paired = {"lpips": {"mean": 0.1, "low": 0.05, "high": 0.15}, "ssim": margin}
    return {
        "pairs": 3,
        "systems": systems,
        "paired": {"extractor": {"blank": paired, "sobel": paired}},
        "better": {"lpips": "lower", "ssim": "higher"},
    }


def set_scores(ssim: float) -> SetScores:
    found = result(ssim)
    return SetScores("photographs", "xdog", 3, ["a"], ["picture"], found, beats_baselines(found))


def test_one_picture_proves_nothing() -> None:
    assert beats_baselines(result(0.6) | {"pairs": 1}) == {"extractor": False}


def test_verdict_follows_the_paired_intervals() -> None:
    assert beats_baselines(result(0.54)) == {"extractor": False}  # better by its mean alone
    assert beats_baselines(result(0.6)) == {"extractor": True}
    assert beats_baselines(result(0.5)) == {"extractor": False}
    (group,) = score_groups([set_scores(0.45)])
    assert group.verdict.startswith("✗")
    best = [row.method for row in group.rows if row.scores[1].best]
    assert best == ["Blank page"]


def test_scores_come_back_from_their_file(tmp_path: Path) -> None:
    scores = EvaluationScores([set_scores(0.6)], {"lpips": "embedded"})
    write_scores(tmp_path, scores)
    assert read_scores(tmp_path) == scores
    assert read_scores(tmp_path / "nowhere") == EvaluationScores([], {})
