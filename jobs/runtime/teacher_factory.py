"""A run's teacher at work: for the dataset's workers, and on samples that no dataset holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from jobs.runtime.devices import Machine
from jobs.runtime.run_folder import RunFolder
from jobs.runtime.weights import locate, locate_backbone
from pipeline.diffusion.example import load_example
from pipeline.pair import Pair, SampleSpec
from pipeline.recipe import Recipe
from pipeline.teachers.diffsketch import check_taught
from pipeline.teachers.scored import ScoringTeacher
from pipeline.teachers.teacher import Teacher, load_teacher
from training.encoders.clip import load_clip
from training.evaluation.agreement import ClipAgreement


@dataclass(frozen=True)
class PlainTeacherFactory:
    """Loads a run's teacher when called; goes to worker processes, so that paths are absolute."""

    name: str
    folder: Path
    backbone: str
    device: str
    dtype: torch.dtype

    def __call__(self) -> Teacher:
        """Load the teacher."""
        return load_teacher(self.name, self.folder, self.backbone, self.device, self.dtype)


@dataclass(frozen=True)
class TeacherFactory:
    """Loads a run's teacher together with the CLIP that scores its pairs against the known pair.

    The known pair, image uint8 (H, W, 3) and drawing uint8 (H, W), travels along: worker nodes
    need the taught files and the weights only. `batch` is that of the sampling.
    """

    teacher: PlainTeacherFactory
    clip: str
    image: NDArray[np.uint8]
    drawing: NDArray[np.uint8]
    batch: int

    def __call__(self) -> Teacher:
        """Load the teacher and its scorer."""
        scorer = ClipAgreement(load_clip(self.clip, self.teacher.device), self.image, self.drawing)
        return ScoringTeacher(self.teacher(), scorer, self.batch)

    def fingerprint(self) -> dict[str, str]:
        """Load the teacher on the CPU, to know what it is made of, and drop it again."""
        return replace(self, teacher=replace(self.teacher, device="cpu"))().fingerprint


def teacher_factory(recipe: Recipe, machine: Machine) -> TeacherFactory:
    """Make the factory of a run's teacher; ValueError without a taught teacher or its example."""
    plain = plain_factory(recipe, machine)
    check_taught(plain.folder)
    example = load_example(recipe, RunFolder(recipe.run_path).source)
    clip = absolute(locate("clip", recipe.teach.clip))
    return TeacherFactory(plain, clip, example.image, example.drawing, recipe.sampler.batch)


def plain_factory(recipe: Recipe, machine: Machine) -> PlainTeacherFactory:
    """Make the factory of a run's teacher alone."""
    backbone = absolute(locate_backbone(recipe.backbone))
    folder = RunFolder(recipe.run_path).teacher.absolute()
    name = recipe.teach.teacher
    return PlainTeacherFactory(name, folder, backbone, machine.device, machine.dtype)


def absolute(location: str) -> str:
    """Make the location of weights good for any working directory: FOLDER, MODEL:FILE, hub id."""
    name, colon, file = location.partition(":")
    if Path(location).exists():
        return str(Path(location).absolute())
    return f"{name}:{Path(file).absolute()}" if colon and Path(file).is_file() else location


def held_out_pairs(recipe: Recipe, machine: Machine, count: int) -> Sequence[Pair]:
    """Make pairs beyond the dataset's last index: of its seed, but in no dataset of this size."""
    samples = recipe.dataset.samples
    specs = [
        SampleSpec(index=index, seed=recipe.dataset.seed, duration=samples)
        for index in range(samples, samples + count)
    ]
    return plain_factory(recipe, machine)().pairs(specs)
