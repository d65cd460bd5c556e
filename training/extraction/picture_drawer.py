"""What draws pictures of any size, whatever computes the network; without torch.

Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from pipeline.arrays import Pixels, check_picture
from pipeline.images.resize import resized

# Larger pictures are drawn alone, and batches hold no more: at full width a network holds some 300
# bytes per pixel and channel of its first layer.
MOST_BATCH_PIXELS = 2**20

OnShare = Callable[[float], None]


def be_silent(share: float) -> None:
    """Take how much of a picture is drawn, up to 1, and tell nobody."""


class PictureDrawer(ABC):
    """Draws pictures in batches that fit its network: sides of whole multiples, none too small."""

    def __init__(self, multiple: int, least_side: int) -> None:
        self.multiple = multiple
        self.least_side = least_side

    @property
    @abstractmethod
    def device(self) -> str:
        """Where it draws."""

    def move_to(self, device: str) -> None:
        """Draw on another device from now on; ValueError where that cannot be."""
        raise ValueError(f"{type(self).__name__} draws on {self.device}, where it was opened")

    @abstractmethod
    def draw(self, pictures: Pixels, on_share: OnShare = be_silent) -> Pixels:
        """Draw pictures of a fitting size: (B, H, W, 3) -> (B, H, W).

        Args:
            pictures: with sides that are whole `multiple`s, and `least_side` at least.
            on_share: is told how much is done, up to 1.
        """

    def sketch(
        self, image: Pixels, short_side_px: int | None = None, on_share: OnShare = be_silent
    ) -> Pixels:
        """Draw one picture.

        Args:
            image: uint8 (H, W, 3) of any size.
            short_side_px: draw at this resolution and bring the drawing back to the picture's size;
                the default is the picture's own.
            on_share: is told how much is done, up to 1.

        Returns:
            The drawing, uint8 (H, W), 255 = paper.

        Raises:
            ValueError: the picture has another type or shape.
        """
        check_picture(image)
        height, width = image.shape[:2]
        shown = resized(image, *working_size(height, width, short_side_px))
        return resized(self._draw(shown[None], on_share)[0], height, width)

    def sketches(
        self,
        images: Iterable[Pixels],
        batch: int = 8,
        short_side_px: int | None = None,
        on_share: OnShare = be_silent,
    ) -> Iterator[Pixels]:
        """Draw many pictures as `sketch` does, neighbours of one size together in batches.

        Batches hold at most `MOST_BATCH_PIXELS`, or one picture; `on_share` is told how much of
        one is done.
        """
        waiting: list[Pixels] = []
        for image in images:
            check_picture(image)
            height, width = working_size(image.shape[0], image.shape[1], short_side_px)
            room = max(1, min(batch, MOST_BATCH_PIXELS // (height * width)))
            if waiting and (image.shape != waiting[0].shape or len(waiting) == room):
                yield from self._draw_equal(waiting, short_side_px, on_share)
                waiting = []
            waiting.append(image)
        if waiting:
            yield from self._draw_equal(waiting, short_side_px, on_share)

    def _draw_equal(
        self, images: list[Pixels], short_side_px: int | None, on_share: OnShare
    ) -> Iterator[Pixels]:
        height, width = images[0].shape[:2]
        size = working_size(height, width, short_side_px)
        drawn = self._draw(np.stack([resized(image, *size) for image in images]), on_share)
        yield from (resized(drawing, height, width) for drawing in drawn)

    def _draw(self, images: Pixels, on_share: OnShare) -> Pixels:
        """Draw at the pictures' own size: (B, H, W, 3) -> (B, H, W)."""
        height, width = images.shape[1:3]
        padded = reflected(images, self.multiple, self.least_side)
        return self.draw(padded, on_share)[:, :height, :width]


def working_size(height: int, width: int, short_side_px: int | None) -> tuple[int, int]:
    """Return the size (H, W) at which a picture is drawn."""
    scale = 1.0 if short_side_px is None else short_side_px / min(height, width)
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
    if not below and not right:
        return images
    return np.pad(images, ((0, 0), (0, below), (0, right), (0, 0)), mode="reflect")
