"""DiffSketch as a drawer of given images: by DDIM inversion, with the taps recorded on the way.

Shapes: B images, S the backbone's image size in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pipeline.arrays import Pixels
from pipeline.diffusion.sampling import encode_prompts
from pipeline.gsketch.streaming import draw_while_inverting
from pipeline.pixels import channels_first, signed_from_uint8, sketch_to_uint8
from pipeline.systems.diffsketch import DiffSketchTeacher
from pipeline.teachers.drawer import DrawnBatch, DrawOptions
from pipeline.teachers.teacher import TeacherFiles, check_finite


class InversionDrawer:
    """A taught DiffSketch that draws images which it did not sample; it uses no random numbers."""

    def __init__(self, teacher: DiffSketchTeacher, options: DrawOptions) -> None:
        self.teacher = teacher
        self.fingerprint = teacher.fingerprint
        self._iterations = options.iterations
        self._condition = encode_prompts(teacher.backbone, [options.prompt])  # (1, L, D)

    @classmethod
    def load(cls, files: TeacherFiles, options: DrawOptions) -> InversionDrawer:
        """Load a taught teacher to draw with; ValueError as `DiffSketchTeacher.load`."""
        return cls(DiffSketchTeacher.load(files), options)

    @property
    def image_size(self) -> int:
        """Side of images and sketches in pixels."""
        return self.teacher.image_size

    @property
    def batch(self) -> int:
        """How many images are drawn together: as many as are sampled together."""
        return self.teacher.sampled.conditions.sampling.batch

    def draw(self, images: Pixels, generators: Sequence[torch.Generator]) -> DrawnBatch:
        """Draw images uint8 (B, S, S, 3); the columns are PSNRs in dB and an RMSE of latents.

        `vae_psnr_db` is the image against its VAE reconstruction; `round_trip_*` is what inverting
        and sampling again adds to that.
        """
        backbone = self.teacher.backbone
        drawn = draw_while_inverting(
            backbone,
            self.teacher.sketcher,
            signed_from_uint8(channels_first(images)).to(backbone.device, backbone.dtype),
            self._condition.expand(len(images), -1, -1),
            self.teacher.sampled.conditions.sampling,
            self._iterations,
        )
        check_finite([f"at {place}" for place in range(len(images))], drawn.sketches)
        fidelity = {
            "vae_psnr_db": drawn.vae_psnr_db.tolist(),
            "round_trip_psnr_db": drawn.round_trip.psnr_db.tolist(),
            "round_trip_latent_rmse": drawn.round_trip.latent_rmse.tolist(),
        }
        columns = [
            dict(zip(fidelity, row, strict=True)) for row in zip(*fidelity.values(), strict=True)
        ]
        return DrawnBatch(sketch_to_uint8(drawn.sketches), columns)
