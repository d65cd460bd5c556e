"""From projected features to a selection of steps with all its figures.

Shapes: N images, T steps, D dimensions of the projection, C principal components.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from jobs.experiments.selection.classes import Classes
from jobs.runtime.devices import Machine
from jobs.runtime.ray_tasks import run_tasks
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
COMPONENTS = (10, 30)
RANDOM_SETS = 100
# The axes are fitted to as many images of every class, so that no class draws them to itself.
MOST_IMAGES_PER_CLASS = 15
CHUNK_IMAGES = 16


@dataclass(frozen=True)
class Basis:
    """Features on principal axes: `points` (N, T, C), shares of variance (C,), images fitted to."""

    points: np.ndarray
    variance: np.ndarray
    images: int


@dataclass(frozen=True)
class Count:
    """The search for K with one number of components."""

    components: int
    curves: Curves
    agreement: Agreement


@dataclass(frozen=True)
class Check:
    """Table 4 in one space: the sum of least distances of each method, and of each random set."""

    methods: dict[str, float]
    shared: dict[str, float]
    random: tuple[float, ...]

    def beats_all(self, method: str) -> bool:
        """Say whether a method is below equal intervals and below every random set."""
        return self.methods[method] < min(self.methods["equal"], *self.random)


@dataclass(frozen=True)
class Outcome:
    """A selection: K, the steps of each method, the check on principal axes and without them."""

    basis: Basis
    counts: tuple[Count, ...]
    count: int
    steps: dict[str, tuple[int, ...]]
    on_axes: Check
    in_full: Check

    @property
    def default(self) -> str:
        """The method to use: the paper's, unless only the optimum beats every random set."""
        if not self.on_axes.beats_all("representative") and self.on_axes.beats_all("medoid"):
            return "medoid"
        return "representative"


def balanced(classes: Classes, seed: int) -> np.ndarray:
    """Draw as many images of every class: their positions, rising.

    As many are the smallest class's, but at most 15, the paper's number, and at least 5, with
    which a smaller class gives all that it has.
    """
    draw = np.random.default_rng(seed)
    members = [np.flatnonzero(classes.labels == label) for label in range(len(classes.names))]
    share = min(max(5, min(map(len, members))), MOST_IMAGES_PER_CLASS)
    drawn = [draw.permutation(each)[:share] for each in members]
    return np.sort(np.concatenate(drawn))


def fit_basis(steps: np.ndarray, classes: Classes, seed: int) -> Basis:
    """Put features (N, T, D) on the principal axes of a balanced part of them."""
    fitted = balanced(classes, seed)
    rows = steps[fitted].reshape(-1, steps.shape[2])
    axes = min(max(COMPONENTS), len(rows) - 1, steps.shape[2])
    solver = "covariance_eigh" if len(rows) > rows.shape[1] else "full"
    pca = PCA(axes, svd_solver=solver).fit(rows)
    points = np.stack([pca.transform(image) for image in steps])
    return Basis(points, pca.explained_variance_ratio_, len(fitted))


@dataclass(frozen=True)
class Chunk:
    """Images whose steps are to be clustered: points (n, T, C)."""

    components: int
    first: int
    points: np.ndarray
    seed: int


def score_chunk(chunk: Chunk) -> Curves:
    """Score the clusterings of a chunk; runs on a worker."""
    return score_clusterings(chunk.points, candidates(chunk.points.shape[1]), chunk.seed)


def cut_chunks(points: np.ndarray, seed: int) -> Iterator[Chunk]:
    """Cut images into pieces of work for every number of components."""
    for components in COMPONENTS:
        for first in range(0, len(points), CHUNK_IMAGES):
            part = points[first : first + CHUNK_IMAGES, :, :components]
            yield Chunk(components, first, part, seed)


def search_counts(
    points: np.ndarray, seed: int, machine: Machine, workers: int
) -> tuple[Count, ...]:
    """Choose every image's K with each number of components, on Ray's workers."""
    found: dict[tuple[int, int], Curves] = {}
    for chunk, curves in run_tasks(score_chunk, list(cut_chunks(points, seed)), machine, workers):
        found[chunk.components, chunk.first] = curves
    counts = []
    for components in COMPONENTS:
        parts = [curves for key, curves in sorted(found.items()) if key[0] == components]
        curves = join_curves(parts)
        counts.append(Count(components, curves, agree(curves)))
    return tuple(counts)


def pooled_count(counts: Sequence[Count]) -> int:
    """Round the mean of the images' K over both numbers of components."""
    return round(float(np.mean([count.agreement.mean for count in counts])))


def check(distances: np.ndarray, steps: dict[str, tuple[int, ...]], seed: int) -> Check:
    """Compare selections by distances (N, T, T), beside random sets of the same size."""
    num_steps, size = distances.shape[1], len(steps["equal"])
    total = distances.sum(0)
    drawn = random_sets(num_steps, size, RANDOM_SETS, seed)
    return Check(
        methods={name: least_distance(distances, chosen) for name, chosen in steps.items()},
        shared={name: coverage(total, chosen) for name, chosen in steps.items()},
        random=tuple(least_distance(distances, chosen) for chosen in drawn),
    )


def analyse(
    steps: np.ndarray, classes: Classes, seed: int, machine: Machine, workers: int
) -> Outcome:
    """Select steps by features (N, T, D), with the paper's method and by the optimum."""
    basis = fit_basis(steps, classes, seed)
    counts = search_counts(basis.points, seed, machine, workers)
    count = pooled_count(counts)
    distances = image_distances(basis.points)
    chosen = {
        "representative": representatives(basis.points, count, seed),
        "medoid": medoids(distances.sum(0), count),
        "equal": equal(steps.shape[1], count),
    }
    return Outcome(
        basis=basis,
        counts=counts,
        count=count,
        steps=chosen,
        on_axes=check(distances, chosen, seed),
        in_full=check(image_distances(steps), chosen, seed),
    )
