"""An extractor in the shape of controlnet_aux' detectors, for ControlNet's pipelines.

It differs from them where people complained: sizes are exact unless a multiple is asked for, and
nothing is downloaded unasked. As theirs, it draws white lines on black.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from PIL import Image

from onesketch.sketch_extractor import SketchExtractor
from pipeline.arrays import Pixels
from pipeline.images.read import pixels_of
from pipeline.images.resize import resized

if TYPE_CHECKING:
    import torch


class OneSketchDetector:
    """Draws the condition image of a ControlNet that was trained on drawings."""

    def __init__(self, extractor: SketchExtractor) -> None:
        self.extractor = extractor

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_or_path: str | Path,
        filename: str | None = None,
        cache_dir: str | None = None,
        local_files_only: bool = True,
        revision: str | None = None,
    ) -> Self:
        """Open an extractor.

        Args:
            pretrained_model_or_path: as `SketchExtractor.from_pretrained`'s location.
            filename: of no use here; theirs name their weights, ours lie in a folder.
            cache_dir: the hub's cache; None: its default.
            local_files_only: False lets the hub's files be downloaded.
            revision: of the hub's repository.

        Raises:
            ExtractorError: there is no extractor.
            ValueError: a file's name is given.
        """
        if filename is not None:
            raise ValueError(
                f"filename {filename!r}: an extractor is a folder, give its path alone"
            )
        return cls(
            SketchExtractor.from_pretrained(
                pretrained_model_or_path,
                revision=revision,
                download=not local_files_only,
                cache=cache_dir,
            )
        )

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device; return this detector."""
        self.extractor.to(device)
        return self

    def __call__(
        self,
        input_image: Image.Image | np.ndarray[Any, Any],
        detect_resolution: int | None = None,
        image_resolution: int | None = None,
        output_type: Literal["pil", "np"] = "pil",
        invert: bool = True,
        multiple: int = 1,
        **kwargs: Any,
    ) -> Image.Image | Pixels:
        """Draw a picture.

        Args:
            input_image: PIL image, or uint8 (H, W, 3).
            detect_resolution: short side in pixels at which it is drawn; None: its own.
            image_resolution: short side in pixels of what comes out; None: that of the picture. The
                other side follows; nothing is cropped.
            output_type: "pil": RGB of three equal channels; "np": uint8 (H, W, 3).
            invert: white lines on black, as ControlNet's line art has them.
            multiple: of which both sides become whole ones; theirs is 64.
            kwargs: `return_pil`, the older form of `output_type`; what else theirs take and ours
                has no use for.

        Raises:
            ValueError: the picture or an argument is not what is said above.
        """
        if "return_pil" in kwargs:
            output_type = "pil" if kwargs["return_pil"] else "np"
        if output_type not in ("pil", "np"):
            raise ValueError(f"output_type: expected pil or np, got {output_type!r}")
        picture = _to_pixels(input_image)
        lines = self.extractor(
            picture, short_side=detect_resolution, invert=invert, output_type="np"
        )
        height, width = _size(picture.shape[:2], image_resolution, multiple)
        shown = np.repeat(resized(np.asarray(lines), height, width)[..., None], 3, axis=2)
        return Image.fromarray(shown) if output_type == "pil" else shown


def _to_pixels(image: Image.Image | np.ndarray[Any, Any]) -> Pixels:
    if isinstance(image, Image.Image):
        return pixels_of(image)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise ValueError(f"expected a PIL image or uint8 (H, W, 3), got {_described(image)}")
    return pixels_of(Image.fromarray(np.ascontiguousarray(image)))


def _described(image: object) -> str:
    if isinstance(image, np.ndarray):
        return f"{image.dtype} {image.shape}"
    return str(type(image))


def _size(size: tuple[int, ...], short_side: int | None, multiple: int) -> tuple[int, int]:
    if multiple < 1 or (short_side is not None and short_side < 1):
        raise ValueError(f"expected whole numbers from 1 on, got {short_side} and {multiple}")
    scale = 1.0 if short_side is None else short_side / min(size)
    height, width = (max(1, round(side * scale / multiple)) * multiple for side in size)
    return height, width
