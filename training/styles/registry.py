"""The styles by name: drawings that need no teacher (DiffSketch 5.2). A new one is a line here.

They are truth for evaluation and baselines to beat.
"""

from __future__ import annotations

from typing import Protocol

from pipeline.arrays import Pixels
from training.styles.baselines import blank, greys, otsu, sobel, stretched
from training.styles.xdog import xdog


class Style(Protocol):
    """A function that draws a picture, with nothing to be taught."""

    def __call__(self, picture: Pixels, /) -> Pixels:
        """Draw a picture uint8 (H, W, 3): -> uint8 (H, W), 255 = paper and 0 = ink.

        Raises:
            ValueError: the picture has another type or shape.
        """
        ...


def edges(picture: Pixels) -> Pixels:
    """Draw soft boundaries of things by the learned network that comes with the package."""
    # Imported here, or every command that lists the styles would wait seconds for torch.
    from training.styles.edges import draw_edges, shipped_edges

    return draw_edges(shipped_edges(), picture)


STYLES: dict[str, Style] = {
    "xdog": xdog,
    "edges": edges,
    "sobel": sobel,
    "blank": blank,
    "otsu": otsu,
    "grey": greys,
    "stretched": stretched,
}
