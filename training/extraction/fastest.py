"""What draws fastest where it runs: ONNX Runtime on processors, torch on all else.

ONNX Runtime takes a picture as a whole; large ones are drawn by torch, in strips.
"""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.arrays import Pixels
from training.extraction.onnx_extractor import ONNX, OnnxExtractor
from training.extraction.picture_drawer import (
    MOST_BATCH_PIXELS,
    OnShare,
    PictureDrawer,
    be_silent,
)

if TYPE_CHECKING:
    from training.extraction.extractor import Extractor

# A whole picture in ONNX Runtime takes some GiB beyond it.
_MOST_WHOLE_PIXELS = 4 * MOST_BATCH_PIXELS


def has_onnx(folder: Path) -> bool:
    """Tell whether an extractor's folder can be drawn with ONNX Runtime here."""
    return (folder / ONNX).is_file() and find_spec("onnxruntime") is not None


class ProcessorExtractor(PictureDrawer):
    """Draws on the processor: with ONNX Runtime, and large pictures with torch."""

    def __init__(self, folder: Path) -> None:
        """Open a folder for which `has_onnx`; ExtractorError where it is not whole."""
        self._folder = folder
        self._small = OnnxExtractor.load(folder)
        super().__init__(self._small.multiple, self._small.least_side)

    @property
    def device(self) -> str:
        """The processor."""
        return "cpu"

    def draw(self, pictures: Pixels, on_share: OnShare = be_silent) -> Pixels:
        """Draw pictures of a fitting size."""
        large = pictures.shape[1] * pictures.shape[2] > _MOST_WHOLE_PIXELS
        return (self._large if large else self._small).draw(pictures, on_share)

    @cached_property
    def _large(self) -> Extractor:
        # Here: who draws small pictures only waits for no torch.
        from training.extraction.extractor import Extractor

        return Extractor.load(self._folder)
