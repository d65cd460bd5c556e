"""The extractor on pictures of any size, and the folders it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.arrays import Pixels
from tests.standins.tiny_extractor import write_tiny_extractor
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import ExtractorError
from training.extraction.picture_drawer import reflected, working_size


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extractor")
    return write_tiny_extractor(folder, metadata={"provenance": {"style": "blobs"}})


def picture(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (17, 16), (40, 41), (64, 32)])
def test_any_size_comes_back_at_its_own_size(folder: Path, size: tuple[int, int]) -> None:
    sketch = Extractor.load(folder).sketch(picture(*size))
    assert sketch.shape == size and sketch.dtype == np.uint8


def test_a_fitting_picture_goes_through_the_network_as_it_is(folder: Path) -> None:
    extractor, image = Extractor.load(folder), picture(32, 48)
    x = torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
    expected = ((extractor.network(x)[0, 0] + 1) * 127.5).round().clamp(0, 255)
    assert np.abs(extractor.sketch(image) - expected.numpy()).max() <= 1


def test_padding_reflects() -> None:
    image = picture(13, 18)[None]
    padded = reflected(image, 8, 32)
    assert padded.shape == (1, 32, 32, 3)
    np.testing.assert_array_equal(padded[0, :13, :18], image[0])
    np.testing.assert_array_equal(
        padded[0, 13], np.pad(image[0], ((0, 1), (0, 14), (0, 0)), mode="reflect")[13]
    )


def test_many_pictures_give_the_same_drawings_as_each_alone(folder: Path) -> None:
    extractor = Extractor.load(folder)
    images = [picture(*size, seed) for seed, size in enumerate([(32, 32)] * 5 + [(20, 30)] * 2)]
    for drawn, image in zip(extractor.sketches(iter(images), batch=3), images, strict=True):
        assert np.abs(drawn.astype(int) - extractor.sketch(image)).max() <= 1


def test_working_size_keeps_the_aspect() -> None:
    assert working_size(600, 400, None) == (600, 400)
    assert working_size(600, 400, 100) == (150, 100)
    assert working_size(2, 400, 1) == (1, 200)
    assert working_size(20_000, 10_000, None) == (20_000, 10_000)


def test_drawing_small_gives_the_size_asked_for(folder: Path) -> None:
    assert Extractor.load(folder).sketch(picture(60, 90), short_side_px=32).shape == (60, 90)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
    ],
)
def test_other_arrays_are_refused(folder: Path, wrong: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"expected a picture uint8 \(H, W, 3\)"):
        Extractor.load(folder).sketch(wrong)


def test_the_config_tells_the_origin(folder: Path) -> None:
    assert Extractor.load(folder).config["provenance"] == {"style": "blobs"}


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "config.json is missing"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "config.json").write_text("{}"), "does not describe an extractor"),
        (lambda f: (f / "model.safetensors").unlink(), "cannot be read"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), "SHA-256 differs"),
        (
            lambda f: (f / "config.json").write_text(
                json.dumps(json.loads((f / "config.json").read_text()) | {"student": "hida"})
            ),
            "'hida' is not known",
        ),
    ],
)
def test_unusable_folders_are_refused(
    folder: Path, tmp_path: Path, break_it: Callable[[Path], object], message: str
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    break_it(tmp_path)
    with pytest.raises(ExtractorError, match=message):
        Extractor.load(tmp_path)


def test_numbers_that_overflow_are_refused(folder: Path) -> None:
    extractor = Extractor.load(folder)
    with torch.no_grad():
        next(extractor.network.parameters()).fill_(float("inf"))
    with pytest.raises(ExtractorError, match="float32 is too small for the numbers"):
        extractor.sketch(picture(32, 32))


def test_folder_and_device_are_taken_as_people_write_them(folder: Path) -> None:
    extractor = Extractor.load(str(folder), torch.device("cpu"))
    assert extractor.device == "cpu" and extractor.sketch(picture(32, 32)).shape == (32, 32)


def test_large_pictures_equal_the_whole_to_one_level(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor, image = Extractor.load(folder), picture(203, 310)
    whole = extractor.sketch(image).astype(int)
    monkeypatch.setattr("training.extraction.extractor.MOST_BATCH_PIXELS", 1000)
    shares: list[float] = []
    in_strips = extractor.sketch(image, on_share=shares.append)
    assert np.abs(in_strips - whole).max() <= 1
    assert len(shares) > 3 and shares[-1] == 1
