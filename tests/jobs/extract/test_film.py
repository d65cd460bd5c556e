"""Films through a tiny extractor: the command, what it refuses, how it goes on, and on Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.extract.film import FilmOptions, run_extract_film
from jobs.runtime.devices import Machine
from pipeline.video.film import FilmStyle
from tests.jobs.stages.test_stages import onesketch, refusal
from tests.pipeline.video.films import frame_of, moments, write_film
from tests.pipeline.video.test_film import decoded
from tests.pipeline.video.test_writer import sound_packets
from tests.standins.tiny_extractor import write_tiny_extractor
from training.extraction.extractor import Extractor

ROOT = Path(__file__).parents[3]
HERE = Machine("cpu", torch.float32, 2, 0)
SHORT = FilmOptions(FilmStyle(steady=True), part_frames=5)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_extractor(tmp_path_factory.mktemp("run") / "extractor")


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    monkeypatch.chdir(tmp_path)
    write_film(tmp_path / "film.mp4", [frame_of(n) for n in range(18)], audio=1)
    return Path("film.mp4")


def silent(name: str, **fields: object) -> None:
    """Listen to nothing."""


def test_a_film_of_drawings(model: Path, film: Path) -> None:
    done = onesketch("extract-video", str(model), "film.mp4", "--out", "drawn.mp4")
    assert done.exit_code == 0, done.stderr
    assert "extract.film out=drawn.mp4 frames=18 flicker_drawn=" in done.stderr
    assert moments(Path("drawn.mp4")) == moments(film)
    assert sound_packets(Path("drawn.mp4")) == sound_packets(film)
    assert sorted(path.name for path in Path().iterdir()) == ["drawn.mp4", "film.mp4"]
    extractor = Extractor.load(model)
    for number, drawing in enumerate(decoded(Path("drawn.mp4"))):
        expected = extractor.sketch(frame_of(number)).astype(int)
        assert np.abs(drawing - expected).mean() < 8  # the film's own losses, through the network


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["film.mp4", "--out", "film.mp4"], "would replace the film itself"),
        (["film.mp4", "--out", "there.mp4"], "there.mp4 is there: give another --out, or --again"),
        (["film.mp4", "--out", "no/a.mp4"], "there is no folder no"),
        (["film.mp4", "--out", "a.gif"], r"is named *.mp4 or *.mkv or *.mov"),
        (["film.mp4", "--out", "a.mp4", "--form", "alpha"], "is named *.mov"),
        (["film.mp4", "--out", "a.mp4", "--form", "ink"], "expected one of drawing, over, alpha"),
        (["none.mp4", "--out", "a.mp4"], "none.mp4: no such film"),
        (["there.mp4", "--out", "a.mp4"], "there.mp4: cannot be read as a film"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(
    typed: list[str], words: str, model: Path, film: Path
) -> None:
    Path("there.mp4").write_bytes(b"a person's")
    assert words in refusal("extract-video", str(model), *typed)
    assert sorted(path.name for path in Path().iterdir()) == ["film.mp4", "there.mp4"]
    assert Path("there.mp4").read_bytes() == b"a person's"


def test_it_goes_on_where_it_was_stopped(
    model: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_extract_film(model, film, Path("whole.mp4"), HERE, silent, SHORT)
    drawn: list[int] = []
    original = Extractor.sketches

    def sketches(self: Extractor, pictures: object, *arguments: object) -> object:
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(1)
        return original(self, pictures, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Extractor, "sketches", sketches)
        with pytest.raises(KeyboardInterrupt):
            run_extract_film(model, film, Path("drawn.mp4"), HERE, silent, SHORT)
    (parts,) = Path().glob(".drawn.mp4-parts-*")
    assert sorted(p.name for p in parts.glob("*.json")) == ["000000.json", "000001.json"]
    told: list[dict[str, object]] = []
    run_extract_film(
        model, film, Path("drawn.mp4"), HERE, lambda name, **f: told.append({name: f}), SHORT
    )
    assert told[0] == {"extract.ready": {"frames": 18, "there": 10, "parts": 2}}
    assert Path("drawn.mp4").read_bytes() == Path("whole.mp4").read_bytes()
    assert not list(Path().glob(".drawn*"))


def test_parts_of_another_way_do_not_count(model: Path, film: Path) -> None:
    stale = Path(".drawn.mp4-parts-000000000000")
    stale.mkdir()
    (stale / "000000.json").write_text(json.dumps({}))
    figures = run_extract_film(model, film, Path("drawn.mp4"), HERE, silent, SHORT)
    assert figures["frames"] == 18 and not stale.exists()
    assert 0 < figures["flicker_written"] <= figures["flicker_drawn"]


def test_a_film_that_was_cut_off_is_told(model: Path, film: Path, tmp_path: Path) -> None:
    write_film(tmp_path / "cut.mkv", [frame_of(n) for n in range(50)])
    whole = (tmp_path / "cut.mkv").read_bytes()
    told: list[str] = []
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    figures = run_extract_film(
        model, Path("cut.mkv"), Path("drawn.mkv"), HERE, lambda name, **f: told.append(name), SHORT
    )
    assert figures["frames"] == len(moments(Path("drawn.mkv"))) < 50


_ON_RAY = """
import sys
from functools import partial
from pathlib import Path
from jobs.extract.film import run_extract_film
from jobs.nodes.ray_session import ray_runtime
from jobs.nodes.ray_tasks import run_tasks
from tests.jobs.extract.test_film import HERE, SHORT, silent

with ray_runtime(HERE):
    for workers in (1, 2):
        spread = partial(run_tasks, machine=HERE, workers=workers)
        out = Path(f"far{workers}.mp4")
        run_extract_film(Path(sys.argv[1]), Path("film.mp4"), out, HERE, silent, SHORT, spread)
"""


@pytest.mark.ray
def test_however_many_workers_make_the_same_bytes(model: Path, film: Path) -> None:
    """In a process and a Ray of their own; this process may round otherwise than workers do."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", _ON_RAY, str(model)], check=True, env=environment)
    assert Path("far1.mp4").read_bytes() == Path("far2.mp4").read_bytes()
    run_extract_film(model, film, Path("here.mp4"), HERE, silent, SHORT)
    assert moments(Path("far1.mp4")) == moments(Path("here.mp4"))
    for ours, theirs in zip(decoded(Path("far1.mp4")), decoded(Path("here.mp4")), strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() < 1
