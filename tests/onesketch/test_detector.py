"""The detector against controlnet_aux' conventions, and diffusers' processor of conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from onesketch import OneSketchDetector, SketchExtractor
from pipeline.arrays import Pixels
from tests.onesketch.test_sketch_extractor import folder, picture
from training.extraction.extractor_folder import ExtractorError

folder = folder  # a fixture: a tiny extractor


@pytest.fixture(scope="module")
def detector(folder: Path) -> OneSketchDetector:
    return OneSketchDetector.from_pretrained(folder).to("cpu")


def pixels(drawing: Any) -> Pixels:
    return np.asarray(drawing)


def test_white_lines_on_black_in_three_equal_channels(
    folder: Path, detector: OneSketchDetector
) -> None:
    drawing = detector(Image.fromarray(picture()))
    assert isinstance(drawing, Image.Image) and drawing.mode == "RGB" and drawing.size == (56, 40)
    expected = 255 - pixels(SketchExtractor.from_pretrained(folder)(picture(), output_type="np"))
    for channel in range(3):
        np.testing.assert_array_equal(pixels(drawing)[..., channel], expected)
    np.testing.assert_array_equal(pixels(detector(picture(), invert=False))[..., 0], 255 - expected)


@pytest.mark.parametrize(
    ("resolution", "multiple", "size"),
    [(None, 1, (56, 40)), (80, 1, (112, 80)), (20, 1, (28, 20)), (80, 64, (128, 64))],
)
def test_sizes_are_exact_unless_a_multiple_is_asked_for(
    detector: OneSketchDetector, resolution: int | None, multiple: int, size: tuple[int, int]
) -> None:
    drawing = detector(picture(), image_resolution=resolution, multiple=multiple)
    assert isinstance(drawing, Image.Image) and drawing.size == size


def test_the_resolution_of_drawing_is_its_own(detector: OneSketchDetector) -> None:
    small = pixels(detector(picture(), detect_resolution=24))
    assert small.shape == (40, 56, 3) and not np.array_equal(small, pixels(detector(picture())))


def test_older_words_are_understood(detector: OneSketchDetector) -> None:
    array = detector(picture(), return_pil=False, safe=True)
    assert isinstance(array, np.ndarray) and array.shape == (40, 56, 3)
    assert isinstance(detector(picture(), output_type="np"), np.ndarray)


def test_diffusers_takes_it_as_a_condition(detector: OneSketchDetector) -> None:
    processor = VaeImageProcessor(do_normalize=False, do_convert_rgb=True)
    condition = processor.preprocess(detector(picture()))
    assert condition.shape == (1, 3, 40, 56)
    expected = pixels(detector(picture())).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(condition[0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (picture() / 255, {}, r"uint8 \(H, W, 3\), got float64 \(40, 56, 3\)"),
        ("photo.png", {}, "expected a PIL image or uint8"),
        (picture(), {"output_type": "pt"}, "expected pil or np, got 'pt'"),
        (picture(), {"image_resolution": 0}, "expected whole numbers from 1 on"),
    ],
)
def test_mistakes_are_named(
    detector: OneSketchDetector, image: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        detector(image, **options)


def test_nothing_is_downloaded_unasked(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractorError, match=r"not in the hub's local cache"):
        OneSketchDetector.from_pretrained("someone/ink", cache_dir=str(tmp_path))
    with pytest.raises(ValueError, match="an extractor is a folder"):
        OneSketchDetector.from_pretrained(folder, filename="model.pth")
