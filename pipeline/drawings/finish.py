"""What is done with a drawing once it is drawn: its lines changed, and the form of its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from pipeline.arrays import Pixels
from pipeline.drawings.lines import MOST_THICKNESS_PX, over_nothing, thickened, thresholded
from pipeline.drawings.vectors import SVG_KINDS, SvgKind, svg_of
from pipeline.images.write import png_bytes

Form: TypeAlias = Literal["grey", "alpha", "outline", "centerline"]


@dataclass(frozen=True)
class Finish:
    """How lines are changed, and which file a drawing becomes.

    Attributes:
        form: "grey" lines on paper; "alpha", ink over nothing; SVG of "outline" or "centerline".
        threshold: in (0, 1); what is darker becomes black, all else white. None: greys stay, and
            SVG takes the best for each drawing.
        thickness: pixels by which lines grow on either side, or shrink where negative.
        invert: white on black.

    Raises:
        ValueError: one of them is not what is said above.
    """

    form: Form = "grey"
    threshold: float | None = None
    thickness: int = 0
    invert: bool = False

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise ValueError(f"form: expected one of {', '.join(get_args(Form))}, got {self.form}")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ValueError(f"threshold: expected between 0 and 1, got {self.threshold}")
        if abs(self.thickness) > MOST_THICKNESS_PX:
            raise ValueError(
                f"thickness: expected at most {MOST_THICKNESS_PX} px, got {self.thickness}"
            )

    @property
    def suffix(self) -> str:
        """The end of a file's name."""
        return ".svg" if self.form in SVG_KINDS else ".png"

    def svg(self, drawing: Pixels) -> str:
        """Trace a drawing, uint8 (H, W), 255 = paper; outlines where no form is asked for."""
        kind: SvgKind = "centerline" if self.form == "centerline" else "outline"
        return svg_of(thickened(drawing, self.thickness), kind, self.threshold, self.invert)

    def grey(self, drawing: Pixels) -> Pixels:
        """Return a drawing, uint8 (H, W), with its lines changed."""
        lines = self._lines(drawing)
        return 255 - lines if self.invert else lines

    def alpha(self, drawing: Pixels, opacity: Pixels | None = None) -> Pixels:
        """Return a drawing as ink over nothing, uint8 (H, W, 2).

        Args:
            drawing: uint8 (H, W), 255 = paper.
            opacity: of the photograph, uint8 (H, W): there is no ink where it is transparent.
        """
        return over_nothing(self._lines(drawing), self.invert, opacity)

    def encoded(self, drawing: Pixels, opacity: Pixels | None = None) -> bytes:
        """Return the content of a drawing's file; the arguments are those of `alpha`."""
        if self.suffix == ".svg":
            return self.svg(drawing).encode()
        if self.form == "alpha":
            return png_bytes(self.alpha(drawing, opacity))
        return png_bytes(np.ascontiguousarray(self.grey(drawing)))

    def _lines(self, drawing: Pixels) -> Pixels:
        lines = thickened(drawing, self.thickness)
        return lines if self.threshold is None else thresholded(lines, self.threshold)
