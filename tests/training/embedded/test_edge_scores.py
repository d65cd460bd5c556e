"""Boundary scores, against scikit-learn and against a literal count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from sklearn.metrics import average_precision_score, precision_recall_curve

from pipeline.arrays import Pixels
from training.embedded.edge_scores import boundary_scores


@pytest.fixture
def drawings() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (3, 20, 24), dtype=np.uint8)


@pytest.fixture
def line_art(drawings: Pixels) -> Pixels:
    noise = np.random.default_rng(1).integers(-120, 120, drawings.shape)
    return np.where(drawings + noise < 60, 0, 255).astype(np.uint8)


def test_without_tolerance_they_are_scikit_learns(drawings: Pixels, line_art: Pixels) -> None:
    truth, ink = (line_art < 128).ravel(), 255 - drawings.ravel()
    precision, recall, _ = precision_recall_curve(truth, ink)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    scores = boundary_scores(drawings, line_art, tolerance_px=0)
    assert scores.f_measure == pytest.approx(best)
    assert scores.average_precision == pytest.approx(average_precision_score(truth, ink))


@pytest.mark.parametrize("tolerance_px", [1, 2])
def test_with_tolerance_they_are_a_literal_count(
    drawings: Pixels, line_art: Pixels, tolerance_px: int
) -> None:
    reach, best = np.ones((2 * tolerance_px + 1,) * 2), 0.0
    truth = line_art < 128
    near = [binary_dilation(lines, reach) for lines in truth]
    for level in range(256):
        drawn = drawings <= level
        if not drawn.any():
            continue
        reached = [binary_dilation(one, reach) for one in drawn]
        precision = (drawn & near).sum() / drawn.sum()
        recall = (truth & reached).sum() / truth.sum()
        best = max(best, 2 * precision * recall / (precision + recall))
    assert boundary_scores(drawings, line_art, tolerance_px).f_measure == pytest.approx(best)


def test_exact_lines_score_one_and_a_blank_page_next_to_nothing(line_art: Pixels) -> None:
    exact = boundary_scores(line_art, line_art)
    assert (exact.f_measure, exact.average_precision) == pytest.approx((1, 1))
    blank = boundary_scores(np.full_like(line_art, 255), line_art, tolerance_px=0)
    assert blank.average_precision == pytest.approx((line_art < 128).mean())


def test_a_line_a_pixel_off_counts_within_a_pixel() -> None:
    line_art = np.full((1, 30, 30), 255, np.uint8)
    line_art[:, 10] = 0
    beside = np.roll(line_art, 1, axis=1)
    assert boundary_scores(beside, line_art, tolerance_px=1).f_measure == pytest.approx(1)
    assert boundary_scores(beside, line_art, tolerance_px=0).f_measure < 0.1


def test_pages_without_lines_are_refused(drawings: Pixels, line_art: Pixels) -> None:
    with pytest.raises(ValueError, match="some lines"):
        boundary_scores(drawings, np.full_like(line_art, 255))
    with pytest.raises(ValueError, match="one shape"):
        boundary_scores(drawings[:1], line_art)
