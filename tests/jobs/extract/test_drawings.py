"""Drawings never go over a photograph, nor into a folder that is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jobs.extract.drawings import check_drawings, find_to_draw, refuse_unreadable
from tests.jobs.stages.test_stages import refusal
from training.extraction.extractor import Extractor


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with photographs, some of them behind links."""
    monkeypatch.chdir(tmp_path)
    names = (
        "photos/photo.png",
        "photos/other.jpg",
        "photos/trip/photo.png",
        "photos/trip/trip/b.jpg",
    )
    for name in (*names, "elsewhere/r.jpg", "PHOTO.PNG"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.linear_gradient("L").resize((9, 6)).convert("RGB").save(path)
    links = {
        "link": "photos",
        "linked/more": "../elsewhere",
        "alias/photo.png": "../photos/photo.png",
    }
    for name, target in links.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(target)
    return tmp_path


def all_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def never(*arguments: Any, **options: Any) -> None:
    raise AssertionError("a model was loaded")


@pytest.mark.parametrize("command", ["extract", "extract-by-teacher"])
@pytest.mark.parametrize(
    ("source", "out", "expected"),
    [
        ("photos", "photos", "--out photos is {}/photos,"),
        ("photos", "photos/drawings", "--out photos/drawings lies in {}/photos,"),
        ("photos", "photos/trip/../new", "--out photos/trip/../new lies in {}/photos,"),
        ("./photos", "Photos/new", "--out Photos/new lies in {}/photos,"),
        ("photos", "link/new", "--out link/new lies in {}/photos,"),
        ("link", "photos/new", "--out photos/new lies in {}/photos,"),
        ("linked", "elsewhere/new", "--out elsewhere/new lies in {}/elsewhere,"),
        ("photos/trip", "photos", "photos/trip/b.png lies in {}/photos/trip,"),
        ("photos/photo.png", "photos", "would replace the photograph photos/photo.png"),
        ("photos/photo.png", "link", "would replace the photograph photos/photo.png"),
        ("alias/photo.png", "photos", "would replace the photograph alias/photo.png"),
        ("alias/photo.png", "alias", "would replace the photograph alias/photo.png"),
        ("PHOTO.PNG", ".", "would replace the photograph PHOTO.PNG"),
        ("photos/other.jpg", "PHOTO.PNG", "--out PHOTO.PNG is a file"),
    ],
)
def test_what_would_be_spoilt_is_refused_before_a_model_is_loaded(
    command: str, source: str, out: str, expected: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extractor, "load", never)
    monkeypatch.setattr("jobs.extract.by_teacher.load_teacher_extractor", never)
    before = all_files(here)
    line = refusal(command, "model", source, "--out", out)
    assert expected.format(here) in line and "--out" in line
    assert all_files(here) == before


def test_a_photograph_of_another_input_is_not_replaced_either() -> None:
    with pytest.raises(ValueError, match="would replace the photograph photos/trip/photo.png"):
        check_drawings(["photos/other.jpg", "photos/trip/photo.png"], Path("photos/trip"))


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("photos", "drawings"),
        ("photos", "photos-drawn"),
        ("photos/trip", "photos/drawings"),
        ("photos/other.jpg", "photos"),
        ("elsewhere/r.jpg", "."),
        ("bundled", "photos"),
    ],
)
def test_drawings_beside_the_photographs_are_fine(source: str, out: str) -> None:
    assert check_drawings([source], Path(out)).photographs


def test_what_is_left_out_is_told_in_one_event() -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    for name in (".hidden.png", "a.mp4", "b.mp4", "notes.txt"):
        Path("photos", name).write_bytes(b"")
    photographs = find_to_draw(
        ["photos"], Path("out"), lambda name, **fields: told.append((name, fields))
    )
    assert len(photographs) == 4
    expected = {"files": 4, "hidden": 1, "closed_folders": 0, "suffixes": ".mp4 .txt"}
    assert told == [("extract.skipped", expected)]


def test_nothing_is_told_when_nothing_is_left_out() -> None:
    find_to_draw(["photos"], Path("out"), never)


def test_what_could_not_be_read_is_told_at_the_end() -> None:
    refuse_unreadable([], 2)
    with pytest.raises(ValueError, match=r"^a: no such image$"):
        refuse_unreadable([ValueError("a: no such image")], 1)
    with pytest.raises(ValueError, match=r"^1 of 2 images not drawn; the first: a: no such image$"):
        refuse_unreadable([ValueError("a: no such image")], 2)
