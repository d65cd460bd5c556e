"""Photographs: what is found, how it is read, what is refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.extract.photographs import bundled_photographs, find_photographs, read_photograph


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def test_bundled_photographs_are_in_the_installed_package() -> None:
    photographs = bundled_photographs()
    assert len(photographs) >= 5
    for photograph in photographs:
        assert read_photograph(photograph.path).shape[2] == 3


def test_folders_keep_their_names_and_skip_other_files(tmp_path: Path) -> None:
    save(tmp_path / "b.png", np.zeros((4, 4), np.uint8))
    save(tmp_path / "trip" / "a.JPG", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    assert [p.name for p in find_photographs([str(tmp_path)])] == ["b", "trip/a"]


def test_two_drawings_of_one_name_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    save(tmp_path / "a.jpg", np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="would both be drawn as a.png"):
        find_photographs([str(tmp_path)])


def test_missing_input_and_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere.png: no such image or folder"):
        find_photographs([str(tmp_path / "nowhere.png")])
    with pytest.raises(ValueError, match="no images in this folder"):
        find_photographs([str(tmp_path)])


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "turned.jpg", np.zeros((8, 16, 3), np.uint8), exif=exif)
    assert read_photograph(path).shape == (16, 8, 3)


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
