"""A run's teacher at work: for the dataset's workers, and on samples that no dataset holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.runtime.devices import Machine
from jobs.runtime.run_folder import RunFolder
from jobs.runtime.weights import locate, locate_backbone
from pipeline.arrays import Pixels
from pipeline.diffusion.example import load_example
from pipeline.pair import Pair, SampleSpec
from pipeline.recipe.recipe import Recipe
from pipeline.systems.registry import find_teacher, load_teacher
from pipeline.teachers.scored import ScoringTeacher
from pipeline.teachers.teacher import Teacher, TeacherFiles, join_fingerprints
from training.encoders.clip import clip_files_sha256, load_clip
from training.encoders.location import absolute_location
from training.evaluation.agreement import ClipAgreement, fingerprint_of_agreement
from training.oneshot.record import check_same_teacher, taught_clip
from training.tensor_hash import sha256_of_network


@dataclass(frozen=True)
class TeacherFactory:
    """Loads a run's teacher together with the CLIP that scores its pairs against the example.

    The example, image uint8 (H, W, 3) and drawing uint8 (H, W), is part of the factory: worker
    nodes need the taught files and the weights only. `slots` are those of the sampling's batches.
    """

    name: str
    files: TeacherFiles
    clip: str
    image: Pixels
    drawing: Pixels
    slots: int

    def __call__(self) -> Teacher:
        """Load the teacher and its scorer; ValueError where its images have another size."""
        scorer = ClipAgreement(load_clip(self.clip, self.files.device), self.image, self.drawing)
        teacher, side = load_teacher(self.name, self.files), len(self.image)
        if teacher.image_size != side:
            raise ValueError(
                f"the teacher makes images of {teacher.image_size} pixels a side, and the example "
                f"has {side}: a student learns from both, so that they must be alike"
            )
        return ScoringTeacher(teacher, scorer, self.slots)

    def fingerprint(self) -> dict[str, str]:
        """Return the fingerprint that the loaded teacher would have, without loading it.

        Workers compare it with what they load. The CLIP is loaded only if it is not known to be the
        one that the teacher was taught with.

        Raises:
            ValueError: a file of the teacher, its models or the CLIP is missing.
        """
        clip = taught_clip(self.files.folder, clip_files_sha256(self.clip))
        clip = clip or sha256_of_network(load_clip(self.clip))
        return join_fingerprints(
            find_teacher(self.name).fingerprint_of(self.files),
            fingerprint_of_agreement(clip, self.image, self.drawing),
        )


def teacher_factory(recipe: Recipe, machine: Machine) -> TeacherFactory:
    """Make the factory of a run's teacher; ValueError without a taught teacher or its example."""
    files = _teacher_files(recipe, machine)
    check_same_teacher(files.folder, recipe.teach.teacher)
    find_teacher(recipe.teach.teacher).check_taught(files.folder)
    example = load_example(recipe, RunFolder(recipe.run_path).source)
    clip = absolute_location(locate("clip", recipe.teach.clip))
    return TeacherFactory(
        recipe.teach.teacher, files, clip, example.image, example.drawing, recipe.sampler.batch
    )


def _teacher_files(recipe: Recipe, machine: Machine) -> TeacherFiles:
    """Say where a run's teacher and its models lie; paths are good for any working directory."""
    return TeacherFiles(
        folder=RunFolder(recipe.run_path).teacher.absolute(),
        locations={"backbone": absolute_location(locate_backbone(recipe.backbone))},
        device=machine.device,
        dtype=machine.dtype,
    )


def held_out_pairs(recipe: Recipe, machine: Machine, count: int) -> Sequence[Pair]:
    """Make pairs beyond the dataset's last index: of its seed, but in no dataset of this size."""
    samples = recipe.dataset.samples
    specs = [
        SampleSpec(index=index, seed=recipe.dataset.seed, duration=samples)
        for index in range(samples, samples + count)
    ]
    return load_teacher(recipe.teach.teacher, _teacher_files(recipe, machine)).pairs(specs)
