"""An evaluation from pictures to a result, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import ExifTags, Image
from torch import Tensor

from pipeline.images.read import read_photograph
from tests.standins.tiny_encoders import write_perceptual
from training.encoders.inception import FEATURES, Inception
from training.encoders.lpips import load_perceptual
from training.evaluation.evaluate import (
    BASELINES,
    ScoringNetworks,
    bootstrap_interval,
    evaluate,
    mean_interval,
)
from training.evaluation.fid_kid import frechet_distance
from training.evaluation.metrics import Ssim
from training.evaluation.pairs import (
    EvaluationPair,
    PairingError,
    folder_pairs,
    read_picture,
    read_true_drawing,
)
from training.styles.registry import STYLES
from training.styles.xdog import xdog


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> ScoringNetworks:
    return ScoringNetworks(load_perceptual(write_perceptual(tmp_path_factory.mktemp("perceptual"))))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        coarse = np.random.default_rng(i).integers(0, 256, size=(5, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((48, 40), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


def xdog_pairs(folder: Path) -> list[EvaluationPair]:
    def pair(path: Path) -> EvaluationPair:
        picture = read_picture(path)
        return EvaluationPair(path.stem, lambda: (picture, xdog(picture)))

    return [pair(path) for path in sorted(folder.iterdir())]


def test_an_extractor_that_is_the_truth_wins_and_the_result_is_json(
    pictures: Path, networks: ScoringNetworks
) -> None:
    result = evaluate({"perfect": xdog}, xdog_pairs(pictures), "xdog", networks)
    result = json.loads(json.dumps(result))
    assert result["pairs"] == 3 and result["encoders"] == {"lpips": "embedded"}
    assert set(result["systems"]) == {"perfect", *BASELINES}
    perfect = result["systems"]["perfect"]
    assert perfect["ssim"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert perfect["lpips"]["mean"] == 0
    assert result["better"] == {
        "lpips": "lower",
        "ssim": "higher",
        "l1": "lower",
        "edge_f1": "higher",
    }
    assert perfect["l1"]["mean"] == 0 and perfect["edge_f1"]["mean"] == 1
    for scores in result["systems"].values():
        for score in scores.values():
            assert score["low"] <= score["mean"] <= score["high"]


def eight_pixels(pictures: Tensor) -> Tensor:
    """Random projections stand for the network, whose weights are random in these tests too."""
    values = pictures.float().mean(1).flatten(1)  # (N, H W)
    generator = torch.Generator().manual_seed(0)
    projection = torch.randn(values.shape[1], FEATURES, generator=generator)
    return values @ projection / values.shape[1]


def test_sets_of_drawings_are_compared_when_an_inception_network_is_given(
    pictures: Path, networks: ScoringNetworks
) -> None:
    missing = evaluate({}, xdog_pairs(pictures), "xdog", networks, metrics=["ssim"])
    assert "no Inception network" in missing["distribution"]["missing"]
    with_network = ScoringNetworks(networks.perceptual, Inception("random", eight_pixels, "cpu"))
    pairs = xdog_pairs(pictures)
    result = evaluate({"perfect": xdog}, pairs, "xdog", with_network, metrics=["ssim"])
    found = json.loads(json.dumps(result["distribution"]))
    assert found["network"] == "random" and found["pictures"] == 3
    assert set(found["systems"]) == {"perfect", *BASELINES}
    assert found["systems"]["perfect"]["fid"] == pytest.approx(0, abs=1e-6)
    truths, drawn = (
        with_network.inception.features([draw(pair.read()[0]) for pair in pairs])
        for draw in (xdog, STYLES["sobel"])
    )
    assert found["systems"]["sobel"]["fid"] == pytest.approx(frechet_distance(drawn, truths))
    alone = evaluate({}, pairs[:1], "xdog", with_network, metrics=["ssim"])
    assert "at least 2 pictures" in alone["distribution"]["missing"]


def test_the_same_seed_gives_the_same_interval(pictures: Path, networks: ScoringNetworks) -> None:
    first, second = (
        evaluate({}, xdog_pairs(pictures), "xdog", networks, metrics=["ssim"]) for _ in range(2)
    )
    assert first == second


def test_advantages_are_of_pairs(pictures: Path, networks: ScoringNetworks) -> None:
    """The differences' interval is scipy's, of differences and not of the two means."""
    pairs = xdog_pairs(pictures)
    result = evaluate({"sobel too": STYLES["sobel"]}, pairs, "xdog", networks, metrics=["ssim"])
    paired = result["paired"]["sobel too"]
    assert paired["sobel"]["ssim"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    ssim = [[Ssim().score(STYLES[s](p.read()[0]), p.read()[1]) for p in pairs]
            for s in ("sobel", "grey")]  # fmt: skip
    expected = scipy.stats.ttest_rel(*ssim).confidence_interval(0.95)
    found = paired["grey"]["ssim"]
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_seven_pictures_are_covered_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.normal(size=7), seed=1) for _ in range(1000)]
    assert 0.935 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 0.965
    assert mean_interval(np.array([0.3]), seed=1) == (0.3, 0.3)


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_interval(rng.normal(size=50), seed=1, resamples=400)
        covered += low <= 0 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_folders_are_paired_by_name(
    pictures: Path, tmp_path: Path, networks: ScoringNetworks
) -> None:
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    for path in pictures.iterdir():
        Image.fromarray(xdog(np.asarray(Image.open(path)))).save(
            drawings / f"{path.stem}.webp", lossless=True
        )
    pairs = folder_pairs(pictures, drawings)
    assert [pair.name for pair in pairs] == ["0", "1", "2"]
    result = evaluate({"perfect": xdog}, pairs, "drawings", networks, metrics=["ssim"])
    assert result["systems"]["perfect"]["ssim"]["mean"] == 1.0


def test_a_missing_partner_is_named(pictures: Path, tmp_path: Path) -> None:
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    Image.new("L", (48, 40)).save(drawings / "1.png")
    with pytest.raises(PairingError, match="2 files lack a partner.*0 only in .*pictures"):
        folder_pairs(pictures, drawings)


def test_a_drawing_of_another_size_is_refused_and_never_resized(
    pictures: Path, tmp_path: Path
) -> None:
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    for i in range(3):
        Image.new("L", (40, 48)).save(drawings / f"{i}.png")
    with pytest.raises(PairingError, match="expected the picture's size 48 x 40, got 40 x 48"):
        folder_pairs(pictures, drawings)[0].read()


def test_a_photograph_fits_the_drawing_that_is_extracted_of_it(tmp_path: Path) -> None:
    pictures, drawings = tmp_path / "pictures", tmp_path / "drawings"
    pictures.mkdir()
    drawings.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # held upright: a quarter turn to the right
    Image.fromarray(noise).save(pictures / "phone.png", exif=exif)
    drawn = xdog(read_photograph(pictures / "phone.png"))
    Image.fromarray(drawn).save(drawings / "phone.png")
    (pair,) = folder_pairs(pictures, drawings)
    picture, drawing = pair.read()
    assert picture.shape == (48, 40, 3) and np.array_equal(picture, np.rot90(noise, -1))
    assert np.array_equal(drawing, drawn)
    (pictures / "phone.png").write_text("no picture")
    with pytest.raises(PairingError, match=r"phone\.png: cannot be read"):
        pair.read()


def test_modes_are_checked(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8)).save(tmp_path / "clear.png")
    with pytest.raises(PairingError, match="Flatten it"):
        read_true_drawing(tmp_path / "clear.png")
    Image.new("RGB", (8, 8), (9, 8, 9)).save(tmp_path / "colour.png")
    with pytest.raises(PairingError, match="found colours"):
        read_true_drawing(tmp_path / "colour.png")
    Image.new("RGB", (8, 6), (9, 9, 9)).save(tmp_path / "grey.png")
    assert read_true_drawing(tmp_path / "grey.png").tolist() == [[9] * 8] * 6
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(PairingError, match="cannot be read"):
        read_true_drawing(tmp_path / "text.png")


def test_folders_that_cannot_be_used_are_named(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(PairingError, match="no such folder"):
        folder_pairs(pictures, tmp_path / "lost")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PairingError, match="holds no pictures"):
        folder_pairs(tmp_path / "empty", pictures)
    Image.new("RGB", (48, 40)).save(pictures / "1.jpg")
    with pytest.raises(PairingError, match="share a name"):
        folder_pairs(pictures, pictures)


def test_an_extractor_that_breaks_its_word_is_named(
    pictures: Path, networks: ScoringNetworks
) -> None:
    with pytest.raises(ValueError, match="system 'small', picture '0'"):
        evaluate(
            {"small": lambda picture: xdog(picture)[1:]},
            xdog_pairs(pictures),
            "xdog",
            networks,
            metrics=["ssim"],
        )
    with pytest.raises(ValueError, match="not named like the baselines"):
        evaluate({"blank": xdog}, xdog_pairs(pictures), "xdog", networks)
