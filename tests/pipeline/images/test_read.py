"""Photographs are read upright, in RGB, on white paper; damaged files are refused by name."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.images.read import read_photograph

ORIENTATION = 0x0112
TURNED = 6


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    path = save(tmp_path / "turned.jpg", np.zeros((8, 16, 3), np.uint8), exif=exif)
    assert read_photograph(path).shape == (16, 8, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_pictures_come_upright_in_all_orientations(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    path = save(tmp_path / f"turned{suffix}", pixels, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    np.testing.assert_array_equal(read_photograph(path), np.asarray(expected))


def entry(tag: int, kind: int, value: bytes) -> bytes:
    """One tag of an EXIF block, of one value."""
    return struct.pack("<HHI", tag, kind, 1) + value.ljust(4, b"\0")


def block(entries: list[bytes], tail: bytes) -> bytes:
    """An EXIF block of a JPEG; what does not fit into a tag stands in the tail."""
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory + tail


SHORT, RATIONAL, SIGNED_RATIONAL = 3, 5, 10
UPRIGHT_TAG = entry(ORIENTATION, SHORT, struct.pack("<H", TURNED))
TAIL_AT = struct.pack("<I", 8 + 2 + 2 * 12 + 4)
DAMAGED = {
    "a resolution of -1/0": block(
        [UPRIGHT_TAG, entry(0x011A, SIGNED_RATIONAL, TAIL_AT)], struct.pack("<ii", -1, 0)
    ),
    "a maker that is a number": block(
        [entry(0x010F, RATIONAL, TAIL_AT), UPRIGHT_TAG], struct.pack("<II", 72, 1)
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_one_damaged_tag_does_not_matter(tmp_path: Path, damage: str) -> None:
    pixels = np.zeros((32, 48, 3), np.uint8)
    path = save(tmp_path / "turned.jpg", pixels, exif=DAMAGED[damage])
    assert read_photograph(path).shape == (48, 32, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_whatever_is_damaged_the_picture_is_read_or_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F], exif[0x011A] = TURNED, "a maker", 72.0
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    path = save(tmp_path / "a.jpg", pixels, exif=exif)
    sound = path.read_bytes()
    start, stop = sound.index(b"Exif"), sound.index(b"a maker") + 16
    damage, sizes = np.random.default_rng(1), set()
    for _ in range(1000):
        data = bytearray(sound)
        for place in damage.integers(start, stop, damage.integers(1, 4)):
            data[place] = damage.choice([0, 255, damage.integers(256)])
        path.write_bytes(data)
        try:
            sizes.add(read_photograph(path).shape)
        except ValueError as error:
            assert "a.jpg: cannot be read" in str(error)
    assert sizes == {(8, 12, 3), (12, 8, 3)}


def test_transparency_becomes_paper(tmp_path: Path) -> None:
    path = save(tmp_path / "clear.png", np.zeros((4, 4, 4), np.uint8))
    assert (read_photograph(path) == 255).all()


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    path = save(tmp_path / "deep.png", np.full((4, 4), 0x8000, np.uint16))
    assert (read_photograph(path) == 128).all()


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"x" * 40])
def test_unreadable_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="broken.png: cannot be read as an image"):
        read_photograph(path)


def test_truncated_image_is_named(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.png", np.random.default_rng(0).integers(
        0, 256, (64, 64, 3), dtype=np.uint8))  # fmt: skip
    half = tmp_path / "half.png"
    half.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(ValueError, match="half.png"):
        read_photograph(half)
