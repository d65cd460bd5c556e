"""Pictures that a taught DiffSketch's backbone samples, without drawing them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.sampling import decode, denoise
from pipeline.pair import SampleSpec
from pipeline.pixels import image_to_uint8
from pipeline.systems.conditions import PRIOR_FILE, Conditions, SampledConditions
from pipeline.systems.diffsketch import BACKBONE, DiffSketchTeacher
from pipeline.teachers.pictures import Columns, PictureBatch
from pipeline.teachers.slots import slot_batches
from pipeline.teachers.teacher import TeacherFiles, check_finite


class SampledPictures:
    """The images of `DiffSketchTeacher`'s pairs, by the same addresses."""

    def __init__(
        self, backbone: Backbone, sampled: SampledConditions, fingerprint: dict[str, str]
    ) -> None:
        self.backbone = backbone
        self.sampled = sampled
        self.fingerprint = fingerprint

    @classmethod
    def load(cls, files: TeacherFiles, image_size: int) -> SampledPictures:
        """Open the backbone of a taught teacher.

        Raises:
            ValueError: a file is missing, the backbone is not the one that was taught on, or it
                samples at another size.
        """
        fingerprint = DiffSketchTeacher.fingerprint_of(files)
        prior = ConditionPrior.load(files.folder / PRIOR_FILE)
        sampled = SampledConditions(Conditions.load(files.folder), prior)
        backbone = load_backbone(files.locations[BACKBONE], files.device, files.dtype)
        if backbone.image_size != image_size:
            raise ValueError(
                f"the backbone samples pictures of {backbone.image_size} pixels a side; expected "
                f"{image_size}"
            )
        return cls(backbone, sampled, fingerprint)

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return self.backbone.image_size

    @torch.no_grad()
    def pictures(self, specs: Sequence[SampleSpec]) -> PictureBatch:
        """Sample the images of `specs`, in their order; SamplingError for one not finite."""
        sampling = self.sampled.conditions.sampling
        images, columns = [], list[Columns]()
        for batch in slot_batches(specs, sampling.batch):
            embeddings = self.sampled.embeddings(batch.filled)
            noise = self.sampled.noise(self.backbone, batch.filled)
            *_, last = denoise(self.backbone, embeddings, noise, sampling, ())
            made, _ = decode(self.backbone, last.latents, lambda _n, v: v[:0])
            check_finite([spec.index for spec in batch.filled], made)
            decoded = image_to_uint8(made)
            images += [decoded[batch.slot(spec)] for spec in batch.asked]
            columns += [self.sampled.columns(spec) for spec in batch.asked]
        return PictureBatch(np.stack(images), columns)
