"""Benchmark `mixing`: how well the order of reading mixes a dataset, against a full shuffle.

The dataset is sorted by its pictures' ink, so that neighbours are alike: the hard case. Beside the
order that deals shards to slots stands the usual one, in which the pairs of a window of shards are
shuffled and cut into batches; both read from as many shards at a time.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jobs.benchmarks.measure import BenchmarkResult, BenchmarkScore, Effort, one_thread
from jobs.benchmarks.standins.pictures import SceneTeacher, plan_for
from jobs.runtime.weights import locate
from pipeline.arrays import Pixels
from pipeline.reading.order import WINDOW_SHARDS, Order
from pipeline.seeds import stream_seed
from training.distillation.process_group import Alone
from training.distillation.spec import Execution
from training.distillation.state import State
from training.distillation.step import StepSettings, to_batch, train_step
from training.encoders.features import FeatureNetwork, feature_distance, load_features
from training.students.pix2pixhd import Pix2PixHD

_SIDE = 64
_HELD_OUT = 64
_RATE = 2e-4
_SLOTS, _WINDOWED, _FULL = "slots", "window", "full shuffle"


@dataclass(frozen=True)
class _Setting:
    """Equal shards, a batch, and from how many shards is read at a time."""

    shards: int
    pairs: int
    batch: int
    window: int

    def indices(self, kind: str, seed: int) -> Iterator[NDArray[np.int64]]:
        """Yield the indices of each batch of an epoch in one of the orders."""
        sizes = (self.pairs,) * self.shards
        if kind == _SLOTS:
            order = Order(sizes, self.batch, seed, self.window)
            for step in range(order.steps):
                places = order.places(step)
                yield places[:, 0] * self.pairs + places[:, 1]
            return
        random = np.random.default_rng(stream_seed(seed, 0, "bench.mixing"))
        together = self.window if kind == _WINDOWED else self.shards
        shards = random.permutation(self.shards)
        line = np.concatenate(
            [
                random.permutation(
                    (
                        shards[start : start + together, None] * self.pairs + np.arange(self.pairs)
                    ).reshape(-1)
                )
                for start in range(0, self.shards, together)
            ]
        )
        yield from line[: len(line) // self.batch * self.batch].reshape(-1, self.batch)


# A dataset of 30,000 pairs, and one small enough to train on here.
_LARGE = _Setting(shards=235, pairs=128, batch=16, window=WINDOW_SHARDS)
_TRAINED = _Setting(shards=75, pairs=32, batch=8, window=8)
_TINY = _Setting(shards=3, pairs=4, batch=2, window=2)


def measure_mixing(effort: Effort) -> BenchmarkResult:
    """Measure distances in the orders, then train the small student once a round in each."""
    large, trained = (_TINY, _TINY) if effort.tiny else (_LARGE, _TRAINED)
    kinds = (_SLOTS, _WINDOWED, _FULL)
    distances = {kind: _distances(large, kind) for kind in kinds}
    features = load_features(locate("perceptual", "embedded"))
    pictures = _sorted_scenes(trained.shards * trained.pairs)
    seen = len(pictures[0])
    held_out = _scenes(range(seen, seen + (2 if effort.tiny else _HELD_OUT)))
    losses: dict[str, list[float]] = {kind: [] for kind in kinds}
    curves: dict[str, list[float]] = {}
    with one_thread():
        for seed in range(effort.rounds):
            for kind in kinds:
                curve, loss = _train(trained, kind, seed, pictures, held_out, features)
                losses[kind].append(loss)
                curves.setdefault(f"curve_{kind}", curve)
    near, after, spread = zip(*(distances[kind] for kind in kinds), strict=True)
    return BenchmarkResult(
        workload=f"orders of {large.shards} shards of {large.pairs} pairs, batches of "
        f"{large.batch}, {large.window} shards at a time; an epoch of {trained.shards} shards of "
        f"{trained.pairs} scenes of {_SIDE} px, sorted by ink, batches of {trained.batch}, "
        f"{trained.window} shards at a time, one training a round in each order",
        peer="all pairs shuffled; and pairs shuffled within a window of shards",
        scores=(
            BenchmarkScore(
                "distance of neighbours in a batch, of a full shuffle's",
                (near[0] / near[-1],),
                0.95,
                at_least=True,
            ),
            BenchmarkScore(
                "spread of batches' means, of a full shuffle's",
                (spread[0] / spread[-1],),
                1.05,
                at_least=False,
            ),
            BenchmarkScore(
                "held-out loss after an epoch, of a full shuffle's",
                tuple(a / b for a, b in zip(losses[_SLOTS], losses[_FULL], strict=True)),
                1.05,
                at_least=False,
            ),
            BenchmarkScore(
                "held-out loss after an epoch, of a window's",
                tuple(a / b for a, b in zip(losses[_SLOTS], losses[_WINDOWED], strict=True)),
                1.05,
                at_least=False,
            ),
        ),
        metadata={
            "orders": ", ".join(kinds),
            "distance_in_a_batch": near,
            "distance_of_a_slot_s_next_pair": after,
            "spread_of_batch_means": spread,
            **{f"held_out_loss_{kind}": losses[kind] for kind in kinds},
            **curves,
        },
    )


def _distances(setting: _Setting, kind: str) -> tuple[float, float, float]:
    """Measure an epoch, in parts of the dataset's length.

    Returns:
        The mean distance of neighbours in a batch (1/3 if they are independent), that of pairs in
        the same place of two batches in a row, and the standard deviation of batches' means.
    """
    batches = np.stack(list(setting.indices(kind, seed=0))) / (setting.shards * setting.pairs)
    return (
        float(np.abs(np.diff(batches, axis=1)).mean()),
        float(np.abs(np.diff(batches, axis=0)).mean()),
        float(batches.mean(axis=1).std()),
    )


def _train(
    setting: _Setting,
    kind: str,
    seed: int,
    pictures: tuple[Pixels, Pixels],
    held_out: tuple[Pixels, Pixels],
    features: FeatureNetwork,
) -> tuple[list[float], float]:
    """Train for an epoch: -> the perceptual loss as means of twentieths, and the held-out one."""
    torch.manual_seed(seed)
    state = State.of(Pix2PixHD.create("small", features))
    settings = StepSettings(seed, 1.0, Alone(), Execution())
    losses = []
    for indices in setting.indices(kind, seed):
        batch = to_batch(pictures[0][indices], pictures[1][indices], "cpu")
        terms = train_step(state, batch, _RATE, settings)
        losses.append(float(terms["generator.perceptual"]))
    parts = np.array_split(np.asarray(losses), min(20, len(losses)))
    return [float(part.mean()) for part in parts], _loss(state, held_out, features)


@torch.no_grad()
def _loss(state: State, pictures: tuple[Pixels, Pixels], features: FeatureNetwork) -> float:
    """Average the perceptual distance over pairs that were not trained on."""
    batch = to_batch(*pictures, "cpu")
    distances: list[Tensor] = [
        feature_distance(features.slices(state.student.draw(image)), features.slices(sketch))
        for image, sketch in zip(batch.images.split(8), batch.sketches.split(8), strict=True)
    ]
    return statistics.fmean(map(float, distances))


def _sorted_scenes(count: int) -> tuple[Pixels, Pixels]:
    images, sketches = _scenes(range(count))
    by_ink = np.argsort(-sketches.reshape(count, -1).mean(axis=1), kind="stable")
    return images[by_ink], sketches[by_ink]


def _scenes(indices: Sequence[int]) -> tuple[Pixels, Pixels]:
    """Draw scenes and their line art: uint8 (B, H, W, 3) and (B, H, W)."""
    plan = plan_for(max(indices) + 1, 32, 1)
    pairs = SceneTeacher(_SIDE).pairs([plan.spec(index) for index in indices])
    return np.stack([pair.image for pair in pairs]), np.stack([pair.sketch for pair in pairs])
