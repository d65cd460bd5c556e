"""The evaluation's page and its choices: self-contained, and plain about what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.evaluation.evaluate import (
    Measurement,
    choose_sets,
    choose_teacher_extractor,
    encoder_names,
    load_scoring_networks,
    measure_set,
)
from jobs.evaluation.page import write_evaluation_page
from jobs.evaluation.picture_sets import LINE_ART, scene_set
from jobs.evaluation.scores import EvaluationScores
from jobs.runtime.devices import choose_machine
from pipeline.arrays import Pixels
from tests.standins.tiny_encoders import write_perceptual
from training.encoders.inception import FEATURES, Inception
from training.encoders.lpips import load_perceptual
from training.evaluation.evaluate import BASELINES, ScoringNetworks
from training.styles.registry import STYLES
from training.styles.xdog import xdog


def pretend(picture: Pixels) -> Pixels:
    """Draw nearly as XDoG does."""
    return (xdog(picture) // 2 + 127).astype(np.uint8)


def thumbnails(pictures: torch.Tensor) -> torch.Tensor:
    """Describe pictures by 2,048 of their pixels: enough to tell drawings apart."""
    return pictures.float().mean(1).flatten(1)[:, :FEATURES]


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> ScoringNetworks:
    return ScoringNetworks(load_perceptual(write_perceptual(tmp_path_factory.mktemp("perceptual"))))


def page_of(folder: Path, networks: ScoringNetworks) -> tuple[str, dict[str, Any]]:
    scores = measure_set(scene_set(3, 64), pretend, networks, folder)
    path = write_evaluation_page(folder, EvaluationScores([scores], encoder_names(networks)))
    assert scores.result is not None
    return path.read_text(), scores.result


def test_page_is_self_contained_and_says_that_no_inception_was_given(
    networks: ScoringNetworks, tmp_path: Path
) -> None:
    text, result = page_of(tmp_path, networks)
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(sources) == 3 * 4
    assert all(source.startswith("data:image/") for source in sources)
    assert "no Inception network was given" in text
    assert "embedded (the package" in text
    for scores in result["systems"].values():
        assert f"{scores['lpips']['mean']:.3f}" in text
        assert f"{scores['ssim']['low']:.3f}–{scores['ssim']['high']:.3f}" in text


def test_page_shows_fid_and_kid_of_every_method(networks: ScoringNetworks, tmp_path: Path) -> None:
    inception = Inception("thumbnails of 64 pixels", thumbnails, "cpu")
    text, result = page_of(tmp_path, ScoringNetworks(networks.perceptual, inception))
    assert "thumbnails of 64 pixels" in text and "no Inception" not in text
    found = result["distribution"]["systems"]
    assert set(found) == {"extractor", *BASELINES}
    for distances in found.values():
        assert f"<td>{distances['fid']:.2f}</td><td>{distances['kid']:.4f}</td>" in text


def test_drawings_belong_to_one_folder(tmp_path: Path) -> None:
    measurement = Measurement(photographs=("a", "b"), drawings=tmp_path)
    with pytest.raises(ValueError, match="one folder of photographs; got 2: a, b"):
        choose_sets(measurement, LINE_ART, None)


def test_pairs_of_two_folders_are_a_set(tmp_path: Path) -> None:
    for kind, colour in (("photographs", (9, 9, 200)), ("drawings", (255, 255, 255))):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (40, 50), colour).save(tmp_path / kind / "a.png")
    measurement = Measurement((str(tmp_path / "photographs"),), tmp_path / "drawings", scenes=0)
    (pictures,) = choose_sets(measurement, LINE_ART, None)
    picture, drawing = pictures.pairs[0].read()
    assert picture.shape == (50, 40, 3) and (drawing == STYLES["blank"](picture)).all()


def test_another_system_s_drawings_are_scored_beside(
    networks: ScoringNetworks, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    for kind in ("photographs", "theirs"):
        (tmp_path / kind).mkdir()
    for name in ("a", "b"):
        picture = random.integers(0, 256, (64, 80, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "photographs" / f"{name}.png")
        # It draws the truth itself.
        Image.fromarray(xdog(picture)).save(tmp_path / "theirs" / f"{name}.bmp")
    measurement = Measurement(
        (str(tmp_path / "photographs"),), rivals={"theirs": tmp_path / "theirs"}, scenes=0
    )
    (pictures,) = choose_sets(measurement, "xdog", None)
    scores = measure_set(pictures, pretend, networks, tmp_path / "out")
    assert scores.result is not None
    systems = scores.result["systems"]
    assert systems["theirs"]["l1"]["mean"] == 0 and systems["extractor"]["l1"]["mean"] > 0
    page = write_evaluation_page(
        tmp_path / "out", EvaluationScores([scores], encoder_names(networks))
    ).read_text()
    rows = re.findall(r'<tr><th scope="row">([^<]+)', page)
    assert rows[:2] == ["Extractor", "theirs"]
    grid = scores.result["grid_db"]["theirs"]
    assert f'<td class="grid">{grid:.1f}</td>' in page
    # Whatever a rival does, the verdict is about what was trained here.
    assert "✗ extractor: not shown" in page

    (tmp_path / "theirs" / "b.bmp").unlink()
    with pytest.raises(ValueError, match=r"theirs: expected one drawing named b .*got 0"):
        choose_sets(measurement, "xdog", None)


def test_the_teacher_needs_its_recipe_and_files_must_be_there(
    networks: ScoringNetworks, tmp_path: Path
) -> None:
    machine = choose_machine("cpu")
    with pytest.raises(ValueError, match="give --recipe"):
        choose_teacher_extractor(Measurement(teacher=True), None, machine)
    assert choose_teacher_extractor(Measurement(), None, machine) is None
    folder = str(write_perceptual(tmp_path / "perceptual"))
    with pytest.raises(ValueError, match="no such file"):
        load_scoring_networks(Measurement(perceptual=folder, inception="lost.pth"), machine)
    assert load_scoring_networks(Measurement(perceptual=folder), machine).inception is None
