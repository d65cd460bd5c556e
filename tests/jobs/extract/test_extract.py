"""Photographs through a tiny extractor, as the command does it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.extract.extract import load_extractor
from pipeline.arrays import Pixels
from tests.jobs.stages.test_stages import onesketch, refusal
from tests.standins.tiny_extractor import write_tiny_extractor
from training.extraction.extractor import Extractor
from training.extraction.picture_drawer import OnShare, be_silent


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extractor with random weights."""
    return write_tiny_extractor(tmp_path_factory.mktemp("run") / "extractor")


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photographs of different sizes, one in a folder of the folder."""
    monkeypatch.chdir(tmp_path)
    for name, size in (("a.png", (20, 30)), ("trip/b.png", (40, 17))):
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize(size).save(path)
    return tmp_path / "photographs"


def test_drawings_have_the_photographs_sizes_and_names(model: Path, photographs: Path) -> None:
    done = onesketch("extract", str(model), "photographs", "--out", "out")
    assert done.exit_code == 0, done.stderr
    assert Image.open("out/a.png").size == (20, 30)
    assert Image.open("out/trip/b.png").size == (40, 17)


def extract(model: Path, *options: str) -> str:
    """Draw the photographs into `out`; return what was told."""
    done = onesketch("extract", str(model), "photographs", "--out", "out", *options)
    assert done.exit_code == 0, done.stderr
    return done.stderr


def contents(folder: str = "out") -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*.*")}


def test_what_is_there_is_not_drawn_again(
    model: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "to_draw=2 there=0" in extract(model)
    before = contents()
    with monkeypatch.context() as patched:
        patched.setattr(Extractor, "load", None)  # Nothing to draw takes no model.
        assert "to_draw=0 there=2" in extract(model)
    Path("out/a.png").unlink()
    assert "to_draw=1 there=1" in extract(model)
    assert contents().keys() == before.keys() and contents()["out/a.png"] == before["out/a.png"]


def test_a_photograph_that_changed_is_drawn_again(model: Path, photographs: Path) -> None:
    extract(model)
    Image.linear_gradient("L").resize((33, 21)).save(photographs / "a.png")
    assert "to_draw=1 there=1" in extract(model)
    assert Image.open("out/a.png").size == (33, 21)


def test_drawings_of_another_way_are_not_mixed(model: Path, photographs: Path) -> None:
    extract(model)
    before = contents()
    line = refusal("extract", str(model), "photographs", "--out", "out", "--threshold", "0.5")
    assert "made in another way (threshold: None there, 0.5 now)" in line and "--again" in line
    assert contents() == before
    assert "to_draw=2 there=0" in extract(model, "--threshold", "0.5", "--again")
    assert set(np.unique(np.asarray(Image.open("out/a.png")))) <= {0, 255}
    assert "to_draw=0 there=2" in extract(model, "--threshold", "0.5")


def test_a_file_that_is_not_from_here_is_not_replaced(model: Path, photographs: Path) -> None:
    Path("out/trip").mkdir(parents=True)
    Path("out/trip/b.png").write_bytes(b"a person's")
    line = refusal("extract", str(model), "photographs", "--out", "out")
    assert "out/trip/b.png would be replaced, and no record tells" in line
    assert contents() == {"out/trip/b.png": b"a person's"}
    extract(model, "--again")
    assert Image.open("out/trip/b.png").size == (40, 17)


def test_it_goes_on_after_a_kill_between_record_and_drawing(
    model: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("jobs.extract.extract.write_bytes", interrupt)
        done = onesketch("extract", str(model), "photographs", "--out", "out")
        assert done.exit_code == 130
    assert "to_draw=2 there=0" in extract(model)
    # A line that was cut off, as by a full disk.
    record = Path("out/extract.jsonl")
    record.write_bytes(record.read_bytes()[:-9])
    Path("out/trip/b.png").unlink()
    assert "to_draw=1 there=1" in extract(model)


def interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_photographs_of_one_size_are_drawn_together(model: Path, photographs: Path) -> None:
    for name in "cdefg":
        Image.linear_gradient("L").rotate(40 * ord(name)).resize((24, 16)).save(
            photographs / f"{name}.png"
        )
    extract(model)
    alone = {name: Image.open(name) for name in contents() if name.endswith(".png")}
    pixels = {name: np.asarray(image).astype(int) for name, image in alone.items()}
    extract(model, "--batch", "3", "--again")
    for name, expected in pixels.items():
        assert np.abs(np.asarray(Image.open(name)) - expected).max() <= 1


@pytest.mark.parametrize(
    ("typed", "suffix", "mode"),
    [
        (["--alpha"], "png", "LA"),
        (["--alpha", "--invert"], "png", "LA"),
        (["--invert", "--thickness", "1"], "png", "L"),
    ],
)
def test_forms_of_pictures(
    typed: list[str], suffix: str, mode: str, model: Path, photographs: Path
) -> None:
    extract(model, *typed)
    assert Image.open(f"out/a.{suffix}").mode == mode


@pytest.mark.parametrize("kind", ["outline", "centerline"])
def test_drawings_as_svg(kind: str, model: Path, photographs: Path) -> None:
    extract(model, "--svg", kind)
    assert sorted(contents()) == ["out/a.svg", "out/extract.jsonl", "out/trip/b.svg"]
    assert 'width="20" height="30"' in Path("out/a.svg").read_text()


def test_no_ink_where_a_photograph_is_transparent(model: Path, photographs: Path) -> None:
    half = np.zeros((30, 20, 4), np.uint8)
    half[:15, :, 3] = 255
    Image.fromarray(half).save(photographs / "a.png")
    extract(model, "--alpha")
    assert not np.asarray(Image.open("out/a.png"))[15:, :, 1].any()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--svg", "dots"], "--svg dots: expected one of outline, centerline"),
        (["--svg", "outline", "--alpha"], "leave --alpha out"),
        (["--threshold", "1"], "threshold: expected between 0 and 1, got 1.0"),
        (["--thickness", "40"], "thickness: expected at most 32 px, got 40"),
    ],
)
def test_wrong_options_are_named(
    typed: list[str], words: str, model: Path, photographs: Path
) -> None:
    assert words in refusal("extract", str(model), "photographs", "--out", "out", *typed)
    assert not Path("out").exists()


def test_of_an_animation_the_first_frame_is_drawn_and_that_is_told(
    model: Path, photographs: Path
) -> None:
    frames = [Image.new("L", (24, 16), grey) for grey in (0, 90, 255)]
    frames[0].save(photographs / "film.gif", save_all=True, append_images=frames[1:])
    assert "extract.first_frame image=film frames=3" in extract(model)


def test_of_a_large_photograph_parts_are_told(
    model: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.extraction.extractor.MOST_BATCH_PIXELS", 256)
    shares = re.findall(r"extract.part image=a share=([0-9.]+)", extract(model))
    assert len(shares) > 3 and shares == sorted(shares, key=float)


def test_what_is_left_out_is_told(model: Path, photographs: Path) -> None:
    (photographs / "._a.png").write_bytes(b"x")
    done = onesketch("extract", str(model), "photographs", "--out", "out")
    assert done.exit_code == 0
    assert "extract.skipped files=1 hidden=1" in done.stderr


def test_an_unreadable_photograph_does_not_stop_the_others(model: Path, photographs: Path) -> None:
    (photographs / "a.png").write_bytes(b"no picture")
    line = refusal("extract", str(model), "photographs", "--out", "out")
    assert "1 of 2 images not drawn; the first: photographs/a.png" in line
    assert "photographs/a.png: cannot be read" in Path("out/extract-failed.txt").read_text()
    assert Path("out/trip/b.png").is_file()
    Image.linear_gradient("L").save(photographs / "a.png")
    assert "to_draw=1 there=1" in extract(model)
    assert not Path("out/extract-failed.txt").exists()


def test_a_name_as_long_as_the_disk_allows(model: Path, photographs: Path) -> None:
    name = "b" * 251
    (photographs / "a.png").rename(photographs / f"{name}.png")
    assert onesketch("extract", str(model), "photographs", "--out", "out").exit_code == 0
    assert Path(f"out/{name}.png").is_file()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], torch.float32),
        (["--dtype", "float32"], torch.float32),
        (["--dtype", "bfloat16"], torch.bfloat16),
        (["--dtype", "float16"], torch.float16),
    ],
)
def test_the_number_format_reaches_the_network(
    typed: list[str],
    expected: torch.dtype,
    model: Path,
    photographs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: set[torch.dtype] = set()
    original = Extractor.draw

    def draw(self: Extractor, pictures: Pixels, on_share: OnShare = be_silent) -> Pixels:
        used.update(parameter.dtype for parameter in self.network.parameters())
        return original(self, pictures, on_share)

    monkeypatch.setattr(Extractor, "draw", draw)
    done = onesketch("extract", str(model), "photographs", "--out", "out", *typed)
    if done.exit_code == 2 and expected == torch.float16:
        assert "--dtype float16 does not work on cpu" in done.stderr
        return
    assert done.exit_code == 0, done.stderr
    assert used == {expected}


def test_formats_agree_about_a_drawing(model: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    exact, rounded = (
        load_extractor(model, "cpu", dtype).sketch(picture).astype(float)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert 0 < np.abs(exact - rounded).max() < 16


def test_a_format_that_the_device_lacks_is_refused_in_one_line(
    model: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("\"slow_conv2d_cpu\" not implemented for 'Half'\nat a line")

    monkeypatch.setattr(torch.nn.Conv2d, "forward", refuse)
    line = refusal("extract", str(model), "photographs", "--out", "out", "--dtype", "float16")
    assert '--dtype float16 does not work on cpu ("slow_conv2d_cpu" not implemented' in line
    assert "use float32" in line and not Path("out").exists()
    unknown = refusal("extract", str(model), "photographs", "--out", "out", "--dtype", "int8")
    assert "unknown number format 'int8'" in unknown


def test_a_teacher_is_no_extractor(photographs: Path) -> None:
    Path("teacher").mkdir()
    for name in ("gsketch.safetensors", "teach.json"):
        Path("teacher", name).write_text("{}")
    line = refusal("extract", "teacher", "photographs", "--out", "out")
    assert "teacher holds a teacher, not an extractor: use `onesketch extract-by-teacher`" in line


def test_options_of_the_teacher_are_not_the_extractors(photographs: Path) -> None:
    for typed in (["--teacher"], ["--prompt", "a"], ["--inversion", "a"], ["--backbone", "a"]):
        done = onesketch("extract", "model", "photographs", "--out", "out", *typed)
        assert done.exit_code == 2 and f"No such option: {typed[0]}" in done.stderr


def test_inputs_that_are_no_places_are_refused(model: Path, photographs: Path) -> None:
    assert "an input is empty" in refusal("extract", str(model), "", "--out", "out")
    assert "gs://b/x is an address" in refusal("extract", str(model), "gs://b/x", "--out", "out")
    assert sorted(os.listdir()) == ["photographs"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk of its own takes root")
def test_a_full_disk_keeps_what_is_finished(model: Path, photographs: Path) -> None:
    for name in "cdefgh":
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (160, 160, 3), np.uint8)
        Image.fromarray(pixels).save(photographs / f"{name}.png")
    Path("out").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "out"]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small disk is refused here")
    try:
        line = refusal("extract", str(model), "photographs", "--out", "out")
        assert "no space left to write" in line and "out/" in line
        finished = list(Path("out").rglob("*.png"))
        assert 0 < len(finished) < 8
        for path in finished:
            Image.open(path).load()
        subprocess.run(["mount", "-o", "remount,size=8m", "out"], check=True)
        assert re.search(rf"to_draw={8 - len(finished)} there={len(finished)}", extract(model))
    finally:
        subprocess.run(["umount", "out"], check=True)
