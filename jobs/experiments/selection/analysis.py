"""From projected features to a selection of steps with all its figures (DiffSketch 3.1, B).

Shapes: N images, T steps, D dimensions of the projection, C principal components.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from jobs.experiments.selection.classes import Classes
from jobs.nodes.ray_tasks import run_tasks
from jobs.runtime.devices import Machine
from pipeline.analysis.selection import (
    coverage,
    image_distances,
    least_distance,
    medoids,
    random_sets,
    representatives,
)
from pipeline.analysis.selection_count import (
    Agreement,
    Curves,
    agree,
    candidates,
    join_curves,
    score_clusterings,
)
from pipeline.diffusion.timesteps import equal

# The paper's two numbers of components (appendix B); the greater one carries selection and check.
_COMPONENTS = (10, 30)
_RANDOM_SETS = 100
# The axes are fitted to as many images of every class, so that no class dominates them.
_MOST_IMAGES_PER_CLASS = 15
_CHUNK_IMAGES = 16
Method = Literal["representative", "medoid", "equal"]


@dataclass(frozen=True)
class Basis:
    """Features on principal axes: `points` (N, T, C), shares of variance (C,), images fitted to."""

    points: NDArray[np.floating]
    variance: NDArray[np.floating]
    images: int


@dataclass(frozen=True)
class CountSearch:
    """The search for K with one number of components."""

    components: int
    curves: Curves
    agreement: Agreement


@dataclass(frozen=True)
class Check:
    """Table 4 in one space: the sum of least distances of each method, and of each random set."""

    methods: dict[Method, float]
    shared: dict[Method, float]
    random: tuple[float, ...]

    def beats_all(self, method: Method) -> bool:
        """Say whether a method is below equal intervals and below every random set."""
        return self.methods[method] < min(self.methods["equal"], *self.random)


@dataclass(frozen=True)
class Outcome:
    """A selection: K, the steps of each method, the check on principal axes and without them."""

    basis: Basis
    counts: tuple[CountSearch, ...]
    count: int
    steps: dict[Method, tuple[int, ...]]
    on_axes: Check
    in_full: Check

    @property
    def default(self) -> Method:
        """The method to use: the paper's, unless only the optimum beats every random set."""
        if not self.on_axes.beats_all("representative") and self.on_axes.beats_all("medoid"):
            return "medoid"
        return "representative"


def analyse(
    steps: NDArray[np.floating], classes: Classes, seed: int, machine: Machine, workers: int
) -> Outcome:
    """Select steps by features, with DiffSketch's method and by the optimum.

    Args:
        steps: features (N, T, D).
        workers: how many at once; 0: by the machine.
    """
    basis = _fit_basis(steps, classes, seed)
    counts = _search_counts(basis.points, seed, machine, workers)
    count = _pooled_count(counts)
    distances = image_distances(basis.points)
    chosen: dict[Method, tuple[int, ...]] = {
        "representative": representatives(basis.points, count, seed),
        "medoid": medoids(distances.sum(0), count),
        "equal": equal(steps.shape[1], count),
    }
    return Outcome(
        basis=basis,
        counts=counts,
        count=count,
        steps=chosen,
        on_axes=_check(distances, chosen, seed),
        in_full=_check(image_distances(steps), chosen, seed),
    )


def balanced(classes: Classes, seed: int) -> NDArray[np.integer]:
    """Draw equally many images of every class: return their positions, rising.

    As many are the smallest class's, but at most 15, DiffSketch's number, and at least 5, with
    which a smaller class gives all that it has.
    """
    draw = np.random.default_rng(seed)
    members = [np.flatnonzero(classes.labels == label) for label in range(len(classes.names))]
    share = min(max(5, min(map(len, members))), _MOST_IMAGES_PER_CLASS)
    drawn = [draw.permutation(images)[:share] for images in members]
    return np.sort(np.concatenate(drawn))


def _fit_basis(steps: NDArray[np.floating], classes: Classes, seed: int) -> Basis:
    """Put features (N, T, D) on the principal axes of a balanced part of them."""
    fitted = balanced(classes, seed)
    rows = steps[fitted].reshape(-1, steps.shape[2])
    axes = min(max(_COMPONENTS), len(rows) - 1, steps.shape[2])
    solver = "covariance_eigh" if len(rows) > rows.shape[1] else "full"
    pca = PCA(axes, svd_solver=solver).fit(rows)
    points = np.stack([pca.transform(image) for image in steps])
    return Basis(points, pca.explained_variance_ratio_, len(fitted))


@dataclass(frozen=True)
class _Chunk:
    """Images whose steps are to be clustered: points (n, T, C)."""

    components: int
    first: int
    points: NDArray[np.floating]
    seed: int


def _score_chunk(chunk: _Chunk) -> Curves:
    """Score the clusterings of a chunk; runs on a worker."""
    return score_clusterings(chunk.points, candidates(chunk.points.shape[1]), chunk.seed)


def _cut_chunks(points: NDArray[np.floating], seed: int) -> Iterator[_Chunk]:
    """Cut images into pieces of work for every number of components."""
    for components in _COMPONENTS:
        for first in range(0, len(points), _CHUNK_IMAGES):
            part = points[first : first + _CHUNK_IMAGES, :, :components]
            yield _Chunk(components, first, part, seed)


def _search_counts(
    points: NDArray[np.floating], seed: int, machine: Machine, workers: int
) -> tuple[CountSearch, ...]:
    """Choose every image's K with each number of components, on Ray's workers."""
    found: dict[tuple[int, int], Curves] = {}
    for chunk, curves in run_tasks(_score_chunk, list(_cut_chunks(points, seed)), machine, workers):
        found[chunk.components, chunk.first] = curves
    counts = []
    for components in _COMPONENTS:
        parts = [curves for key, curves in sorted(found.items()) if key[0] == components]
        curves = join_curves(parts)
        counts.append(CountSearch(components, curves, agree(curves)))
    return tuple(counts)


def _pooled_count(counts: Sequence[CountSearch]) -> int:
    """Round the mean of the images' K over both numbers of components."""
    return round(float(np.mean([count.agreement.mean for count in counts])))


def _check(
    distances: NDArray[np.float64], steps: dict[Method, tuple[int, ...]], seed: int
) -> Check:
    """Compare selections by distances (N, T, T), beside random sets of the same size."""
    num_steps, size = distances.shape[1], len(steps["equal"])
    total = distances.sum(0)
    drawn = random_sets(num_steps, size, _RANDOM_SETS, seed)
    return Check(
        methods={name: least_distance(distances, chosen) for name, chosen in steps.items()},
        shared={name: coverage(total, chosen) for name, chosen in steps.items()},
        random=tuple(least_distance(distances, chosen) for chosen in drawn),
    )
