"""A run's teacher at work: for the dataset's workers, and on samples that no dataset holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.nodes.cluster import in_cluster
from jobs.nodes.models import Models, check_seen, find_model
from jobs.runtime.devices import choose_machine
from jobs.runtime.session import Session
from jobs.runtime.weights import ModelKind, locate, locate_backbone
from pipeline.arrays import Pixels
from pipeline.diffusion.example import load_example
from pipeline.pair import Pair, SampleSpec
from pipeline.storage.address import is_address
from pipeline.storage.node_cache import NodeCache
from pipeline.systems.registry import find_teacher, load_teacher
from pipeline.teachers.scored import ScoringTeacher
from pipeline.teachers.teacher import Teacher, TeacherFiles, join_fingerprints
from training.encoders.clip import clip_files_sha256, load_clip
from training.evaluation.agreement import ClipAgreement, fingerprint_of_agreement
from training.oneshot.record import check_same_teacher, taught_clip
from training.tensor_hash import sha256_of_network


@dataclass(frozen=True)
class TeacherFactory:
    """Loads a run's teacher together with the CLIP that scores its pairs against the example.

    It is called on any node. What lies at an address is fetched into that node's cache; the
    example, image uint8 (H, W, 3) and drawing uint8 (H, W), is part of the factory.

    Attributes:
        name: of the system.
        folder: of the taught teacher: a path that every node sees, or an address.
        models: that it was taught on, by names that are good on every node (`jobs.nodes.models`).
        clip: name of the CLIP that scores, likewise.
        slots: of the sampling's batches.
        device: for the process that calls it, as `choose_machine` has it; likewise `dtype`.
        cache: of the node that calls it.
    """

    name: str
    folder: str
    models: Mapping[ModelKind, str]
    clip: str
    image: Pixels
    drawing: Pixels
    slots: int
    device: str = "auto"
    dtype: str = "auto"
    cache: NodeCache = NodeCache()

    def __call__(self) -> Teacher:
        """Load the teacher and its scorer.

        Raises:
            ValueError: something is missing on this node, or the images have another size.
        """
        files = self.files()
        clip = load_clip(find_model("clip", self.clip, self.cache), files.device)
        scorer = ClipAgreement(clip, self.image, self.drawing)
        teacher, side = load_teacher(self.name, files), len(self.image)
        if teacher.image_size != side:
            raise ValueError(
                f"the teacher makes images of {teacher.image_size} pixels a side, and the example "
                f"has {side}: a student learns from both, so that they must be alike"
            )
        return ScoringTeacher(teacher, scorer, self.slots)

    def files(self) -> TeacherFiles:
        """Fetch what is missing on this node, and say where it lies.

        Raises:
            ValueError: this node does not see a folder that the driver sees.
        """
        machine = choose_machine(self.device, self.dtype)
        for location in (self.folder, locate("clip", self.clip)):
            check_seen(location)
        return TeacherFiles(
            folder=Path(self.cache.local_path(self.folder)),
            locations={kind: find_model(kind, at, self.cache) for kind, at in self.models.items()},
            device=machine.device,
            dtype=machine.dtype,
        )

    def fingerprint(self) -> dict[str, str]:
        """Return the fingerprint that the loaded teacher would have, without loading it.

        Workers compare it with what they load. In a cluster the driver's machine may lack the
        models: then what the teacher's record says of them counts. The CLIP is loaded only if the
        record does not know it.

        Raises:
            ValueError: a file of the teacher, its models or the CLIP is missing.
        """
        taught = Path(self.cache.local_path(self.folder))
        locations = {kind: locate(kind, name) for kind, name in self.models.items()}
        here: dict[str, str] = {kind: at for kind, at in locations.items() if _is_here(at)}
        own = locate("clip", self.clip)
        clip = taught_clip(taught, clip_files_sha256(own) if _is_here(own) else None)
        clip = clip or sha256_of_network(load_clip(find_model("clip", self.clip, self.cache)))
        return join_fingerprints(
            find_teacher(self.name).fingerprint_of(TeacherFiles(taught, here)),
            fingerprint_of_agreement(clip, self.image, self.drawing),
        )


def teacher_factory(session: Session, device: str | None = None) -> TeacherFactory:
    """Make the factory of a run's teacher.

    Args:
        device: of the processes that will call it; by default the one that was asked for.

    Raises:
        ValueError: there is no taught teacher, or no example.
    """
    recipe, place = session.recipe, session.place
    place.fetch("source", "teacher")
    folder = place.folder.teacher
    check_same_teacher(folder, recipe.teach.teacher)
    find_teacher(recipe.teach.teacher).check_taught(folder)
    example = load_example(recipe, place.folder.source, session.drawing)
    models = Models.of(recipe)
    if not in_cluster():
        locate_backbone(models.backbone)
    return TeacherFactory(
        name=recipe.teach.teacher,
        folder=f"{recipe.run}/teacher" if place.store else str(folder.absolute()),
        models={"backbone": models.backbone},
        clip=models.clip,
        image=example.image,
        drawing=example.drawing,
        slots=recipe.sampler.batch,
        device=device or session.asked.device,
        dtype=session.asked.dtype,
        cache=session.cache,
    )


def held_out_pairs(session: Session, count: int) -> Sequence[Pair]:
    """Make pairs beyond the dataset's last index: of its seed, but in no dataset of this size."""
    recipe = session.recipe
    samples = recipe.dataset.samples
    specs = [
        SampleSpec(index=index, seed=recipe.dataset.seed, duration=samples)
        for index in range(samples, samples + count)
    ]
    return load_teacher(recipe.teach.teacher, teacher_factory(session).files()).pairs(specs)


def _is_here(location: str) -> bool:
    """Tell whether a model's files are to be checked on this machine; alone it needs them."""
    name, _, file = location.partition(":")
    if is_address(location) or is_address(file):
        return False
    return not in_cluster() or Path(location).exists() or Path(file or name).is_file()
