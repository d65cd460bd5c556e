"""An extractor published as a folder and to a bucket: opened again, with a card that is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors import safe_open

from jobs.evaluation.scores import read_scores
from onesketch import SketchExtractor
from pipeline.storage.address import open_store
from tests.jobs.report.test_report import run as finished_run
from tests.jobs.stages.test_stages import onesketch, refusal
from tests.standins.tiny_extractor import write_tiny_extractor

run = finished_run  # a fixture: a finished run, but for its extractor
STATED = ["--author", "Ada Ink", "--license", "cc-by-4.0"]


@pytest.fixture(scope="module")
def recipe(run: Path) -> str:
    """The recipe of a run with a tiny extractor."""
    trained = {"iterations": 1344, "height_px": 64, "width_px": 64, "pairs": 6, "workers": 2,
               "features": "embedded"}  # fmt: skip
    metadata = {"identity": {}, "trained": trained, "provenance": {}}
    write_tiny_extractor(run / "run/extractor", metadata=metadata)
    return str(run / "recipe.yaml")


@pytest.fixture(scope="module")
def published(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "ink"
    done = onesketch("publish", recipe, "--to", str(folder), *STATED)
    assert done.exit_code == 0, done.stderr
    assert str(folder) in done.stdout
    return folder


def front_matter(folder: Path) -> dict[str, object]:
    _, front, _ = (folder / "README.md").read_text().split("---\n", 2)
    return dict(yaml.safe_load(front))


def test_it_opens_again_and_draws_the_same(published: Path, run: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    expected = SketchExtractor.from_pretrained(run / "run/extractor")(picture, output_type="np")
    again = SketchExtractor.from_pretrained(published)(picture, output_type="np")
    np.testing.assert_array_equal(again, expected)
    by_onnx = SketchExtractor.from_pretrained(published, runtime="onnx")(picture, output_type="np")
    assert np.abs(np.asarray(by_onnx).astype(int) - expected).max() <= 1


def test_what_lies_there(published: Path) -> None:
    found = sorted(p.relative_to(published).as_posix() for p in published.rglob("*.*"))
    assert found == [
        ".gitattributes",
        "README.md",
        "config.json",
        "example/drawing.png",
        "example/image.png",
        "model.safetensors",
        "onnx/model.onnx",
        "samples.png",
    ]
    with safe_open(published / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}
    sheet = Image.open(published / "samples.png")
    assert sheet.height == 2 * 300 + 3 * 12 and sheet.width > 1000


def test_the_card_is_true(published: Path, run: Path) -> None:
    front = front_matter(published)
    assert front["license"] == "cc-by-4.0" and front["library_name"] == "onesketch"
    (index,) = front["model-index"]  # type: ignore[misc]
    scores = {s.name: s.result for s in read_scores(run / "run/evaluation").sets}
    assert {result["dataset"]["name"] for result in index["results"]} == scores.keys()
    for result in index["results"]:
        systems = scores[result["dataset"]["name"]]["systems"]
        for metric in result["metrics"]:
            expected = systems["extractor"][metric["type"]]["mean"]
            assert metric["value"] == pytest.approx(expected, abs=1e-4)
        assert [m["type"] for m in result["metrics"]] == ["lpips", "ssim"]
        assert [m["name"] for m in result["metrics"]] == ["LPIPS by embedded", "SSIM"]
    text = (published / "README.md").read_text()
    for expected in ("Ada Ink made the drawing", "a <b>red</b> house", "1,344", "one person's",
                     "Its own greys", "LPIPS by embedded", "`embedded`"):  # fmt: skip
        assert expected in text, expected


def test_the_card_s_lines_draw(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (published / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(published.parent)
    Image.new("RGB", (30, 20)).save("photo.jpg")
    exec(code.replace('"."', repr(str(published))))
    assert Image.open("drawing.png").size == (30, 20)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ([], "--author is empty"),
        (["--author", "Ada"], "--license '': expected the name of a licence"),
        (["--author", "Ada", "--license", "Free for all"], "expected the name of a licence"),
    ],
)
def test_licence_and_author_are_never_assumed(
    typed: list[str], words: str, recipe: str, tmp_path: Path
) -> None:
    assert words in refusal("publish", recipe, "--to", str(tmp_path / "ink"), *typed)
    assert not (tmp_path / "ink").exists()


def test_what_is_there_stays(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a person's")
    assert "is not empty" in refusal("publish", recipe, "--to", str(tmp_path), *STATED)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_without_an_extractor_leaves_nothing(recipe: str, tmp_path: Path) -> None:
    other = ["--run", str(tmp_path / "other")]
    line = refusal("publish", recipe, "--to", str(tmp_path / "ink"), *other, *STATED)
    assert "holds no extractor" in line
    assert not (tmp_path / "ink").exists()


@pytest.mark.s3
def test_it_is_published_to_a_bucket_and_opened_from_there(
    recipe: str, run: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESKETCH_CACHE", str(tmp_path))
    to = f"s3://{bucket}/shared/ink"
    done = onesketch("publish", recipe, "--to", to, "--no-onnx", *STATED)
    assert done.exit_code == 0, done.stderr
    assert "README.md" in open_store(to).keys("")
    picture = np.full((20, 30, 3), 90, np.uint8)
    expected = SketchExtractor.from_pretrained(run / "run/extractor")(picture, output_type="np")
    far = SketchExtractor.from_pretrained(to)(picture, output_type="np")
    np.testing.assert_array_equal(far, expected)
    assert "is not empty" in refusal("publish", recipe, "--to", to, *STATED)
