"""Drawing pictures with an extractor, in the way of the field's image processors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, get_args

import numpy as np
from PIL import Image

from onesketch.pictures import Picture, Seen, to_pixels
from pipeline.arrays import Pixels
from pipeline.drawings.finish import Finish
from pipeline.storage.address import is_address
from training.extraction.extractor_folder import ExtractorError
from training.extraction.picture_drawer import PictureDrawer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

OutputType = Literal["pil", "np", "pt", "alpha", "svg"]
Runtime = Literal["auto", "torch", "onnx"]
Drawing: TypeAlias = "Image.Image | Pixels | Tensor | str"


class SketchExtractor:
    """Draws pictures of any size, dark on white, at exactly their size.

    Threads may share one. A picture's drawing does not depend on those beside it, to one grey
    level; alone and on the same number of threads it has the same bytes each time. Large pictures
    are drawn in strips and take no more memory than a few of their layers' maps.
    """

    def __init__(self, drawer: PictureDrawer) -> None:
        self._drawer = drawer

    @classmethod
    def from_pretrained(
        cls,
        location: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = "float32",
        runtime: Runtime = "auto",
        revision: str | None = None,
        download: bool = False,
        cache: str | Path | None = None,
    ) -> Self:
        """Open an extractor.

        Args:
            location: the folder that `onesketch distill` finished, or `onesketch publish` wrote;
                its s3://... address; or a repository's name on the Hugging Face hub.
            device: where to draw.
            dtype: of the network's numbers: float32, bfloat16, float16.
            runtime: what computes the network. "onnx" takes what `onesketch publish` wrote, and
                needs no torch; "auto" does so on processors where it is there, as it is faster,
                but for large pictures, and else takes "torch".
            revision: of the hub's repository.
            download: let the hub's files be downloaded; else they must be in the local cache.
            cache: the hub's cache; None: its default.

        Raises:
            ExtractorError: there is no extractor, or not a whole one.
            ValueError: `runtime` is unknown, or its extra is not installed.
        """
        if runtime not in get_args(Runtime):
            raise ValueError(f"runtime: expected one of {_listed(Runtime)}, got {runtime!r}")
        folder = _locate(str(location), revision, download, cache)
        if runtime == "onnx":
            from training.extraction.onnx_extractor import OnnxExtractor

            return cls(OnnxExtractor.load(folder, device=str(device)))
        if runtime == "auto" and (str(device), str(dtype).removeprefix("torch.")) == (
            "cpu",
            "float32",
        ):
            from training.extraction.fastest import ProcessorExtractor, has_onnx

            if has_onnx(folder):
                return cls(ProcessorExtractor(folder))
        import torch

        from training.extraction.extractor import Extractor

        number = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
        if not (isinstance(number, torch.dtype) and number.is_floating_point):
            raise ValueError(f"dtype: expected float32, bfloat16 or float16, got {dtype!r}")
        return cls(Extractor.load(folder, device, number))

    @property
    def device(self) -> str:
        """Where it draws."""
        return self._drawer.device

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device; return this extractor.

        Raises:
            ValueError: an ONNX runtime draws on the device that it was opened for.
        """
        self._drawer.move_to(str(device))
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
                32 (`pipeline.drawings.lines.MOST_THICKNESS_PX`).
            batch_size: the most pictures of one size that are drawn at once; large pictures are
                drawn alone.
            output_type: "pil": images of mode L; "np": uint8 (H, W); "pt": float32 (1, H, W) in
                [0, 1]; "alpha": PIL images of mode LA, ink over nothing, and none where the picture
                is transparent; "svg": texts, filled outlines of the lines over nothing.

        Returns:
            The drawing; a list of drawings for a list or a batch.

        Raises:
            ValueError: a picture or an argument is not what is said above.
        """
        finish = Finish(threshold=threshold, thickness=thickness, invert=invert)
        _check(short_side, batch_size, output_type)
        pictures, single = to_pixels(images)
        drawn = self._drawer.sketches(
            (picture.pixels for picture in pictures), batch_size, short_side
        )
        finished = [
            _presented(finish, drawing, picture, output_type)
            for picture, drawing in zip(pictures, drawn, strict=True)
        ]
        return finished[0] if single else finished


def _locate(location: str, revision: str | None, download: bool, cache: str | Path | None) -> Path:
    """Find an extractor's folder, and bring it here where it is elsewhere."""
    if is_address(location):
        from pipeline.storage.node_cache import NodeCache

        return Path(NodeCache().local_path(location))
    folder = Path(location).expanduser()
    if folder.exists() or location.count("/") != 1 or location.startswith((".", "~")):
        return folder
    # A hub id has one slash, as folders may have, too; those that are there go first.
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
        )
    except ImportError as error:
        raise ExtractorError(
            f"{location}: no such folder; if it is a name on the hub: pip install huggingface_hub"
        ) from error
    try:
        return Path(
            snapshot_download(
                location, revision=revision, local_files_only=not download, cache_dir=cache
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise ExtractorError(
            f"{location}: no such folder, and not in the hub's local cache: expected the folder "
            "that `onesketch distill` finished, or `download=True`"
        ) from error


def _check(short_side: int | None, batch_size: int, output_type: str) -> None:
    for name, value, fine, expected in (
        ("short_side", short_side, short_side is None or short_side >= 1, "1 pixel or more"),
        ("batch_size", batch_size, batch_size >= 1, "1 or more"),
        (
            "output_type",
            output_type,
            output_type in get_args(OutputType),
            f"one of {_listed(OutputType)}",
        ),
    ):
        if not fine:
            raise ValueError(f"{name}: expected {expected}, got {value!r}")


def _listed(choices: Any) -> str:
    return ", ".join(get_args(choices))


def _presented(finish: Finish, drawing: Pixels, picture: Seen, output_type: OutputType) -> Any:
    """Give a drawing, uint8 (H, W), 255 = paper, in the form that was asked for."""
    if output_type == "svg":
        return finish.svg(drawing)
    if output_type == "alpha":
        return Image.fromarray(finish.alpha(drawing, picture.opacity), mode="LA")
    shown = finish.grey(drawing)
    if output_type == "np":
        return shown
    if output_type == "pt":
        import torch

        return torch.from_numpy(np.ascontiguousarray(shown))[None].float() / 255
    return Image.fromarray(shown)
