"""What every metric must keep to: one function a promise.

A test runs them over the entries of the registry; a new entry's author runs them on its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations
from typing import get_args

import numpy as np
import pytest

from pipeline.arrays import Pixels
from training.evaluation.metrics import Better, Metric

Make = Callable[[], Metric]  # gives a metric that has scored nothing yet
Check = Callable[[Make], None]

SIZE = (40, 48)


def check_update_and_compute(make: Make) -> None:
    """One score a picture, and their mean; a name counts once, and no picture has no mean."""
    metric = make()
    assert metric.better in get_args(Better) and metric.scores == {}
    with pytest.raises(ValueError, match="no picture"):
        metric.compute()
    for seed in range(3):
        metric.update(f"picture-{seed}", page(seed), page(seed + 1))
    assert sorted(metric.scores) == ["picture-0", "picture-1", "picture-2"]
    assert metric.compute() == pytest.approx(np.mean(list(metric.scores.values())))
    before = dict(metric.scores)
    with pytest.raises(ValueError, match="picture-1.*already"):
        metric.update("picture-1", page(8), page(9))
    assert metric.scores == before and make().scores == {}


def check_any_order_of_merging(make: Make) -> None:
    """Workers that merge in any order find what one worker finds, to the last bit."""
    whole = make()
    for seed in range(6):
        whole.update(f"picture-{seed}", page(seed), page(seed + 1))
    for order in permutations(range(3)):
        workers = [make() for _ in range(3)]
        for seed in reversed(range(6)):
            workers[seed % 3].update(f"picture-{seed}", page(seed), page(seed + 1))
        first, *others = (workers[number] for number in order)
        for other in others:
            taken = dict(other.scores)
            first.merge(other)
            assert other.scores == taken
        assert first.scores == whole.scores and first.compute() == whole.compute()


def check_a_picture_in_both_is_refused(make: Make) -> None:
    """Workers that scored the same picture are refused by its name, and neither has changed."""
    one, two = make(), make()
    one.update("shared", page(0), page(1))
    one.update("own", page(0), page(2))
    two.update("shared", page(3), page(4))
    before = dict(one.scores), dict(two.scores)
    with pytest.raises(ValueError, match="shared"):
        one.merge(two)
    assert (one.scores, two.scores) == before


def check_other_arrays_are_refused(make: Make) -> None:
    """What is not a drawing of the truth's size is refused by the picture's name."""
    drawing, truth = page(0), page(1)
    wrong = [
        (drawing / 255, truth),
        (drawing, truth.astype(np.int64)),
        (drawing[..., None], truth[..., None]),
        (drawing, np.repeat(truth[..., None], 3, axis=2)),
        (drawing[:-1], truth),
        (drawing.T, truth),
    ]
    metric = make()
    for a, b in wrong:
        with pytest.raises(ValueError, match=r"'the picture'.*expected"):
            metric.update("the picture", a, b)
    assert metric.scores == {}


def check_equal_drawings_score_best(make: Make) -> None:
    """No drawing scores better than the truth itself, whatever the truth is."""
    metric = make()
    for truth in (page(0), page(1, (48, 40)), np.full(SIZE, 255, np.uint8)):
        equal = score_of(metric, truth.copy(), truth)
        for other in (np.roll(truth, 1, axis=0), 255 - truth, np.full_like(truth, 128)):
            found = score_of(metric, other, truth)
            assert found == equal or not np.array_equal(other, truth)
            # A score may forgive a shift of one pixel or a faint tone, but not the negative.
            assert found != equal or not np.array_equal(other, 255 - truth)
            assert not is_better(metric, found, than=equal)


def check_the_direction_is_the_one_named(make: Make) -> None:
    """A drawing that hardly differs scores better than a bad one, by the metric's own direction."""
    metric, truth = make(), page(0)
    slight = truth.copy()
    slight[:2, :2] ^= 8
    good, bad = score_of(metric, slight, truth), score_of(metric, 255 - truth, truth)
    assert is_better(metric, good, than=bad)


def check_scores_are_finite_floats(make: Make) -> None:
    """Flat pages, black ones and all greys have a score too, which JSON can hold."""
    metric = make()
    flat = [np.full(SIZE, level, np.uint8) for level in (0, 128, 255)]
    for drawing in [*flat, page(0)]:
        for truth in [*flat, page(0)]:
            score_of(metric, drawing, truth)
    scores = [*metric.scores.values(), metric.compute()]
    assert all(type(score) is float and math.isfinite(score) for score in scores)


def page(seed: int, size: tuple[int, int] = SIZE) -> Pixels:
    """White paper with a few black lines."""
    drawing = np.full(size, 255, np.uint8)
    rows = np.random.default_rng(seed).choice(size[0], 4, replace=False)
    drawing[rows] = 0
    return drawing


def score_of(metric: Metric, drawing: Pixels, truth: Pixels) -> float:
    metric.update(f"picture-{len(metric.scores)}", drawing, truth)
    return metric.scores[f"picture-{len(metric.scores) - 1}"]


def is_better(metric: Metric, score: float, than: float) -> bool:
    return score < than if metric.better == "lower" else score > than


CHECKS = (
    check_update_and_compute,
    check_any_order_of_merging,
    check_a_picture_in_both_is_refused,
    check_other_arrays_are_refused,
    check_equal_drawings_score_best,
    check_the_direction_is_the_one_named,
    check_scores_are_finite_floats,
)
