"""`onesketch confidence` on folders of pictures: Table 5's form, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from jobs.cli.main import app
from tests.training.evaluation import literal_confidence as literal
from training.encoders.clip import ClipEncoder, load_clip

COUNTS = {"photos": 3, "anime": 4}


def onesketch(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def domains(tmp_path: Path) -> tuple[Path, Path]:
    random = np.random.default_rng(0)
    for number, (name, count) in enumerate(COUNTS.items()):
        for folder, darkest in (("images", 0), ("hatching", 80), ("outline", 160)):
            (tmp_path / name / folder).mkdir(parents=True)
            for i in range(count):
                height = 36 + 4 * i
                pixels = random.integers(darkest, 256 - 60 * number, (height, 44, 3))
                if folder != "images":
                    pixels = pixels[..., 0]
                picture = Image.fromarray(pixels.astype(np.uint8))
                picture.save(tmp_path / name / folder / f"{i}.png")
    return tmp_path / "photos", tmp_path / "anime"


def embedded(clip: ClipEncoder, path: Path) -> NDArray[np.float64]:
    pixels = np.asarray(Image.open(path).convert("RGB")) / 255.0
    with torch.no_grad():
        tensor = torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1)[None]
        return clip.image(tensor)[0].double().numpy()


def test_the_table_equals_the_equations(
    domains: tuple[Path, Path], encoders: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = onesketch("confidence", *domains, "--out", out, "--clip", encoders / "clip")
    assert result.exit_code == 0
    clip = load_clip(encoders / "clip")
    rows = json.loads((out / "confidence.json").read_text())["rows"]
    for style in ("hatching", "outline"):
        x, y = (
            [
                tuple(embedded(clip, d / folder / f"{i}.png") for folder in ("images", style))
                for i in range(COUNTS[d.name])
            ]
            for d in domains
        )
        expected = {
            "confidence(photos, photos)": literal.confidence(x, x, x + y),
            "confidence(anime, anime)": literal.confidence(y, y, x + y),
            "confidence(photos, anime)": literal.confidence(x, y, x + y),
        }
        assert {name: row[style] for name, row in rows.items()} == pytest.approx(expected, rel=1e-4)
    for row in rows.values():
        assert row["Average"] == pytest.approx((row["hatching"] + row["outline"]) / 2)
    table = (out / "confidence.md").read_text()
    assert "| Similarity | hatching | outline | Average |" in table
    assert f"{rows['confidence(photos, anime)']['outline']:.4f}" in table
    assert "confidence(photos, anime)" in result.stdout


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda a, b: (b / "outline").rename(b / "stipple"), "styles outline, stipple"),
        (lambda a, b: (a / "images").rename(a / "pictures"), "a folder images/"),
        (lambda a, b: (b / "outline" / "2.png").unlink(), "lack a partner"),
    ],
)
def test_domains_that_do_not_fit_are_refused(
    domains: tuple[Path, Path],
    encoders: Path,
    tmp_path: Path,
    harm: Callable[[Path, Path], object],
    words: str,
) -> None:
    harm(*domains)
    result = onesketch(
        "confidence", *domains, "--out", tmp_path / "out", "--clip", encoders / "clip"
    )
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_domain_against_itself_is_refused(
    domains: tuple[Path, Path], encoders: Path, tmp_path: Path
) -> None:
    result = onesketch(
        "confidence", domains[0], domains[0], "--out", tmp_path, "--clip", encoders / "clip"
    )
    assert result.exit_code == 2 and "both domains are called photos" in result.stderr
