"""On processors ONNX Runtime draws, where it is there, and torch what is large."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from onesketch import SketchExtractor
from pipeline.arrays import Pixels
from tests.training.extraction.test_onnx_export import tiny
from training.extraction import fastest
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import ExtractorError
from training.extraction.fastest import ProcessorExtractor, has_onnx
from training.extraction.onnx_export import export_onnx
from training.extraction.onnx_extractor import OnnxExtractor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extractor")
    export_onnx(tiny(folder, "resize"), folder / "onnx/model.onnx")
    return folder


def picture(height: int = 40, width: int = 56) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_small_pictures_go_one_way_and_large_ones_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastest, "_MOST_WHOLE_PIXELS", 64 * 64)
    extractor, expected = ProcessorExtractor(folder), Extractor.load(folder)
    drawn: list[str] = []
    for kind in (OnnxExtractor, Extractor):
        original = kind.draw

        def draw(self: object, pictures: Pixels, *more: object, of: object = original) -> Pixels:
            drawn.append(type(self).__name__)
            return of(self, pictures, *more)  # type: ignore[operator, no-any-return]

        monkeypatch.setattr(kind, "draw", draw)
    for size in ((40, 56), (100, 120)):
        difference = extractor.sketch(picture(*size)).astype(int) - expected.sketch(picture(*size))
        assert np.abs(difference).max() <= 1
    assert drawn == ["OnnxExtractor", "Extractor", "Extractor", "Extractor"]


def test_it_is_taken_where_it_is_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(SketchExtractor.from_pretrained(folder)._drawer, ProcessorExtractor)
    wide = SketchExtractor.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(wide._drawer, ProcessorExtractor)
    by_torch = SketchExtractor.from_pretrained(folder, runtime="torch")
    assert isinstance(by_torch._drawer, Extractor)
    in_half = SketchExtractor.from_pretrained(folder, dtype="bfloat16")
    assert isinstance(in_half._drawer, Extractor)
    tiny(tmp_path, "resize")
    assert not has_onnx(tmp_path)
    assert isinstance(SketchExtractor.from_pretrained(tmp_path)._drawer, Extractor)


def test_an_onnx_file_of_other_weights_is_not_taken(folder: Path, tmp_path: Path) -> None:
    extractor = tiny(tmp_path, "transposed")
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx/model.onnx").write_bytes((folder / "onnx/model.onnx").read_bytes())
    assert extractor.config["sha256"]
    with pytest.raises(ExtractorError, match="made of other weights"):
        SketchExtractor.from_pretrained(tmp_path)


def test_without_the_extra_torch_draws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "find_spec", lambda name: None)
    assert "onnxruntime" in sys.modules
    assert isinstance(SketchExtractor.from_pretrained(folder)._drawer, Extractor)
