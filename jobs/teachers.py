"""A run's teacher at work: for the dataset's workers, and on samples that no dataset holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from jobs.artefacts import RunFolder
from jobs.devices import Machine
from jobs.weights import locate_backbone
from pipeline.pair import Pair, SampleSpec
from pipeline.recipe import Recipe
from pipeline.teacher import Teacher, load_teacher


@dataclass(frozen=True)
class TeacherFactory:
    """Loads a run's teacher when called; goes to worker processes, so that paths are absolute."""

    name: str
    folder: Path
    backbone: str
    device: str
    dtype: torch.dtype

    def __call__(self) -> Teacher:
        """Load the teacher."""
        return load_teacher(self.name, self.folder, self.backbone, self.device, self.dtype)

    def fingerprint(self) -> dict[str, str]:
        """Load the teacher on the CPU, to know what it is made of, and drop it again."""
        return replace(self, device="cpu")().fingerprint


def teacher_factory(recipe: Recipe, machine: Machine) -> TeacherFactory:
    """Make the factory of a run's teacher."""
    location = locate_backbone(recipe.backbone)
    backbone = str(Path(location).absolute()) if Path(location).is_dir() else location
    folder = RunFolder(recipe.run_path).teacher.absolute()
    return TeacherFactory(recipe.teach.teacher, folder, backbone, machine.device, machine.dtype)


def held_out_pairs(recipe: Recipe, machine: Machine, count: int) -> Sequence[Pair]:
    """Make pairs beyond the dataset's last index: of its seed, but in no dataset of this size."""
    samples = recipe.dataset.samples
    specs = [
        SampleSpec(index=index, seed=recipe.dataset.seed, duration=samples)
        for index in range(samples, samples + count)
    ]
    return teacher_factory(recipe, machine)().pairs(specs)
