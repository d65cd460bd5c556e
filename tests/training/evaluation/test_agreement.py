"""Scores of a pair against the example: the cosines written out, alone and in company."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.arrays import Pixels
from tests.standins.tiny_encoders import write_clip
from tests.training.evaluation.literal_confidence import Vector, cosine
from training.encoders.clip import ClipEncoder, load_clip
from training.evaluation.agreement import ClipAgreement

SIDE = 40


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ClipEncoder:
    return load_clip(write_clip(tmp_path_factory.mktemp("clip")))


def pictures(count: int, seed: int) -> tuple[Pixels, Pixels]:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return images, rng.integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)


@pytest.fixture(scope="module")
def scorer(clip: ClipEncoder) -> ClipAgreement:
    images, sketches = pictures(1, 9)
    return ClipAgreement(clip, images[0], sketches[0])


def embed(clip: ClipEncoder, picture: Pixels) -> Vector:
    rgb = np.stack([picture] * 3, -1) if picture.ndim == 2 else picture
    tensor = torch.tensor(rgb / 255.0, dtype=torch.float32).permute(2, 0, 1)[None]
    return clip.image(tensor)[0].double().numpy()


def test_columns_equal_the_cosines_written_out(clip: ClipEncoder, scorer: ClipAgreement) -> None:
    (example_image,), (example_sketch,) = pictures(1, 9)
    images, sketches = pictures(3, 1)
    source, drawing = embed(clip, example_image), embed(clip, example_sketch)
    for columns, image, sketch in zip(
        scorer.score(images, sketches), images, sketches, strict=True
    ):
        e_image, e_sketch = embed(clip, image), embed(clip, sketch)
        across = cosine(e_sketch - e_image, drawing - source)
        within = cosine(e_image - source, e_sketch - drawing)
        expected = {
            "clip_agreement": across,
            "clip_within": within,
            "confidence": 100 * (across + within) / 2,
        }
        assert columns == pytest.approx(expected, abs=1e-3)


def test_the_example_agrees_with_itself_across_and_has_no_direction_to_itself(
    scorer: ClipAgreement,
) -> None:
    (columns,) = scorer.score(*pictures(1, 9))
    assert columns == {"clip_agreement": 1.0, "clip_within": 0.0, "confidence": 50.0}


def test_a_page_that_keeps_its_image_points_nowhere(scorer: ClipAgreement) -> None:
    _, sketches = pictures(1, 3)
    image = np.stack([sketches[0]] * 3, -1)
    assert scorer.score(image[None], sketches)[0]["clip_agreement"] == 0.0


def test_neighbours_change_nothing(scorer: ClipAgreement) -> None:
    images, sketches = pictures(4, 5)
    together = scorer.score(images, sketches)
    for i in range(4):
        (alone,) = scorer.score(images[i : i + 1], sketches[i : i + 1])
        assert alone == pytest.approx(together[i], abs=1e-4)


def test_the_fingerprint_follows_weights_and_example(tmp_path: Path, clip: ClipEncoder) -> None:
    images, sketches = pictures(2, 0)
    own = ClipAgreement(clip, images[0], sketches[0]).fingerprint
    assert set(own) == {"clip/weights", "example/image", "example/drawing"}
    other_clip = load_clip(write_clip(tmp_path / "other", seed=1))
    for name, scorer in {
        "clip/weights": ClipAgreement(other_clip, images[0], sketches[0]),
        "example/image": ClipAgreement(clip, images[1], sketches[0]),
        "example/drawing": ClipAgreement(clip, images[0], sketches[1]),
    }.items():
        changed = [key for key in own if own[key] != scorer.fingerprint[key]]
        assert changed == [name]
