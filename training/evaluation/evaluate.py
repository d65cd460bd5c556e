"""Scoring an extractor against true drawings, beside simple baselines (DiffSketch 5.3, 5.4).

A system maps a picture, uint8 (H, W, 3), to a drawing, uint8 (H, W), 255 = paper. White paper alone
earns a high SSIM, and the picture's own
greys a better one where the style is tonal, so no score is shown without theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import sem
from scipy.stats import t as student_t

from pipeline.arrays import Pixels
from training.encoders.inception import Inception
from training.encoders.lpips import Perceptual
from training.evaluation.fid_kid import LEAST_PICTURES, FeatureSet
from training.evaluation.grid import grid_db
from training.evaluation.metrics import Metric
from training.evaluation.pairs import EvaluationPair
from training.evaluation.registry import METRICS
from training.styles.registry import STYLES

DrawFunction = Callable[[Pixels], Pixels]

BASELINES = ("blank", "sobel", "otsu", "grey", "stretched")
CONFIDENCE = 0.95
RESAMPLES = 2000
# Below this many pictures the percentile bootstrap covers less than it says, and Student's t takes
# its place (docs/results.md, "Against the picture's own greys").
LEAST_FOR_BOOTSTRAP = 20


@dataclass(frozen=True)
class ScoringNetworks:
    """Networks to score with; without an Inception the result says that FID and KID are missing."""

    perceptual: Perceptual
    inception: Inception | None = None


def evaluate(
    systems: Mapping[str, DrawFunction],
    pairs: Sequence[EvaluationPair],
    truth: str,
    networks: ScoringNetworks,
    metrics: Sequence[str] = tuple(METRICS),
    seed: int = 0,
) -> dict[str, Any]:
    """Score systems and the baselines on the same pictures: a result that JSON can hold.

    Each score is a mean with its interval, and `paired` holds the interval of every system's mean
    advantage over every baseline, picture by picture, positive where the system is better; FID and
    KID compare each system's drawings with the truths as sets. `grid_db` is no comparison, but what
    each system weaves into its drawings (`training.evaluation.grid`).

    Args:
        systems: what to score, by name.
        pairs: pictures with their true drawings.
        truth: what the drawings are compared with, for the report (a style's name or a folder's).
        networks: to score with.
        metrics: names of the per-picture metrics.
        seed: of the bootstrap, and of KID's subsets.

    Returns:
        Settings and scores, by system and metric.

    Raises:
        ValueError: an unknown metric, a system with a baseline's name, no pairs, or a drawing of
            the wrong type or size; the message names the system and the picture.
    """
    _check(systems, pairs, metrics)
    contenders = {**systems, **{name: STYLES[name] for name in BASELINES}}
    scored = {name: [METRICS[metric](networks.perceptual) for metric in metrics]
              for name in contenders}  # fmt: skip
    sets = {name: FeatureSet() for name in contenders}
    grids: dict[str, list[float]] = {name: [] for name in contenders}
    for pair in pairs:
        picture, true_drawing = pair.read()
        drawings = {
            name: _drawn(system, picture, f"system {name!r}, picture {pair.name!r}")
            for name, system in contenders.items()
        }
        for name, drawing in drawings.items():
            grids[name].append(grid_db(drawing))
            for metric in scored[name]:
                metric.update(pair.name, drawing, true_drawing)
        if networks.inception:
            _describe(pair.name, drawings, true_drawing, networks.inception, sets)
    return {
        "truth": truth,
        "pairs": len(pairs),
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "seed": seed,
        "encoders": {"lpips": networks.perceptual.label},
        "better": {metric.name: metric.better for metric in next(iter(scored.values()))},
        "systems": {
            name: {metric.name: summary(metric, seed) for metric in of_system}
            for name, of_system in scored.items()
        },
        "grid_db": {name: float(np.mean(of_system)) for name, of_system in grids.items()},
        "paired": {
            name: {
                baseline: paired_advantages(scored[name], scored[baseline], seed)
                for baseline in BASELINES
            }
            for name in systems
        },
        "distribution": distribution(sets, networks.inception, len(pairs), seed),
    }


def distribution(
    sets: Mapping[str, FeatureSet], inception: Inception | None, pictures: int, seed: int
) -> dict[str, Any]:
    """Say how far each system's drawings are from the truths as a set, or why that is not known."""
    if inception is None:
        return {"missing": "no Inception network was given, so FID and KID are not known"}
    if pictures < LEAST_PICTURES:
        return {"missing": f"FID and KID need at least {LEAST_PICTURES} pictures"}
    return {
        "network": inception.label,
        "pictures": pictures,
        "systems": {name: of_system.compute(seed) for name, of_system in sets.items()},
    }


def _describe(
    name: str,
    drawings: Mapping[str, Pixels],
    truth: Pixels,
    inception: Inception,
    sets: Mapping[str, FeatureSet],
) -> None:
    described = inception.features([truth, *drawings.values()])
    for of_system, features in zip(drawings, described[1:], strict=True):
        sets[of_system].update(name, features, described[0])


def summary(metric: Metric, seed: int) -> dict[str, float]:
    """Return the mean of a metric with the ends of its interval."""
    low, high = mean_interval(_by_picture(metric), seed)
    return {"mean": metric.compute(), "low": low, "high": high}


def paired_advantages(
    own: Sequence[Metric], others: Sequence[Metric], seed: int
) -> dict[str, dict[str, float]]:
    """Return, by metric, by how much one system is better than another on the same pictures.

    Returns:
        The mean of the differences with its interval's ends; positive: `own` is better.
    """
    advantages = {}
    for metric, other in zip(own, others, strict=True):
        sign = 1 if metric.better == "higher" else -1
        differences = sign * (_by_picture(metric) - _by_picture(other))
        low, high = mean_interval(differences, seed)
        advantages[metric.name] = {"mean": float(differences.mean()), "low": low, "high": high}
    return advantages


def mean_interval(values: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Return the interval of the mean at 95 %: values (N,) -> (low, high).

    Student's t below `LEAST_FOR_BOOTSTRAP` values, the percentile bootstrap from there on. One
    value has no interval: both ends are the value.
    """
    if len(values) >= LEAST_FOR_BOOTSTRAP:
        return bootstrap_interval(values, seed)
    mean = float(values.mean())
    if len(values) == 1:
        return mean, mean
    half = student_t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * sem(values)
    return mean - float(half), mean + float(half)


def _by_picture(metric: Metric) -> NDArray[np.float64]:
    # Sorted by picture: workers that merge in another order must not change the interval.
    return np.array([metric.scores[name] for name in sorted(metric.scores)])


def bootstrap_interval(
    scores: NDArray[np.float64], seed: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the percentile interval of the mean at 95 %: scores (N,) -> (low, high).

    One seed draws the same pictures for every system, so that their intervals are comparable.
    """
    generator = np.random.default_rng(seed)
    draws = generator.integers(0, len(scores), size=(resamples, len(scores)))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(scores[draws].mean(axis=1), [tail, 100 - tail])
    return float(low), float(high)


def _check(
    systems: Mapping[str, DrawFunction], pairs: Sequence[EvaluationPair], metrics: Sequence[str]
) -> None:
    unknown = [name for name in metrics if name not in METRICS]
    taken = [name for name in systems if name in BASELINES]
    if unknown or taken or not pairs:
        raise ValueError(
            f"expected metrics of {sorted(METRICS)}, systems not named like the "
            f"baselines {BASELINES} and at least one pair; got metrics "
            f"{list(metrics)}, systems {list(systems)}, {len(pairs)} pairs"
        )


def _drawn(system: DrawFunction, picture: Pixels, shown: str) -> Pixels:
    drawing = system(picture)
    if drawing.dtype != np.uint8 or drawing.shape != picture.shape[:2]:
        raise ValueError(
            f"{shown}: expected a drawing uint8 {picture.shape[:2]}, "
            f"got {drawing.dtype} {drawing.shape}"
        )
    return drawing
