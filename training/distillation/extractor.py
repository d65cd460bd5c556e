"""The fast extractor: photographs of any size in, drawings of the same size out.

Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper. Files of its folder:
model.safetensors (the drawing network) and config.json (its sizes, hash and origin), written last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.arrays import Pixels, check_picture
from pipeline.canonical import sha256_of_file
from pipeline.images.resize import resized
from pipeline.pixels import image_from_uint8, sketch_to_uint8, unit_from_signed
from pipeline.whole_file import write_json, write_tensors
from training.students.registry import STUDENTS, find_student
from training.students.student import Student

FORMAT = "onesketch-extractor/1"
CONFIG, MODEL = "config.json", "model.safetensors"
# Larger pictures are drawn at this size and the drawing is enlarged: at full width a generator
# holds some 300 bytes per pixel and channel of its first layer.
MAX_PIXELS = 2**24


class ExtractorError(ValueError):
    """A folder that holds no usable extractor."""


class Extractor:
    """A student's drawing network, ready to draw."""

    def __init__(
        self,
        network: nn.Module,
        least_side: int,
        config: Mapping[str, Any],
        device: str,
        dtype: torch.dtype,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.multiple: int = config["multiple"]
        self.least_side = least_side
        self.config = config
        self.device = device
        self.dtype = dtype

    @classmethod
    def load(
        cls, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> Extractor:
        """Load what `onesketch distill` left in a folder.

        Args:
            folder: with config.json and model.safetensors.
            device: where the network runs.
            dtype: of its convolutions.

        Raises:
            ExtractorError: the folder does not hold a whole extractor.
        """
        config = read_config(folder)
        path = folder / MODEL
        student = find_student(config["student"])
        network = student.network_from(config["network"])
        try:
            if sha256_of_file(path) != config["sha256"]:
                raise ExtractorError(
                    f"{path} is not the file that {CONFIG} describes: its SHA-256 differs. "
                    "Run `onesketch distill` again"
                )
            network.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ExtractorError(f"{path} cannot be read: {error}") from error
        layout = torch.channels_last if device.startswith("cuda") else torch.contiguous_format
        network.to(device=device, dtype=dtype)
        network.to(memory_format=layout)  # the type stubs know it only without a dtype
        least_side = student.least_side(config["network"])
        return cls(network, least_side, config, device, dtype)

    def sketch(self, image: Pixels, short_side_px: int | None = None) -> Pixels:
        """Draw one picture.

        Args:
            image: uint8 (H, W, 3) of any size; above MAX_PIXELS it is always drawn smaller.
            short_side_px: draw at this resolution and bring the drawing back to the picture's size;
                the default is the picture's own.

        Returns:
            The drawing, uint8 (H, W), 255 = paper.

        Raises:
            ValueError: the picture has another type or shape.
        """
        check_picture(image)
        height, width = image.shape[:2]
        drawn = self._draw(resized(image, *working_size(height, width, short_side_px))[None])[0]
        return resized(drawn, height, width)

    def sketches(self, images: Iterable[Pixels], batch: int = 8) -> Iterator[Pixels]:
        """Draw many pictures as `sketch` does, neighbours of one size together in batches.

        Batches hold no more pixels than one large picture.
        """
        waiting: list[Pixels] = []
        for image in images:
            check_picture(image)
            room = max(1, min(batch, MAX_PIXELS // (image.shape[0] * image.shape[1])))
            if waiting and (image.shape != waiting[0].shape or len(waiting) == room):
                yield from self._draw_equal(waiting)
                waiting = []
            waiting.append(image)
        if waiting:
            yield from self._draw_equal(waiting)

    def _draw_equal(self, images: list[Pixels]) -> Iterator[Pixels]:
        height, width = images[0].shape[:2]
        size = working_size(height, width, None)
        drawn = self._draw(np.stack([resized(image, *size) for image in images]))
        yield from (resized(drawing, height, width) for drawing in drawn)

    @torch.no_grad()
    def _draw(self, images: Pixels) -> Pixels:
        """Draw at the pictures' own size: (B, H, W, 3) -> (B, H, W)."""
        height, width = images.shape[1:3]
        padded = reflected(images, self.multiple, self.least_side)
        x = torch.cat([image_from_uint8(image) for image in padded])  # (B, 3, H', W')
        sketches: Tensor = self.network(x.to(self.device, self.dtype))
        return sketch_to_uint8(unit_from_signed(sketches[..., :height, :width].float()))


def working_size(height: int, width: int, short_side_px: int | None) -> tuple[int, int]:
    """Return the size (H, W) at which a picture is drawn."""
    scale = 1.0 if short_side_px is None else short_side_px / min(height, width)
    scale = min(scale, (MAX_PIXELS / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))


def reflected(images: Pixels, multiple: int, least: int) -> Pixels:
    """Continue pictures (B, H, W, 3) by reflection to the right and below.

    Args:
        multiple: of which the sides become whole ones.
        least: the least side, in pixels.
    """
    below, right = (
        max(least, -(-side // multiple) * multiple) - side for side in images.shape[1:3]
    )
    return np.pad(images, ((0, 0), (0, below), (0, right), (0, 0)), mode="reflect")


def write_extractor(folder: Path, student: Student, name: str, metadata: Mapping[str, Any]) -> None:
    """Write a student's drawing network; config.json comes last and makes it complete.

    Args:
        folder: made if absent.
        student: whose `network` is written, in single precision.
        name: the student's in the registry.
        metadata: further JSON-able keys of config.json.
    """
    tensors = {key: t.float() for key, t in student.network.state_dict().items()}
    write_tensors(folder / MODEL, tensors)
    config = {
        **metadata,
        "format": FORMAT,
        "student": name,
        "network": student.network_config,
        "multiple": student.multiple,
        "sha256": sha256_of_file(folder / MODEL),
    }
    write_json(folder / CONFIG, config, sort_keys=True)


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json.

    Raises:
        ExtractorError: it is missing, broken or of another format.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ExtractorError(
            f"{folder} holds no extractor ({CONFIG} is missing): expected the "
            "folder that `onesketch distill` finished"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExtractorError(f"{path} cannot be read: {error}") from error
    wanted = {"format", "student", "network", "multiple", "sha256"}
    if not isinstance(config, dict) or config.get("format") != FORMAT or wanted - config.keys():
        raise ExtractorError(
            f"{path} does not describe an extractor of the format {FORMAT}: use the version of "
            "onesketch that wrote it"
        )
    if config["student"] not in STUDENTS:
        raise ExtractorError(
            f"{path}: student {config['student']!r} is not known here; expected "
            f"one of {', '.join(sorted(STUDENTS))}"
        )
    return config
