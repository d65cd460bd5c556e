"""Photographs are read upright, in RGB, on white paper; damaged files are refused by name."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.images.find import bundled_photographs
from pipeline.images.read import count_frames, read_photograph

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


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0, 65535, 32768]], np.int32), [0, 255, 128]),
        (np.array([[0, 4095, 2048]], np.uint16), [0, 255, 128]),  # 12 bits of a camera
        (np.array([[0, 65535, 257]], np.uint16), [0, 255, 1]),
        (np.array([[0, 255, 100]], np.int32), [0, 255, 100]),
        (np.array([[0.0, 1.0, 0.5]], np.float32), [0, 255, 128]),
        (np.array([[0.0, 255.0, 99.6]], np.float32), [0, 255, 100]),
        (np.array([[0.0, 65535.0, 25700.0]], np.float32), [0, 255, 100]),
    ],
    ids=str,
)
def test_deep_tiffs_are_scaled(tmp_path: Path, pixels: np.ndarray, expected: list[int]) -> None:
    path = save(tmp_path / "deep.tif", pixels)
    assert read_photograph(path)[0, :, 0].tolist() == expected


def test_a_dark_picture_of_sixteen_bits_stays_dark(tmp_path: Path) -> None:
    path = save(tmp_path / "dark.png", np.array([[0, 2570]], np.uint16))
    assert read_photograph(path)[0, :, 0].tolist() == [0, 10]


@pytest.mark.parametrize("value", [-1.0, 70000.0, float("nan")])
def test_greys_of_no_known_scale_are_refused(tmp_path: Path, value: float) -> None:
    path = save(tmp_path / "odd.tif", np.array([[0.5, value]], np.float32))
    with pytest.raises(ValueError, match="odd.tif: .*its greys go from"):
        read_photograph(path)


def test_avif_and_jpeg_2000_are_read(tmp_path: Path) -> None:
    pixels = np.full((32, 32, 3), (200, 30, 60), np.uint8)
    for name in ("a.avif", "a.jp2"):
        read = read_photograph(save(tmp_path / name, pixels))
        assert np.abs(read.astype(int) - pixels).max() <= 6


def test_heic_is_read_upright() -> None:
    # 64 x 48, left half red, turned to stand by its tag, as a phone on its side writes it.
    read = read_photograph(Path(__file__).parent / "files/turned.heic")
    assert read.shape == (64, 48, 3)
    assert read[8, 24, 0] > 180 > 80 > read[8, 24, 2] and read[56, 24, 2] > 180 > read[56, 24, 0]


def test_heic_without_its_extra_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ValueError, match=r"a.heic.*needs the extra `heif`"):
        read_photograph(
            save(tmp_path / "a.png", np.zeros((4, 4), "u1")).rename(tmp_path / "a.heic")
        )


def test_four_inks_become_screen_colours(tmp_path: Path) -> None:
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # magenta and yellow: red
    inks.save(tmp_path / "inks.jpg", quality=100)
    assert (read_photograph(tmp_path / "inks.jpg")[4, 4] > (200, -1, -1)).all()
    assert (read_photograph(tmp_path / "inks.jpg")[4, 4, 1:] < 90).all()


def test_colours_of_another_profile_become_srgb(tmp_path: Path) -> None:
    """Against littlecms' own white and grey: they stay; a wide red is redder than its numbers."""
    rocket = next(p for p in bundled_photographs() if p.name == "rocket")
    with Image.open(rocket.path) as picture:
        adobe = picture.info["icc_profile"]
    pixels = np.array([[[255] * 3, [119] * 3, [180, 80, 80], [0] * 3]], np.uint8)
    read = read_photograph(save(tmp_path / "wide.png", pixels, icc_profile=adobe)).astype(int)
    assert np.abs(read[0, [0, 1, 3]] - pixels[0, [0, 1, 3]]).max() <= 2
    # Linear light by Adobe RGB's primaries and gamma, to sRGB's (its specification's matrices).
    light = (pixels[0, 2] / 255) ** 2.19921875
    to_xyz = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529],
                       [0.02703, 0.07069, 0.99134]])  # fmt: skip
    from_xyz = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415],
                         [0.0557, -0.2040, 1.0570]])  # fmt: skip
    linear = from_xyz @ to_xyz @ light
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(read[0, 2] - expected).max() <= 2


@pytest.mark.parametrize("profile", [b"", b"x", b"x" * 4096])
def test_a_damaged_profile_does_not_matter(tmp_path: Path, profile: bytes) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    path = save(tmp_path / "a.png", pixels, icc_profile=profile)
    np.testing.assert_array_equal(read_photograph(path), pixels)


def test_frames_are_counted(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), grey) for grey in (0, 90, 255)]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert count_frames(tmp_path / name) == 3
    (tmp_path / "b.png").write_bytes(b"no image")
    assert count_frames(tmp_path / "b.png") == 1
