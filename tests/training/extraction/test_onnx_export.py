"""An exported extractor against torch: at odd sizes, in batches, in half precision."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from pipeline.arrays import Pixels
from tests.standins.tiny_extractor import write_tiny_extractor
from training.extraction import onnx_export
from training.extraction.extractor import Extractor
from training.extraction.onnx_export import export_onnx
from training.extraction.onnx_extractor import INPUT, OUTPUT, OnnxExtractor
from training.students.pix2pixhd_generator import GeneratorConfig

Upsampling = Literal["transposed", "resize"]


def tiny(folder: Path, upsampling: Upsampling) -> Extractor:
    generator = GeneratorConfig(width=6, downs=3, blocks=2, upsampling=upsampling)
    return Extractor.load(write_tiny_extractor(folder, generator))


@pytest.fixture(scope="module", params=["transposed", "resize"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Extractor, Path]:
    """An extractor, and the folder with its ONNX files: one of them in half precision."""
    folder = tmp_path_factory.mktemp("extractor")
    extractor = tiny(folder, request.param)
    assert export_onnx(extractor, folder / "onnx/model.onnx") > 60
    assert export_onnx(extractor, folder / "half.onnx", half=True) > 40
    return extractor, folder


@pytest.fixture
def both(exported: tuple[Extractor, Path]) -> tuple[Extractor, OnnxExtractor, OnnxExtractor]:
    """The same extractor by torch, by ONNX, and by ONNX in half precision."""
    extractor, folder = exported
    return extractor, OnnxExtractor.load(folder), OnnxExtractor.load(folder / "half.onnx")


def picture(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def parity_db(one: Pixels, other: Pixels) -> float:
    error = ((one.astype(np.float64) - other) ** 2).mean()
    return float(10 * np.log10(255**2 / max(float(error), 1e-12)))


@pytest.mark.parametrize("size", [(33, 47), (512, 512), (1080, 1920), (5, 200)])
def test_drawings_agree_at_every_size(
    both: tuple[Extractor, OnnxExtractor, OnnxExtractor], size: tuple[int, int]
) -> None:
    by_torch, by_onnx, in_half = both
    expected = by_torch.sketch(picture(*size))
    drawn = by_onnx.sketch(picture(*size))
    assert drawn.shape == size and drawn.dtype == np.uint8
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    assert parity_db(in_half.sketch(picture(*size)), expected) >= 40


def test_a_batch_of_three(both: tuple[Extractor, OnnxExtractor, OnnxExtractor]) -> None:
    by_torch, by_onnx, _ = both
    pictures = [picture(40, 56, seed) for seed in range(3)]
    for drawn, expected in zip(
        by_onnx.sketches(pictures, 3), by_torch.sketches(pictures, 3), strict=True
    ):
        assert np.abs(drawn.astype(int) - expected).max() <= 1


def test_one_file_with_named_sides(exported: tuple[Extractor, Path]) -> None:
    path = exported[1] / "onnx/model.onnx"
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    model = onnx.load(str(path))
    (given,), (made,) = model.graph.input, model.graph.output
    assert (given.name, made.name) == (INPUT, OUTPUT)
    sizes = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    assert sizes[1] == 3 and all(isinstance(sizes[n], str) for n in (0, 2, 3))


def test_norms_stay_wide_in_half_precision(exported: tuple[Extractor, Path]) -> None:
    model = onnx.load(str(exported[1] / "half.onnx"))
    weights = {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) == 4}
    assert weights == {onnx.TensorProto.FLOAT16}
    values = {info.name: info.type.tensor_type.elem_type for info in model.graph.value_info}
    norms = [n for n in model.graph.node if n.op_type == "InstanceNormalization"]
    assert norms and all(values.get(node.input[0]) == onnx.TensorProto.FLOAT for node in norms)


def test_a_file_that_draws_otherwise_is_not_written(
    exported: tuple[Extractor, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the exporter had left a layer's weights at half their values."""
    export = onnx_export._export

    def export_wrongly(network: nn.Module, extractor: Extractor, path: Path) -> None:
        wrong = copy.deepcopy(network)
        with torch.no_grad():
            next(wrong.parameters()).mul_(0.5)
            list(wrong.parameters())[-2].mul_(0.5)
        export(wrong, extractor, path)

    monkeypatch.setattr(onnx_export, "_export", export_wrongly)
    with pytest.raises(ValueError, match=r"draws otherwise than the extractor: [0-9.]+ dB"):
        export_onnx(exported[0], tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
