"""Drawing pictures with an extractor, in the way of the field's image processors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from onesketch.pictures import Picture, to_pixels
from pipeline.arrays import Pixels
from pipeline.storage.address import is_address
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import ExtractorError

OutputType = Literal["pil", "np", "pt", "alpha"]
Drawing: TypeAlias = "Image.Image | Pixels | Tensor"
# Pixels on either side: beyond them a line fills whole pictures.
MOST_THICKNESS = 32


class SketchExtractor:
    """Draws pictures of any size, dark on white, at exactly their size.

    Threads may share one.
    """

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor

    @classmethod
    def from_pretrained(
        cls,
        location: str | Path,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        revision: str | None = None,
        download: bool = False,
    ) -> Self:
        """Open an extractor.

        Args:
            location: the folder that `onesketch distill` finished; its s3://... address; or a
                repository's name on the Hugging Face hub.
            device: where to draw.
            dtype: of the network's numbers.
            revision: of the hub's repository.
            download: let the hub's files be downloaded; else they must be in the local cache.

        Raises:
            ExtractorError: there is no extractor, or not a whole one.
        """
        folder = _locate(str(location), revision, download)
        return cls(Extractor.load(folder, device, dtype))

    @property
    def device(self) -> str:
        """Where it draws."""
        return self._extractor.device

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device; return this extractor."""
        self._extractor.network.to(device)
        self._extractor.device = str(device)
        return self

    def __call__(
        self,
        images: Picture | Sequence[Picture],
        short_side: int | None = None,
        invert: bool = False,
        threshold: float | None = None,
        thickness: int = 0,
        batch_size: int = 8,
        output_type: OutputType = "pil",
    ) -> Drawing | list[Drawing]:
        """Draw a picture, or several of any sizes.

        Args:
            images: one picture or a list: PIL images, which are turned upright; arrays (H, W),
                (H, W, 3) or (H, W, 4), or batches (B, H, W, C); tensors (C, H, W) or
                (B, C, H, W). Numbers are uint8, or floats in [0, 1].
            short_side: pixels; draw at this resolution and bring the drawing back to the picture's
                size. None: at the picture's own.
            invert: white on black.
            threshold: in (0, 1); what is darker becomes black, all else white. None: greys stay.
            thickness: pixels by which lines grow on either side, or shrink where negative; at most
                `MOST_THICKNESS`.
            batch_size: the most pictures of one size that are drawn at once.
            output_type: "pil": images of mode L; "np": uint8 (H, W); "pt": float32 (1, H, W) in
                [0, 1]; "alpha": PIL images of mode LA, ink that is black over nothing.

        Returns:
            The drawing; a list of drawings for a list or a batch.

        Raises:
            ValueError: a picture or an argument is not what is said above.
        """
        _check(short_side, threshold, thickness, batch_size, output_type)
        pictures, single = to_pixels(images)
        drawn = self._draw(pictures, short_side, batch_size)
        finished = [
            _present(_touched(drawing, threshold, thickness), invert, output_type)
            for drawing in drawn
        ]
        return finished[0] if single else finished

    def _draw(
        self, pictures: list[Pixels], short_side: int | None, batch_size: int
    ) -> Iterator[Pixels]:
        if short_side is None:
            return self._extractor.sketches(pictures, batch_size)
        return (self._extractor.sketch(picture, short_side) for picture in pictures)


def _locate(location: str, revision: str | None, download: bool) -> Path:
    """Find an extractor's folder, and bring it here where it is elsewhere."""
    if is_address(location):
        from pipeline.storage.node_cache import NodeCache

        return Path(NodeCache().local_path(location))
    folder = Path(location).expanduser()
    if folder.exists() or location.count("/") != 1 or location.startswith((".", "~")):
        return folder
    # A hub id has one slash, as folders may have, too; those that are there go first.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(location, revision=revision, local_files_only=not download))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise ExtractorError(
            f"{location}: no such folder, and not in the hub's local cache: expected the folder "
            "that `onesketch distill` finished, or `download=True`"
        ) from error


def _check(
    short_side: int | None,
    threshold: float | None,
    thickness: int,
    batch_size: int,
    output_type: str,
) -> None:
    for name, value, fine, expected in (
        ("short_side", short_side, short_side is None or short_side >= 1, "1 pixel or more"),
        ("threshold", threshold, threshold is None or 0 < threshold < 1, "between 0 and 1"),
        ("thickness", thickness, abs(thickness) <= MOST_THICKNESS, f"at most {MOST_THICKNESS} px"),
        ("batch_size", batch_size, batch_size >= 1, "1 or more"),
        (
            "output_type",
            output_type,
            output_type in get_args(OutputType),
            f"one of {', '.join(get_args(OutputType))}",
        ),
    ):
        if not fine:
            raise ValueError(f"{name}: expected {expected}, got {value!r}")


def _touched(drawing: Pixels, threshold: float | None, thickness: int) -> Pixels:
    """Change a drawing's lines, uint8 (H, W), 255 = paper."""
    if thickness:
        window = ImageFilter.MinFilter if thickness > 0 else ImageFilter.MaxFilter
        grown = Image.fromarray(drawing).filter(window(2 * abs(thickness) + 1))
        drawing = np.asarray(grown)
    if threshold is not None:
        drawing = np.where(drawing < threshold * 255, 0, 255).astype(np.uint8)
    return drawing


def _present(drawing: Pixels, invert: bool, output_type: OutputType) -> Any:
    """Give a drawing, uint8 (H, W), 255 = paper, in the form that was asked for."""
    if output_type == "alpha":
        ink = np.full_like(drawing, 255 if invert else 0)
        return Image.fromarray(np.stack([ink, 255 - drawing], axis=-1), mode="LA")
    shown = 255 - drawing if invert else drawing
    if output_type == "np":
        return shown
    if output_type == "pt":
        return torch.from_numpy(np.ascontiguousarray(shown))[None].float() / 255
    return Image.fromarray(shown)
