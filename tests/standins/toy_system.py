"""The least that a teacher can be: a threshold, learned from one pair. A new system in one file.

It samples no model: image i is noise of its address, and its sketch is ink where the image is
darker than the threshold at which the example's drawing is reproduced best.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.canonical import sha256_of_file
from pipeline.diffusion.example import load_example
from pipeline.events import OnEvent
from pipeline.pair import Pair, SampleSpec
from pipeline.pixels import Pixels
from pipeline.recipe.fields import PositiveInt
from pipeline.recipe.teach import TeachSection
from pipeline.seeds import stream_seed
from pipeline.teachers.teacher import TeacherFiles
from pipeline.whole_file import write_json
from training.checkpoint import check_identity
from training.oneshot.inputs import TeachInputs
from training.oneshot.record import RECORD, read_record, write_record

THRESHOLD = "threshold.json"
SIDE = 32


class ToyTeach(TeachSection):
    """`teach:` of the toy: how many thresholds are tried."""

    teacher: Literal["toy"] = "toy"
    thresholds: PositiveInt = 16


class ToyTeacher:
    """Makes pairs by a threshold."""

    def __init__(self, threshold: float, fingerprint: dict[str, str]) -> None:
        self.threshold = threshold
        self.fingerprint = fingerprint

    @staticmethod
    def check_taught(folder: Path) -> None:
        """Raise ValueError unless the threshold is there."""
        if not (folder / THRESHOLD).is_file():
            raise ValueError(f"{folder}: {THRESHOLD} is missing: run `onesketch teach` first")

    @classmethod
    def fingerprint_of(cls, files: TeacherFiles) -> dict[str, str]:
        """Hash the threshold's file."""
        cls.check_taught(files.folder)
        return {f"teacher/{THRESHOLD}": sha256_of_file(files.folder / THRESHOLD)}

    @classmethod
    def load(cls, files: TeacherFiles) -> ToyTeacher:
        """Read the threshold."""
        fingerprint = cls.fingerprint_of(files)
        return cls(json.loads((files.folder / THRESHOLD).read_text()), fingerprint)

    @property
    def image_size(self) -> int:
        """Side of images and sketches in pixels."""
        return SIDE

    def pairs(self, specs: Sequence[SampleSpec]) -> Sequence[Pair]:
        """Make the pairs of `specs`, in their order."""
        return [self._pair(spec) for spec in specs]

    def _pair(self, spec: SampleSpec) -> Pair:
        random = np.random.default_rng(stream_seed(spec.seed, spec.index, "toy"))
        image = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        return Pair(spec.index, image, threshold(image, self.threshold), {"level": self.threshold})


def teach_toy(inputs: TeachInputs, folder: Path, on_event: OnEvent) -> None:
    """Try thresholds on the example and keep the best; see `training.oneshot.inputs`."""
    example = load_example(inputs.recipe, inputs.source)
    teach = inputs.recipe.teach
    identity = {"thresholds": teach.thresholds, "drawing": example.drawing.tobytes().hex()}  # type: ignore[attr-defined]
    record = read_record(folder)
    if record is not None:
        check_identity(folder / RECORD, record["identity"], identity)
        return
    tried = np.linspace(0, 255, teach.thresholds)  # type: ignore[attr-defined]
    errors = []
    for done, level in enumerate(tried, start=1):
        drawn = threshold(example.image, float(level)).astype(int)
        errors.append(float(np.abs(drawn - example.drawing).mean()))
        on_event("teach.iteration", done=done, total=len(tried), error=errors[-1])
    write_json(folder / THRESHOLD, float(tried[int(np.argmin(errors))]))
    write_record(folder, {"teacher": "toy", "identity": identity})


def threshold(image: Pixels, level: float) -> Pixels:
    """Draw an image uint8 (H, W, 3): ink, 0, where its mean is below a level; uint8 (H, W)."""
    return np.where(image.mean(axis=-1) < level, 0, 255).astype(np.uint8)
