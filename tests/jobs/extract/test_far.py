"""Photographs drawn by Ray workers, from folder to folder and bucket to bucket; workers killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.storage.address import open_store
from tests.jobs.stages.test_stages import onesketch, refusal
from tests.standins.tiny_extractor import write_tiny_extractor

pytestmark = pytest.mark.ray
COMMAND = [sys.executable, "-c", "from jobs.cli.main import app; app()"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_extractor(tmp_path_factory.mktemp("run") / "extractor")


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty photographs, some in a folder of the folder, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photographs"
    (folder / "trip").mkdir(parents=True)
    for number in range(20):
        name = f"trip/{number}.png" if number % 3 else f"{number}.jpg"
        pixels = np.random.default_rng(number).integers(0, 256, (24, 31 + number, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"x")
    return folder


def drawn(folder: str | Path) -> dict[str, bytes]:
    store = open_store(str(folder))
    return {key: store.read(key) for key in store.keys("") if key.endswith(".png")}


def test_workers_draw_what_this_process_draws(
    model: Path, photographs: Path, local_ray: None
) -> None:
    here = onesketch("extract", str(model), "photographs", "--out", "here")
    assert here.exit_code == 0, here.stderr
    far = onesketch("extract", str(model), "photographs", "--out", "far", "--workers", "2")
    assert far.exit_code == 0 and "to_draw=20 there=0" in far.stderr, far.stderr
    assert drawn("far").keys() == drawn("here").keys() and len(drawn("far")) == 20
    for name, data in drawn("here").items():
        difference = np.asarray(Image.open(f"far/{name}")).astype(int)
        difference -= np.asarray(Image.open(f"here/{name}"))
        assert np.abs(difference).max() <= 1, (name, len(data))
    Path("far/trip/1.png").unlink()
    again = onesketch("extract", str(model), "photographs", "--out", "far", "--workers", "1")
    assert "to_draw=1 there=19" in again.stderr


@pytest.mark.s3
def test_from_bucket_to_bucket(
    model: Path, photographs: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process and a Ray of its own: the session's has no credentials of this bucket.
    monkeypatch.setenv("ONESKETCH_CACHE", str(photographs.parent / "cache"))
    for place, folder in (("photos", photographs), ("model", model)):
        store = open_store(f"s3://{bucket}/{place}")
        for path in folder.rglob("*.*"):
            store.create(path.relative_to(folder).as_posix(), path.read_bytes())
    typed = [f"s3://{bucket}/model", f"s3://{bucket}/photos", "--out", f"s3://{bucket}/drawings"]
    subprocess.run([*COMMAND, "extract", *typed], check=True, capture_output=True)
    assert len(drawn(f"s3://{bucket}/drawings")) == 20
    line = refusal("extract", *typed, "--invert")
    assert "made in another way (invert: False there, True now)" in line


def test_one_unreadable_photograph_stops_no_worker(
    model: Path, photographs: Path, local_ray: None
) -> None:
    (photographs / "trip/1.png").write_bytes(b"no picture")
    line = refusal("extract", str(model), "photographs", "--out", "out", "--workers", "2")
    assert "1 of 20 images not drawn; the first: 1.png: cannot be read as an image" in line
    assert len(drawn("out")) == 19


def test_a_file_in_a_drawing_s_place_stays(model: Path, photographs: Path, local_ray: None) -> None:
    Path("out/trip").mkdir(parents=True)
    Path("out/trip/1.png").write_bytes(b"a person's")
    done = onesketch("extract", str(model), "photographs", "--out", "out", "--workers", "2")
    # Not told apart from a drawing that was there: it is not replaced.
    assert "to_draw=19 there=1" in done.stderr
    assert Path("out/trip/1.png").read_bytes() == b"a person's"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["photographs", "--out", "photographs/out"], "whose photographs are drawn"),
        (["empty", "--out", "out"], "no images there"),
        (["photographs", "photographs", "--out", "out"], "one folder or address is drawn, got 2"),
        (["photographs", "--out", "out", "--again"], "leave --again out"),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    typed: list[str], words: str, model: Path, photographs: Path, local_ray: None
) -> None:
    Path("empty").mkdir()
    assert words in refusal("extract", str(model), *typed, "--workers", "1")
    assert not Path("out").exists()
