"""A pair encoded as the three members of a shard: lossless, fast and always the same bytes."""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline import canonical
from pipeline.arrays import Pixels
from pipeline.dataset import layout
from pipeline.dataset.pair_stats import measure_pair
from pipeline.pair import Pair

# Lossless with the least effort: faster than PNG's defaults, and no larger (docs/results.md).
_WEBP = {"format": "WEBP", "lossless": True, "quality": 0, "method": 0, "exact": True}
# A drawing is mostly runs of paper: compressing runs alone saves as much as PNG's defaults, and
# is faster (docs/results.md).
_PNG = {"format": "PNG", "compress_level": 1, "compress_type": zlib.Z_RLE}
# WebP's own limit for each side.
_MAX_SIDE = 16383


@dataclass(frozen=True)
class EncodedPair:
    """The contents of one sample's members."""

    index: int
    image: bytes
    sketch: bytes
    metadata: bytes

    @property
    def members(self) -> tuple[tuple[str, bytes], ...]:
        """(suffix, content) in the order of the shard."""
        contents = (self.image, self.sketch, self.metadata)
        return tuple(zip(layout.SUFFIXES, contents, strict=True))


def encode_pair(pair: Pair) -> EncodedPair:
    """Encode one pair; its metadata is its columns, its size and its statistics.

    Raises:
        ValueError: an array has another shape or type than `Pair` promises, or JSON cannot hold a
            column, or a column has the name of one of the dataset's own.
    """
    _check(pair)
    height, width = pair.sketch.shape
    own = {
        "index": pair.index,
        "key": layout.sample_key(pair.index),
        "height": height,
        "width": width,
        **measure_pair(pair.image, pair.sketch),
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


def _save(array: Pixels, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def _check(pair: Pair) -> None:
    image, sketch = pair.image, pair.sketch
    fits = image.dtype == sketch.dtype == np.uint8 and image.shape == (*sketch.shape, 3)
    if not fits or sketch.ndim != 2 or not 0 < max(sketch.shape) <= _MAX_SIDE:
        raise ValueError(
            f"sample {pair.index}: expected an image uint8 (H, W, 3) and a sketch uint8 (H, W) of "
            f"at most {_MAX_SIDE} pixels a side; got {image.dtype} {image.shape} and "
            f"{sketch.dtype} {sketch.shape}"
        )


def _column(pair: Pair, name: str, value: object) -> int | float | str:
    # Seeds use all 64 bits, and many readers of JSON and of Arrow mangle such integers.
    if name.endswith("seed") and isinstance(value, int):
        return f"{value:016x}"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"sample {pair.index}: column {name} is {value}; expected a finite number")
    short = not isinstance(value, int) or value.bit_length() < 64
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not short:
        raise ValueError(
            f"sample {pair.index}: column {name} is {value!r}; expected a string or a 64-bit number"
        )
    return value
