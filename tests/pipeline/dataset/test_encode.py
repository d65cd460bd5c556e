"""Members: lossless, equal bytes each time, refused when a teacher or a stranger errs."""

from __future__ import annotations

import io
import json
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.dataset.decode import decode_image, decode_sketch
from pipeline.dataset.encode import encode
from pipeline.dataset.pair_stats import blankness, difference_hash, ink_coverage
from pipeline.dataset.tar import ShardError
from pipeline.pair import Pair


@pytest.fixture
def pair() -> Pair:
    random = np.random.default_rng(0)
    return Pair(
        index=12,
        image=random.integers(0, 256, (24, 40, 3), dtype=np.uint8),
        sketch=random.integers(0, 256, (24, 40), dtype=np.uint8),
        columns={"alpha": 0.25, "cdst_step": 12, "noise_seed": 2**64 - 1},
    )


def test_pictures_come_back_as_they_were(pair: Pair) -> None:
    encoded = encode(pair)
    np.testing.assert_array_equal(decode_image(encoded.image), pair.image)
    np.testing.assert_array_equal(decode_sketch(encoded.sketch), pair.sketch)


def test_equal_bytes_each_time(pair: Pair) -> None:
    assert encode(pair) == encode(pair)


def test_facts(pair: Pair) -> None:
    metadata = json.loads(encode(pair).metadata)
    assert metadata["key"] == "000000012" and metadata["index"] == 12
    assert (metadata["height"], metadata["width"]) == (24, 40)
    assert metadata["alpha"] == 0.25 and metadata["cdst_step"] == 12
    assert metadata["noise_seed"] == "f" * 16, "JSON readers lose integers of 64 bits"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": np.zeros((24, 40, 3))}, "uint8.*got float64"),
        ({"image": np.zeros((24, 41, 3), np.uint8)}, r"got uint8 \(24, 41, 3\)"),
        ({"sketch": np.zeros((24, 40, 1), np.uint8)}, "sketch uint8"),
        ({"columns": {"alpha": float("nan")}}, "sample 12: column alpha is nan"),
        ({"columns": {"mask": [1]}}, "column mask"),
        ({"columns": {"count": 2**63}}, "64-bit"),
        ({"columns": {"width": 3}}, "names of the dataset's own"),
    ],
)
def test_what_a_teacher_may_not_give(pair: Pair, change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode(replace(pair, **change))  # type: ignore[arg-type]


def test_other_formats_are_not_opened(pair: Pair) -> None:
    encoded = encode(pair)
    for decode, data in ((decode_image, encoded.sketch), (decode_sketch, encoded.image)):
        with pytest.raises(ShardError, match="no sound"):
            decode(data)
    colour = io.BytesIO()
    Image.fromarray(pair.image).save(colour, "PNG")
    with pytest.raises(ShardError, match="mode RGB; expected L"):
        decode_sketch(colour.getvalue())


def test_broken_pictures_are_refused(pair: Pair) -> None:
    encoded = encode(pair)
    with pytest.raises(ShardError, match="no sound WEBP"):
        decode_image(encoded.image[:-20])
    flipped = bytearray(encoded.sketch)
    flipped[len(flipped) // 2] ^= 1
    with pytest.raises(ShardError, match="no sound PNG"):
        decode_sketch(bytes(flipped))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header
    chunk += struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(ShardError, match="60000 x 60000|bomb"):
        decode_sketch(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + b"\0\0\0\0")


def test_ink_coverage() -> None:
    page = np.full((10, 10), 255, np.uint8)
    assert ink_coverage(page) == 0.0 and ink_coverage(page * 0) == 1.0
    page[:, :3] = 0
    assert ink_coverage(page) == pytest.approx(0.3)


def test_blankness() -> None:
    page = np.full((100, 100), 255, np.uint8)
    assert blankness(page) == blankness(page * 0) == 1.0
    page[0, :10] = 0
    assert blankness(page) == 1.0, "a speck is no drawing"
    page[:5] = 0
    assert blankness(page) == 0.0
    page[:5] = 155
    assert blankness(page) == pytest.approx(1 - 100 / 255)


def test_difference_hash_sees_the_picture_not_the_noise(pair: Pair) -> None:
    image = np.linspace(0, 200, 90)[None, :, None] * np.ones((80, 1, 3))
    clear = image.astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 6, clear.shape)
    assert difference_hash(clear) == difference_hash((clear + noise).astype(np.uint8)) == "0" * 16
    assert difference_hash(clear[:, ::-1].copy()) == "f" * 16
