"""The report: self-contained, honest about who wins, and whole."""

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
from jobs.evaluation.score_table import SCORES, beats_baselines
from jobs.evaluation.scores_section import score_groups
from jobs.extract.photographs import find_photographs
from jobs.pages.figures import make_figure
from jobs.report.report import write_report
from jobs.runtime.files import write_png
from jobs.runtime.recipes import open_recipe
from jobs.runtime.run_folder import RunFolder
from pipeline.dataset.encode import encode
from pipeline.dataset.plan import plan_from_recipe, write_or_check
from pipeline.pair import Pair
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.storage.address import open_store
from pipeline.whole_file import write_json
from tests.standins.tiny_encoders import write_perceptual
from training.encoders.lpips import load_perceptual
from training.evaluation.evaluate import ScoringNetworks
from training.styles.styles import xdog

SIDE = 64


def pretend(picture: np.ndarray) -> np.ndarray:
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
    """A finished run with made-up drawings, on small pictures; gives the recipe's folder."""
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
        '{"event": "stage.finished", "stage": "teach", "seconds": 185}\n'
    )
    write_report(recipe, folder)
    return root


def publish_dataset(out: str, root: Path, pairs: list[Pair]) -> None:
    store = open_store(out)
    recipe = open_recipe(str(root / "recipe.yaml"))
    plan = write_or_check(store, plan_from_recipe(recipe, {"teacher/a": "f" * 64}, {"torch": "2"}))
    encoded = [encode(pair) for pair in pairs]
    for shard in range(plan.num_shards):
        publish(store, plan, shard, [encoded[i] for i in plan.indices(shard)])
    complete(store, plan)


def evaluate_made_up(folder: RunFolder, pairs: list[Pair], root: Path) -> None:
    networks = ScoringNetworks(load_perceptual(write_perceptual(root / "perceptual")))
    sets = [generated_set(pairs, "xdog"), photograph_set(find_photographs(["bundled"])[:2], "xdog")]
    measured = [measure_set(each, pretend, networks, folder.evaluation) for each in sets]
    write_json(folder.evaluation / SCORES, {"sets": measured, "encoders": {"lpips": "embedded"}})


def test_page_needs_no_other_file(run: Path) -> None:
    page = Page((run / "run" / "report.html").read_text())
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)


def test_every_picture_says_what_it_shows(run: Path) -> None:
    page = Page((run / "run" / "report.html").read_text())
    # Example 3, strip 1, six pairs, two generated rows of five, two photographs of four.
    assert len(page.alts) == 3 + 1 + 2 * 6 + 2 * 5 + 2 * 4
    assert all(page.alts)


def test_every_picture_can_be_decoded(run: Path) -> None:
    for source in Page((run / "run" / "report.html").read_text()).sources:
        Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))).load()


def test_page_tells_scores_times_and_origin(run: Path) -> None:
    text = (run / "run" / "report.html").read_text()
    for expected in ("3 min 05 s", "Blank page", "Sobel edges", "6 pairs", "f" * 64, "a &lt;b&gt;"):
        assert expected in text
    assert not re.search(r"<b>red", text)


def test_verdict_follows_the_means() -> None:
    def result(ssim: float) -> dict[str, object]:
        scores = {
            "extractor": (0.1, ssim), "blank": (0.3, 0.5), "sobel": (0.2, 0.4)
        }  # fmt: skip
        systems = {
            name: {
                metric: {"mean": value, "low": value - 0.05, "high": value + 0.05}
                for metric, value in zip(("lpips", "ssim"), pair, strict=True)
            }
            for name, pair in scores.items()
        }
        return {"systems": systems, "better": {"lpips": "lower", "ssim": "higher"}}

    assert beats_baselines(result(0.6)) == {"extractor": True}
    assert beats_baselines(result(0.5)) == {"extractor": False}
    loser = {"name": "photographs", "truth": "xdog", "pictures": 3, "result": result(0.45),
             "beats_baselines": beats_baselines(result(0.45))}  # fmt: skip
    (group,) = score_groups([loser])
    assert group.verdict.startswith("✗")
    best = [row.method for row in group.rows if row.cells[1].best]
    assert best == ["Blank page"]


def test_large_pictures_are_shrunk_small_ones_kept() -> None:
    large = make_figure(np.zeros((600, 900, 3), np.uint8), "x", max_side=300)
    small = make_figure(np.zeros((60, 90), np.uint8), "x", max_side=300)
    assert (large.width, large.height) == (300, 200)
    assert (small.width, small.height) == (90, 60)


def test_a_run_without_dataset_is_refused_clearly(run: Path, tmp_path: Path) -> None:
    recipe = open_recipe(str(run / "recipe.yaml"), tmp_path / "empty")
    with pytest.raises(ValueError, match=r"image\.png: no such image|manifest"):
        write_report(recipe, RunFolder(tmp_path / "empty"))
