"""A teacher whose pairs carry a scorer's columns; what they are scored with comes from outside.

Shapes: B pairs of a batch, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from pipeline.arrays import Pixels
from pipeline.pair import Pair, SampleSpec
from pipeline.teachers.slots import SlotBatch, slot_batches
from pipeline.teachers.teacher import Teacher, join_fingerprints


class PairScorer(Protocol):
    """Scores pairs, each by itself: neighbours may move the last bit of a number, no more."""

    fingerprint: dict[str, str]
    """SHA-256 of everything that the scores depend on, by name."""

    def score(self, images: Pixels, sketches: Pixels) -> Sequence[Mapping[str, float]]:
        """Score images (B, H, W, 3) with sketches (B, H, W): columns of the index, one per pair."""
        ...


class ScoringTeacher:
    """Another teacher's pairs with a scorer's columns, from the pixels that the dataset holds.

    Pairs are scored in full batches (`pipeline.teachers.slots`): a sample made alone gets the
    scores that it gets among its neighbours.
    """

    def __init__(self, teacher: Teacher, scorer: PairScorer, slots: int) -> None:
        self.teacher = teacher
        self.scorer = scorer
        self.slots = slots
        self.fingerprint = join_fingerprints(teacher.fingerprint, scorer.fingerprint)

    @property
    def image_size(self) -> int:
        """Side of images and sketches in pixels."""
        return self.teacher.image_size

    def pairs(self, specs: Sequence[SampleSpec]) -> Sequence[Pair]:
        """Make the pairs of `specs`, in their order, and score them."""
        batches = slot_batches(self.teacher.pairs(specs), self.slots)
        return [pair for batch in batches for pair in self._scored(batch)]

    def _scored(self, batch: SlotBatch[Pair]) -> Iterator[Pair]:
        images = np.stack([pair.image for pair in batch.filled])
        sketches = np.stack([pair.sketch for pair in batch.filled])
        scores = self.scorer.score(images, sketches)
        for pair in batch.asked:
            yield replace(pair, columns={**pair.columns, **scores[batch.slot(pair)]})
