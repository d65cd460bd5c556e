"""Pictures from a folder: which photograph a sample gets, and what is refused."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images.letterbox import frame
from pipeline.pair import SampleSpec
from pipeline.systems.folder_pictures import FolderPictures
from pipeline.teachers.teacher import TeacherFiles

SIDE = 32
COUNT = 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs, none square, some below the folder."""
    made = tmp_path / "photographs"
    (made / "trip").mkdir(parents=True)
    random = np.random.default_rng(4)
    for number in range(COUNT):
        pixels = random.integers(0, 256, (20, 40 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(made / ("trip" if number % 2 else ".") / f"{number}.png")
    return made


def specs(count: int, seed: int = 1) -> list[SampleSpec]:
    return [SampleSpec(index=index, seed=seed, duration=1) for index in range(count)]


def test_samples_go_through_the_photographs_in_the_order_of_their_hashes(folder: Path) -> None:
    batch = FolderPictures(folder, SIDE).pictures(specs(2 * COUNT))
    by_hash = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path for path in folder.rglob("*.png")
    }
    for index, (image, columns) in enumerate(zip(batch.images, batch.columns, strict=True)):
        digest = sorted(by_hash)[index % COUNT]
        expected = frame(np.asarray(Image.open(by_hash[digest])), SIDE).picture
        assert columns["picture_sha256"] == digest
        np.testing.assert_array_equal(image, expected[:, ::-1] if columns["mirrored"] else expected)


def test_each_photograph_comes_as_it_is_and_mirrored_before_it_comes_again(folder: Path) -> None:
    columns = FolderPictures(folder, SIDE).pictures(specs(2 * COUNT)).columns
    first, second = columns[:COUNT], columns[COUNT:]
    assert all(a["mirrored"] != b["mirrored"] for a, b in zip(first, second, strict=True))
    # Which of the two comes first is the seed's choice, photograph by photograph.
    drawn = {
        tuple(c["mirrored"] for c in FolderPictures(folder, SIDE).pictures(specs(COUNT, s)).columns)
        for s in range(8)
    }
    assert len(drawn) > 4


def test_names_and_copies_do_not_matter(folder: Path, tmp_path: Path) -> None:
    pictures = FolderPictures(folder, SIDE)
    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "0.png").rename(moved / "last.png")
    shutil.copy(moved / "2.png", moved / "twice.png")
    same = FolderPictures(moved, SIDE)
    assert same.fingerprint == pictures.fingerprint
    np.testing.assert_array_equal(
        same.pictures(specs(COUNT)).images, pictures.pictures(specs(COUNT)).images
    )
    # Not even two files of one name stand in each other's way, as they do for drawings.
    (moved / "twice.png").rename(moved / "2.PNG")
    assert FolderPictures(moved, SIDE).fingerprint == pictures.fingerprint
    (moved / "last.png").unlink()
    assert FolderPictures(moved, SIDE).fingerprint != pictures.fingerprint


def test_a_photograph_that_changes_meanwhile_is_refused(folder: Path) -> None:
    pictures = FolderPictures(folder, SIDE)
    shutil.copy(folder / "2.png", folder / "0.png")
    with pytest.raises(ValueError, match=r"0\.png is no longer the file that was found"):
        pictures.pictures(specs(COUNT))


def test_what_has_no_photographs_is_refused(folder: Path) -> None:
    files = TeacherFiles(folder)
    with pytest.raises(ValueError, match="as the location 'pictures'"):
        FolderPictures.load(files, SIDE)
    with pytest.raises(ValueError, match="bundled: no such folder"):
        FolderPictures(Path("bundled"), SIDE)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="no images in this folder"):
        FolderPictures.load(replace(files, locations={"pictures": str(folder / "empty")}), SIDE)
