"""The report: self-contained, honest about who wins, and whole."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.evaluation.evaluate import measure_set
from jobs.evaluation.picture_sets import generated_set, photograph_set, scene_set
from jobs.evaluation.scores import EvaluationScores, write_scores
from jobs.evaluation.scores_section import ScoreGroup
from jobs.report.limits_section import limits
from jobs.report.report import write_report
from jobs.runtime.recipes import open_recipe
from jobs.runtime.run_folder import RunFolder
from jobs.runtime.session import open_session
from pipeline import canonical
from pipeline.arrays import Pixels
from pipeline.dataset.encode import encode_pair
from pipeline.dataset.plan import plan_from_recipe, write_or_check
from pipeline.images.find import find_photographs
from pipeline.images.write import write_png
from pipeline.pair import Pair
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.recipe.recipe import parse_recipe
from pipeline.storage.address import open_store
from tests.standins.tiny_encoders import write_perceptual
from training.encoders.lpips import load_perceptual
from training.evaluation.evaluate import ScoringNetworks
from training.styles.xdog import xdog

SIDE = 64


def pretend(picture: Pixels) -> Pixels:
    """Draw nearly as XDoG does."""
    return (xdog(picture) // 2 + 127).astype(np.uint8)


def made_up_pairs(count: int) -> list[Pair]:
    scenes = [pair.read()[0] for pair in scene_set(count, SIDE).pairs]
    return [Pair(i, scene, pretend(scene)) for i, scene in enumerate(scenes)]


class Page(HTMLParser):
    """What a browser would fetch, and what it would say about pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.alts: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img":
            self.alts.append(values.get("alt") or "")
        for name in ("src", "href", "srcset", "data"):
            if values.get(name):
                self.sources.append(values[name] or "")
        assert tag not in {"script", "link", "iframe", "object"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with made-up drawings, on small pictures: the recipe's folder."""
    root = tmp_path_factory.mktemp("made-up")
    (root / "recipe.yaml").write_text(
        f"style: xdog\nrun: {root}/run\ndataset: {{samples: 6, shard_size: 4}}\n"
        "example: {prompt: 'a <b>red</b> house', seed: 1, drawing: drawing.png}\n"
    )
    recipe = open_recipe(str(root / "recipe.yaml"))
    folder = RunFolder(recipe.run_path)
    pairs = made_up_pairs(8)
    write_png(folder.source / "image.png", pairs[0].image)
    write_png(root / "drawing.png", xdog(pairs[0].image))
    write_png(folder.teacher / "known.png", pairs[0].sketch)
    write_png(folder.teacher / "strip.png", np.hstack([pair.image for pair in pairs]))
    publish_dataset(recipe.dataset.out, root, pairs[:6])
    evaluate_made_up(folder, pairs[6:], root)
    folder.events.write_text(
        '{"event": "run.opened", "cores": 2, "device": "cpu", "dtype": "float32"}\n'
        '{"event": "teach.iteration", "done": 2, "total": 2}\n'
        '{"event": "stage.finished", "stage": "teach", "seconds": 185, '
        '"time": "2026-11-01T12:00:00.000+00:00"}\n'
    )
    with open_session(str(root / "recipe.yaml"), device="cpu") as session:
        write_report(session)
    return root


def publish_dataset(out: str, root: Path, pairs: list[Pair]) -> None:
    store = open_store(out)
    recipe = open_recipe(str(root / "recipe.yaml"))
    drawing = canonical.sha256(xdog(pairs[0].image).tobytes())
    fingerprints = {"teacher/a": "f" * 64, "example/drawing": drawing}
    plan = write_or_check(store, plan_from_recipe(recipe, fingerprints, {"torch": "2"}))
    encoded = [encode_pair(pair) for pair in pairs]
    for shard in range(plan.num_shards):
        publish(store, plan, shard, [encoded[i] for i in plan.indices(shard)])
    complete(store, plan)


def evaluate_made_up(folder: RunFolder, pairs: list[Pair], root: Path) -> None:
    networks = ScoringNetworks(load_perceptual(write_perceptual(root / "perceptual")))
    sets = [generated_set(pairs, "xdog"), photograph_set(find_photographs(["bundled"])[:2], "xdog")]
    scores = [measure_set(pictures, pretend, networks, folder.evaluation) for pictures in sets]
    write_scores(folder.evaluation, EvaluationScores(scores, {"lpips": "embedded"}))


def test_page_needs_no_other_file(run: Path) -> None:
    page = Page((run / "run" / "report.html").read_text())
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)


def test_every_picture_says_what_it_shows(run: Path) -> None:
    page = Page((run / "run" / "report.html").read_text())
    # Example 3, strip 1, six pairs, two generated rows of five, two photographs of four, and one
    # of them large with its drawing.
    assert len(page.alts) == 3 + 1 + 2 * 6 + 2 * 5 + 2 + 2 * 4
    assert all(page.alts)


def test_every_picture_can_be_decoded(run: Path) -> None:
    for source in Page((run / "run" / "report.html").read_text()).sources:
        Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))).load()


def test_page_tells_scores_times_and_origin(run: Path) -> None:
    text = (run / "run" / "report.html").read_text()
    for expected in ("3 min 05 s", "Blank page", "Sobel edges", "6 pairs", "f" * 64, "a &lt;b&gt;"):
        assert expected in text
    assert not re.search(r"<b>red", text)


def test_a_run_without_dataset_is_refused_clearly(run: Path, tmp_path: Path) -> None:
    with (
        open_session(str(run / "recipe.yaml"), tmp_path / "empty", "cpu") as session,
        pytest.raises(ValueError, match=r"image\.png: no such image|manifest"),
    ):
        write_report(session)


def test_the_page_says_what_the_extractor_cannot_do(run: Path) -> None:
    text = (run / "run" / "report.html").read_text()
    (listed,) = re.findall(r'<ul class="limits">(.*?)</ul>', text, re.S)
    # Two photographs decide nothing, and its frames flicker however well it draws.
    assert "Photographs: it is not shown to be better than" in listed and "flicker" in listed


def test_limits_are_those_of_the_run() -> None:
    group = ScoreGroup("Photographs", "", [], [], "✓", beats=True)
    recipe = parse_recipe(
        {"style": "ink", "backbone": "sd", "example": {"prompt": "a", "seed": 1, "drawing": "d"}},
        Path(),
    )
    said = " ".join(limits(recipe, [group]))
    assert "not shown" not in said and "toys" not in said and "small network" not in said
    assert "30,000 drawings" in said
