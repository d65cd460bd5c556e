"""The wheel in an environment that has what drawing needs, and none of the extras."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.standins.tiny_extractor import write_tiny_extractor
from tests.tools.source import ROOT
from training.extraction.extractor import Extractor

SOURCES = ("jobs", "onesketch", "pipeline", "training", "pyproject.toml", "README.md")
# Of each extra, a library that must not be there.
EXTRAS = ("av", "boto3", "cv2", "diffusers", "onnxruntime", "pyarrow", "ray", "transformers",
          "vtracer", "yaml")  # fmt: skip


def needed(name: str, found: set[str]) -> set[str]:
    """The distributions that one requires without extras, and all that those require."""
    try:
        requires = distribution(name).requires or []
    except PackageNotFoundError:
        return found  # for another system
    found.add(name)
    for requirement in requires:
        other = re.split(r"[\s<>=!~;\[(]", requirement, maxsplit=1)[0].lower().replace("_", "-")
        if "extra ==" not in requirement and other not in found:
            needed(other, found)
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sources, and links to the libraries that it requires."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source, copy = ROOT / name, folder / "source" / name
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *build, str(folder / "source")], check=True)
    venv.create(folder / "env", with_pip=False)
    (site,) = (folder / "env/lib").glob("python*/site-packages")
    (wheel,) = folder.glob("onesketch-*.whl")
    install = ["install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    for name in needed("onesketch", set()) - {"onesketch"}:
        for file in distribution(name).files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder / "env"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_extractor(tmp_path_factory.mktemp("extractor"))


def python(environment: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [environment / "bin/python", *arguments],
        cwd=environment,  # not among the sources
        env={**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def command(environment: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(environment, "-c", "from jobs.cli.main import app; app()", *arguments)


def test_no_extra_is_installed(environment: Path) -> None:
    code = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
    assert python(environment, "-c", code, *EXTRAS).stdout.split() == []


def test_a_picture_is_drawn_in_three_lines(environment: Path, model: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    Image.fromarray(picture).save(environment / "photo.png")
    code = (
        "from PIL import Image\nfrom onesketch import SketchExtractor\n"
        f"sketch = SketchExtractor.from_pretrained({str(model)!r})\n"
        "sketch(Image.open('photo.png')).save('drawing.png')\n"
        "sketch(Image.open('photo.png'), short_side=32, output_type='alpha').save('ink.png')\n"
    )
    done = python(environment, "-c", code)
    assert done.returncode == 0, done.stderr
    expected = Extractor.load(model).sketch(picture)
    drawn = np.asarray(Image.open(environment / "drawing.png")).astype(int)
    assert np.abs(drawn - expected).max() <= 1
    assert Image.open(environment / "ink.png").mode == "LA"


def test_the_command_draws_too(environment: Path, model: Path) -> None:
    done = command(environment, "extract", str(model), "photo.png", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert Image.open(environment / "out/photo.png").size == (56, 40)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["teach", "xdog"], "teach"),
        (["extract", "MODEL", "photo.png", "--out", "svg", "--svg", "outline"], "svg"),
        (["extract", "s3://bucket/x", "photo.png", "--out", "far"], "cluster"),
    ],
)
def test_what_needs_an_extra_says_so(
    arguments: list[str], extra: str, environment: Path, model: Path
) -> None:
    done = command(environment, *[str(model) if a == "MODEL" else a for a in arguments])
    assert done.returncode == 2
    assert f"pip install 'onesketch[{extra}]'" in done.stderr
    assert len(done.stderr.splitlines()) <= 2 and "Traceback" not in done.stderr


def test_help_needs_no_extra(environment: Path) -> None:
    assert "extract" in command(environment, "--help").stdout
