"""The number of steps: the paper's criterion taken literally, scores against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import davies_bouldin_score, silhouette_score

from pipeline.analysis.selection_count import (
    STARTS,
    Curves,
    agree,
    candidates,
    choose_count,
    join_curves,
    score_clusterings,
)


def literal_choice(silhouette: list[float], index: list[float]) -> int | None:
    """The paper's words: the first candidate that is i-th highest and i-th lowest at once."""
    highest = sorted(range(len(silhouette)), key=lambda k: -silhouette[k])
    lowest = sorted(range(len(index)), key=lambda k: index[k])
    return next((a for a, b in zip(highest, lowest, strict=True) if a == b), None)


def test_the_criterion_is_the_papers() -> None:
    draw = np.random.default_rng(0)
    matched = 0
    for _ in range(300):
        silhouette, index = draw.random(9).tolist(), draw.random(9).tolist()
        position, found = choose_count(silhouette, index)
        literal = literal_choice(silhouette, index)
        assert found == (literal is not None)
        assert literal is None or position == literal
        matched += found
    assert 100 < matched < 300  # both cases were met


def test_without_an_equal_rank_the_smallest_sum_wins() -> None:
    # Ranks by silhouette 1 2 3 4, by the index 4 1 2 3: sums 5 3 5 7.
    assert choose_count([0.9, 0.8, 0.7, 0.6], [4.0, 1.0, 2.0, 3.0]) == (1, False)
    # Sums 3 3: the better silhouette.
    assert choose_count([0.5, 0.6], [1.0, 2.0]) == (1, False)


def test_curves_that_contradict_each_other_meet_in_the_middle() -> None:
    # The paper's case: with K = 2 ... 24 the middle is 13.
    counts = np.arange(2, 25)
    position, found = choose_count(-counts, -counts)
    assert found and counts[position] == 13


def test_scores_are_scikit_learns() -> None:
    features = np.random.default_rng(1).normal(size=(2, 16, 5)).cumsum(1)
    curves = score_clusterings(features, candidates(16), seed=4)
    assert curves.counts.tolist() == [2, 3, 4, 5, 6, 7, 8]
    for n, image in enumerate(features):
        for q, k in enumerate(curves.counts):
            found = KMeans(k, n_init=STARTS, random_state=4).fit(image)
            inside = sum(
                ((image[found.labels_ == c] - image[found.labels_ == c].mean(0)) ** 2).sum()
                for c in range(k)
            )
            assert curves.wcss[n, q] == pytest.approx(inside)
            assert curves.silhouette[n, q] == pytest.approx(silhouette_score(image, found.labels_))
            assert curves.davies_bouldin[n, q] == pytest.approx(
                davies_bouldin_score(image, found.labels_)
            )


def test_separate_groups_are_counted() -> None:
    draw = np.random.default_rng(0)
    centres = np.repeat(draw.normal(size=(4, 3)) * 50, 5, axis=0)
    features = centres + draw.normal(size=(6, 20, 3))
    found = agree(score_clusterings(features, candidates(20), seed=0))
    assert found.chosen.tolist() == [4] * 6
    assert (found.mean, found.deviation, found.mode, found.matched) == (4, 0, 4, 6)


def test_curves_join_in_their_order() -> None:
    features = np.random.default_rng(2).normal(size=(5, 10, 3)).cumsum(1)
    whole = score_clusterings(features, candidates(10), seed=0)
    parts = [score_clusterings(part, candidates(10), seed=0) for part in np.split(features, [2])]
    joined = join_curves(parts)
    for name in Curves.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))


def test_too_short_a_process_is_refused() -> None:
    assert candidates(50) == range(2, 26)
    with pytest.raises(ValueError, match="4 or more"):
        candidates(3)
