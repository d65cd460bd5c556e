"""Decoded members: whatever is not a valid picture of its format is refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.dataset.decode import decode_image, decode_sketch
from pipeline.dataset.encode import encode_pair
from pipeline.dataset.tar import ShardError
from pipeline.pair import Pair


@pytest.fixture
def pair() -> Pair:
    random = np.random.default_rng(0)
    return Pair(
        index=12,
        image=random.integers(0, 256, (24, 40, 3), dtype=np.uint8),
        sketch=random.integers(0, 256, (24, 40), dtype=np.uint8),
    )


def test_other_formats_are_not_opened(pair: Pair) -> None:
    encoded = encode_pair(pair)
    for decode, data in ((decode_image, encoded.sketch), (decode_sketch, encoded.image)):
        with pytest.raises(ShardError, match="not a valid"):
            decode(data)
    colour = io.BytesIO()
    Image.fromarray(pair.image).save(colour, "PNG")
    with pytest.raises(ShardError, match="mode RGB; expected L"):
        decode_sketch(colour.getvalue())


def test_broken_pictures_are_refused(pair: Pair) -> None:
    encoded = encode_pair(pair)
    with pytest.raises(ShardError, match="not a valid WEBP"):
        decode_image(encoded.image[:-20])
    flipped = bytearray(encoded.sketch)
    flipped[len(flipped) // 2] ^= 1
    with pytest.raises(ShardError, match="not a valid PNG"):
        decode_sketch(bytes(flipped))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header
    chunk += struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(ShardError, match="60000 x 60000|bomb"):
        decode_sketch(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + b"\0\0\0\0")
