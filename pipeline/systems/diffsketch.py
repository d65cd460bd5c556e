"""DiffSketch as a teacher: sample images and draw them with G_sketch (DiffSketch 4, 4.4).

Folder `teacher/`: gsketch.safetensors and config.json (the generator), prior.safetensors (D_SD),
condition.safetensors (the example's condition C, and how to sample). Shapes: B images of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.canonical import sha256_of_file
from pipeline.diffusion.backbone import (
    Backbone,
    backbone_folder,
    fingerprint_folder,
    load_backbone,
)
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.gsketch.network import CONFIG_FILE, WEIGHTS_FILE, GSketch
from pipeline.gsketch.streaming import draw_while_sampling
from pipeline.pair import Pair, SampleSpec
from pipeline.pixels import image_to_uint8, sketch_to_uint8
from pipeline.systems.conditions import (
    CONDITION_FILE,
    PRIOR_FILE,
    Conditions,
    SampledConditions,
)
from pipeline.teachers.slots import SlotBatch, slot_batches
from pipeline.teachers.teacher import TeacherFiles, check_finite

BACKBONE = "backbone"
_FILES = (WEIGHTS_FILE, CONFIG_FILE, PRIOR_FILE, CONDITION_FILE)


class DiffSketchTeacher:
    """Makes pairs; pair i depends on its spec and on this teacher's files, and on nothing else.

    It draws while it samples, in batches of `sampling.batch` slots. The number of threads can
    matter on processors, too: Ray gives each worker's torch as many as it has cores, one unless
    told otherwise.
    """

    def __init__(
        self,
        backbone: Backbone,
        sketcher: GSketch,
        prior: ConditionPrior,
        conditions: Conditions,
        fingerprint: dict[str, str],
    ) -> None:
        self.backbone = backbone
        self.sketcher = sketcher.to(backbone.device, backbone.dtype).requires_grad_(False).eval()
        self.sampled = SampledConditions(conditions, prior)
        self.fingerprint = fingerprint

    @staticmethod
    def check_taught(folder: Path) -> None:
        """Raise ValueError unless a teacher's folder has all its files."""
        for name in _FILES:
            if not (folder / name).is_file():
                raise ValueError(f"{folder}: {name} is missing: run `onesketch teach` first")

    @classmethod
    def fingerprint_of(cls, files: TeacherFiles) -> dict[str, str]:
        """Hash a taught teacher's files and those of its backbone; no model is loaded.

        Where the backbone's location is left out, what the teacher's own record says of it counts.

        Raises:
            ValueError: a file is missing, or the backbone is not the one that was taught on.
        """
        cls.check_taught(files.folder)
        conditions = Conditions.load(files.folder)
        location = files.locations.get(BACKBONE)
        found = fingerprint_folder(backbone_folder(location)) if location else conditions.backbone
        return _fingerprint(files, conditions, found)

    @classmethod
    def load(cls, files: TeacherFiles) -> DiffSketchTeacher:
        """Load a taught teacher.

        Raises:
            ValueError: a file is missing, or the backbone is not the one that was taught on.
        """
        cls.check_taught(files.folder)
        conditions = Conditions.load(files.folder)
        backbone = load_backbone(files.locations[BACKBONE], files.device, files.dtype)
        fingerprint = _fingerprint(files, conditions, backbone.fingerprint)
        prior = ConditionPrior.load(files.folder / PRIOR_FILE)
        return cls(backbone, GSketch.load(files.folder), prior, conditions, fingerprint)

    @property
    def image_size(self) -> int:
        """Side of images and sketches in pixels."""
        return self.backbone.image_size

    def pairs(self, specs: Sequence[SampleSpec]) -> Sequence[Pair]:
        """Make the pairs of `specs`, in their order.

        Raises:
            SamplingError: a sample is not finite.
        """
        batches = slot_batches(specs, self.sampled.conditions.sampling.batch)
        return [pair for batch in batches for pair in self._made(batch)]

    def _made(self, batch: SlotBatch[SampleSpec]) -> Iterator[Pair]:
        images, sketches = draw_while_sampling(
            self.backbone,
            self.sketcher,
            self.sampled.embeddings(batch.filled),
            self.sampled.noise(self.backbone, batch.filled),
            self.sampled.conditions.sampling,
        )
        check_finite([spec.index for spec in batch.filled], images, sketches)
        image_pixels, sketch_pixels = image_to_uint8(images), sketch_to_uint8(sketches)
        for spec in batch.asked:
            slot = batch.slot(spec)
            columns = self.sampled.columns(spec)
            yield Pair(spec.index, image_pixels[slot], sketch_pixels[slot], columns)


def _fingerprint(
    files: TeacherFiles, conditions: Conditions, backbone: Mapping[str, str]
) -> dict[str, str]:
    conditions.check_backbone(backbone, files.locations.get(BACKBONE, ""), files.folder)
    hashes = {f"backbone/{name}": digest for name, digest in backbone.items()}
    return hashes | {f"teacher/{name}": sha256_of_file(files.folder / name) for name in _FILES}
