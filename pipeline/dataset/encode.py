"""A pair as the three members of a shard: lossless, quick to write, the same bytes each time."""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.pair_stats import scores
from pipeline.pair import Pair

# Lossless at the least effort: a quarter of the time of PNG's defaults, and no larger.
_WEBP = {"format": "WEBP", "lossless": True, "quality": 0, "method": 0, "exact": True}
# Drawings are runs of paper: looking for runs alone finds as much as PNG's defaults, in a third of
# the time.
_PNG = {"format": "PNG", "compress_level": 1, "compress_type": zlib.Z_RLE}
# WebP's own limit of either side.
_MAX_SIDE = 16383


@dataclass(frozen=True)
class EncodedPair:
    """Contents of one sample's members."""

    index: int
    image: bytes
    sketch: bytes
    metadata: bytes

    @property
    def members(self) -> tuple[tuple[str, bytes], ...]:
        """(suffix, content) in the order of the shard."""
        contents = (self.image, self.sketch, self.metadata)
        return tuple(zip(layout.SUFFIXES, contents, strict=True))


def encode(pair: Pair) -> EncodedPair:
    """Encode one pair; its metadata are its columns, size and scores.

    Raises:
        ValueError: arrays of another shape or type than `Pair` promises, a column that JSON cannot
            hold or that takes the name of one of ours.
    """
    _check(pair)
    height, width = pair.sketch.shape
    own = {
        "index": pair.index,
        "key": layout.sample_key(pair.index),
        "height": height,
        "width": width,
        **scores(pair.image, pair.sketch),
    }
    columns = {name: _column(pair, name, value) for name, value in pair.columns.items()}
    if taken := sorted(own.keys() & columns.keys()):
        raise ValueError(f"the teacher's columns {taken} have the names of the dataset's own")
    return EncodedPair(
        index=pair.index,
        image=_save(pair.image, _WEBP),
        sketch=_save(pair.sketch, _PNG),
        metadata=canonical.to_line(own | columns),
    )


def _save(array: np.ndarray, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def _check(pair: Pair) -> None:
    image, sketch = pair.image, pair.sketch
    right = image.dtype == sketch.dtype == np.uint8 and image.shape == (*sketch.shape, 3)
    if not right or sketch.ndim != 2 or not 0 < max(sketch.shape) <= _MAX_SIDE:
        raise ValueError(
            f"sample {pair.index}: expected an image uint8 (H, W, 3) and a sketch uint8 (H, W) of "
            f"at most {_MAX_SIDE} pixels a side; got {image.dtype} {image.shape} and "
            f"{sketch.dtype} {sketch.shape}"
        )


def _column(pair: Pair, name: str, value: object) -> int | float | str:
    # Seeds take all of 64 bits; many readers of JSON and of Arrow lose such integers.
    if name.endswith("seed") and isinstance(value, int):
        return f"{value:016x}"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"sample {pair.index}: column {name} is {value}; expected a finite number")
    short = not isinstance(value, int) or value.bit_length() < 64
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not short:
        raise ValueError(
            f"sample {pair.index}: column {name} is {value!r}; expected a text or a 64-bit number"
        )
    return value
