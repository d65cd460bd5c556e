"""Photographs are found in files, folders and the wheel; what cannot be drawn is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.images.find import bundled_photographs, find_photographs, search
from pipeline.images.read import read_photograph


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
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


def test_hidden_files_and_folders_are_left_out_and_counted(tmp_path: Path) -> None:
    picture = np.zeros((4, 4), np.uint8)
    for name in ("a.png", "._a.png", ".b.png", ".cache/c.png", "trip/.d/e.png", "trip/f.png"):
        save(tmp_path / name, picture)
    (tmp_path / "trip" / "notes.txt").write_text("not an image")
    (tmp_path / "trip" / "g.MP4").write_bytes(b"")
    found = search([str(tmp_path)])
    assert [photograph.name for photograph in found.photographs] == ["a", "trip/f"]
    assert (found.hidden, sorted(found.others), found.skipped) == (4, [".mp4", ".txt"], 6)


def test_what_is_hidden_is_found_when_it_is_named(tmp_path: Path) -> None:
    for name in (".a.png", ".folder/b.png"):
        save(tmp_path / name, np.zeros((4, 4), np.uint8))
    inputs = [str(tmp_path / ".a.png"), str(tmp_path / ".folder")]
    assert [photograph.name for photograph in find_photographs(inputs)] == [".a", "b"]


@pytest.mark.parametrize("suffix", [".jfif", ".JFIF", ".jpe"])
def test_jpegs_have_several_suffixes(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / f"a{suffix}", np.zeros((4, 4, 3), np.uint8), format="JPEG")
    (photograph,) = find_photographs([str(tmp_path)])
    assert read_photograph(photograph.path).shape == (4, 4, 3)


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", np.zeros((4, 4), np.uint8))
    save(tmp_path / "elsewhere" / "r.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "photos" / "more").symlink_to(Path("..") / "elsewhere")
    found = search([str(tmp_path / "photos")])
    assert [photograph.name for photograph in found.photographs] == ["a", "more/r"]
    assert found.folders == [tmp_path / "photos", tmp_path / "elsewhere"]


def test_links_that_lead_round_end(tmp_path: Path) -> None:
    save(tmp_path / "a" / "a.png", np.zeros((4, 4), np.uint8))
    save(tmp_path / "b" / "b.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "a" / "self").symlink_to(".")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "to-b").symlink_to("../b")
    (tmp_path / "b" / "to-a").symlink_to("../a")
    (tmp_path / "a" / "nowhere.png").symlink_to("nowhere")
    (tmp_path / "a" / "itself.png").symlink_to("itself.png")
    found = search([str(tmp_path / "a")])
    names = [photograph.name for photograph in found.photographs]
    assert names[:2] == ["a", "to-b/b"] and len(names) == len(set(names))
    assert found.others.count(".png") >= 2


def test_inputs_that_are_no_places_are_refused() -> None:
    with pytest.raises(ValueError, match="an input is empty, as an unset variable is"):
        find_photographs([""])
    with pytest.raises(ValueError, match="s3://bucket/photos is an address"):
        find_photographs(["s3://bucket/photos"])


def test_two_drawings_of_one_name_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    save(tmp_path / "a.jpg", np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="would both be drawn as a.png"):
        find_photographs([str(tmp_path)])


@pytest.mark.parametrize("twin", ["A.png", "a\u0301.png"])
def test_names_that_some_disks_do_not_tell_apart_are_refused(tmp_path: Path, twin: str) -> None:
    save(tmp_path / "one" / ("\u00e1.png" if twin != "A.png" else "a.png"), np.zeros((4, 4), "u1"))
    save(tmp_path / "two" / twin, np.zeros((4, 4), "u1"))
    with pytest.raises(ValueError, match="many disks do not tell A from a"):
        find_photographs([str(tmp_path / "one"), str(tmp_path / "two")])


def test_missing_input_and_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere.png: no such image or folder"):
        find_photographs([str(tmp_path / "nowhere.png")])
    with pytest.raises(ValueError, match="no images in this folder"):
        find_photographs([str(tmp_path)])
