"""Photographs through a tiny extractor, as the command does it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.extract.extract import load_extractor
from pipeline.arrays import Pixels
from tests.jobs.stages.test_stages import onesketch, refusal
from training.encoders.features import FeatureNetwork
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import write_extractor
from training.students.pix2pixhd import Pix2PixHD, Preset
from training.students.pix2pixhd_discriminators import DiscriminatorConfig
from training.students.pix2pixhd_generator import GeneratorConfig


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extractor with random weights."""
    folder = tmp_path_factory.mktemp("run") / "extractor"
    torch.manual_seed(0)
    preset = Preset(GeneratorConfig(width=4, downs=2, blocks=1), DiscriminatorConfig(width=4))
    write_extractor(folder, Pix2PixHD(preset, FeatureNetwork), "pix2pixhd", {})
    return folder


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


def test_drawing_again_replaces_the_drawings_only(model: Path, photographs: Path) -> None:
    for _ in range(2):
        assert onesketch("extract", str(model), "photographs", "--out", "out").exit_code == 0
    drawn = sorted(path.name for path in Path("out").rglob("*.png"))
    assert drawn == ["a.png", "b.png"]


def test_what_is_left_out_is_told(model: Path, photographs: Path) -> None:
    (photographs / "._a.png").write_bytes(b"x")
    done = onesketch("extract", str(model), "photographs", "--out", "out")
    assert done.exit_code == 0
    assert "extract.skipped files=1 hidden=1" in done.stderr


def test_an_unreadable_photograph_does_not_stop_the_others(model: Path, photographs: Path) -> None:
    (photographs / "a.png").write_bytes(b"no picture")
    line = refusal("extract", str(model), "photographs", "--out", "out")
    assert "1 of 2 images not drawn; the first: photographs/a.png" in line
    assert Path("out/trip/b.png").is_file()


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
    original = Extractor.sketch

    def sketch(self: Extractor, image: Pixels, short_side_px: int | None = None) -> Pixels:
        used.update(parameter.dtype for parameter in self.network.parameters())
        return original(self, image, short_side_px)

    monkeypatch.setattr(Extractor, "sketch", sketch)
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
    assert "is an address" in refusal("extract", str(model), "s3://b/x", "--out", "out")
    assert sorted(os.listdir()) == ["photographs"]
