"""The fast extractor: photographs of any size in, drawings of the same size out.

B: pictures, H, W: pixels. Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.arrays import Pixels
from pipeline.canonical import sha256_of_file
from pipeline.pixels import channels_first, signed_from_uint8, sketch_to_uint8, unit_from_signed
from training.extraction.extractor_folder import CONFIG, MODEL, ExtractorError, read_config
from training.extraction.picture_drawer import (
    MOST_BATCH_PIXELS,
    OnShare,
    PictureDrawer,
    be_silent,
)
from training.extraction.strips import Layered, StripRunner
from training.students.registry import STUDENTS


class Extractor(PictureDrawer):
    """A student's drawing network, ready to draw; threads may share it."""

    def __init__(
        self,
        network: nn.Module,
        least_side: int,
        config: Mapping[str, Any],
        device: str,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(config["multiple"], least_side)
        self.network = network.eval().requires_grad_(False)
        self.config = config
        self._device = device
        self.dtype = dtype

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Extractor:
        """Load what `onesketch distill` left in a folder.

        Args:
            folder: with config.json and model.safetensors.
            device: where the network runs.
            dtype: of its convolutions.

        Raises:
            ExtractorError: the folder does not hold a whole extractor.
        """
        folder, device = Path(folder), str(device)
        config = read_config(folder)
        path = folder / MODEL
        if config["student"] not in STUDENTS:
            raise ExtractorError(
                f"{folder / CONFIG}: student {config['student']!r} is not known here; expected "
                f"one of {', '.join(sorted(STUDENTS))}"
            )
        student = STUDENTS[config["student"]]
        network = student.network_from(config["network"])
        try:
            if sha256_of_file(path) != config["sha256"]:
                raise ExtractorError(_other_file(path))
            network.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ExtractorError(f"{path} cannot be read: {error}") from error
        layout = torch.channels_last if device.startswith("cuda") else torch.contiguous_format
        network.to(device=device, dtype=dtype)
        network.to(memory_format=layout)  # the type stubs know it only without a dtype
        least_side = student.least_side(config["network"])
        return cls(network, least_side, config, device, dtype)

    @property
    def device(self) -> str:
        """Where the network is."""
        return self._device

    def move_to(self, device: str) -> None:
        """Move the network."""
        self.network.to(device)
        self._device = device

    @torch.no_grad()
    def draw(self, pictures: Pixels, on_share: OnShare = be_silent) -> Pixels:
        """Draw pictures of a fitting size, a large one in strips (to one grey level the same)."""
        _, height, width = pictures.shape[:3]
        network = self.network
        if height * width > MOST_BATCH_PIXELS and isinstance(network, Layered):
            runner = StripRunner(network.layers)
            drawings = np.empty(pictures.shape[:3], np.uint8)
            for picture, drawing in zip(pictures, drawings, strict=True):
                row = 0
                for strip in runner.run(self._rows(picture), (height, width), on_share):
                    drawing[row : row + strip.shape[2]] = self._to_drawings(strip)[0]
                    row += strip.shape[2]
            return drawings
        x = torch.cat([self._to_network(picture) for picture in pictures])  # (B, 3, H, W)
        drawings = self._to_drawings(network(x))
        on_share(1.0)
        return drawings

    def _rows(self, picture: Pixels) -> Callable[[int, int], Tensor]:
        return lambda start, stop: self._to_network(picture[start:stop])

    def _to_network(self, picture: Pixels) -> Tensor:
        """Bring a picture (H, W, 3) to the network as (1, 3, H, W) in [-1, 1]."""
        return signed_from_uint8(channels_first(picture[None], self.device)).to(self.dtype)

    def _to_drawings(self, sketches: Tensor) -> Pixels:
        """Convert the network's output, (B, 1, H, W) in [-1, 1], to uint8 (B, H, W)."""
        if not bool(torch.isfinite(sketches).all()):
            # It would come out black, or white, in silence.
            raise ExtractorError(
                f"{str(self.dtype).removeprefix('torch.')} is too small for the numbers of this "
                "network: use bfloat16 or float32"
            )
        return sketch_to_uint8(unit_from_signed(sketches.float()))


def _other_file(path: Path) -> str:
    if path.stat().st_size < 1024 and path.read_bytes().startswith(b"version https://git-lfs"):
        return (
            f"{path} is Git LFS's note of where the weights are, not the weights: fetch them with "
            "`git lfs pull`"
        )
    return (
        f"{path} is not the file that {CONFIG} describes: its SHA-256 differs. "
        "Run `onesketch distill` again"
    )
