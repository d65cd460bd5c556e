"""An extractor as one ONNX file, for programs without torch.

B: pictures, H, W: pixels, whole multiples of the network's. Input `pictures`, float32 (B, 3, H, W)
in [-1, 1]; output `sketches`, float32 (B, 1, H, W) in [-1, 1], 1 = paper.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.arrays import Pixels
from pipeline.whole_file import write_bytes
from training.extraction.extractor import Extractor
from training.extraction.onnx_extractor import FORMAT, INPUT, OUTPUT, OnnxExtractor

# Unequal sides and two pictures: the exporter takes what is 1, or equal, for a constant.
_EXAMPLE_MULTIPLES = (5, 7)
# What an exported network's drawings must agree to with torch's.
LEAST_PARITY_DB = 40.0
# The size, odd on purpose, of the picture that is drawn to find out.
_TRIAL = (75, 101)


def export_onnx(extractor: Extractor, path: Path, half: bool = False) -> float:
    """Write an extractor's network as ONNX, and compare what both draw.

    Args:
        extractor: in float32, on the CPU.
        path: the file.
        half: weights and convolutions in float16; norms, inputs and outputs stay float32.

    Returns:
        How far the drawings of one picture agree, in dB.

    Raises:
        ValueError: the extra `onnx` is not installed, or the drawings disagree.
    """
    network = _Half(extractor.network) if half else extractor.network
    with TemporaryDirectory() as folder:
        made = Path(folder) / "model.onnx"
        _export(network, extractor, made)
        agreement = _parity_db(extractor, OnnxExtractor.load(made))
        if not agreement >= LEAST_PARITY_DB:
            raise ValueError(
                f"the ONNX file draws otherwise than the extractor: {agreement:.1f} dB, expected "
                f"{LEAST_PARITY_DB:g} dB or more"
            )
        write_bytes(path, made.read_bytes())
    return agreement


class _Half(nn.Module):
    """A network in float16 with instance norms in float32, where sums of squares stay finite."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = _with_wide_norms(copy.deepcopy(network).half())

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1, H, W), float32 both."""
        sketches: Tensor = self.network(pictures.half())
        return sketches.float()


class _WideNorm(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm.float()

    def forward(self, x: Tensor) -> Tensor:
        normal: Tensor = self.norm(x.float())
        return normal.to(x.dtype)


def _with_wide_norms(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        if isinstance(child, nn.InstanceNorm2d):
            setattr(module, name, _WideNorm(child))
        else:
            _with_wide_norms(child)
    return module


def _export(network: nn.Module, extractor: Extractor, path: Path) -> None:
    multiple = extractor.multiple
    sides = [multiple * max(n, -(-extractor.least_side // multiple)) for n in _EXAMPLE_MULTIPLES]
    if sides[0] == sides[1]:
        sides[1] += multiple
    batch, height, width = (torch.export.Dim(name, min=1) for name in ("batch", "rows", "columns"))
    try:
        import onnx

        with _silence():
            torch.onnx.export(
                network.eval(),
                (torch.zeros(2, 3, *sides),),
                str(path),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: batch, 2: multiple * height, 3: multiple * width},),
                external_data=False,
                dynamo=True,
                verbose=False,
            )
    except ImportError as error:
        raise ValueError(
            "ONNX files need the extra `onnx`: pip install 'onesketch[onnx]'"
        ) from error
    model: Any = onnx.load(str(path))
    onnx.helper.set_model_props(
        model,
        {
            "format": FORMAT,
            "multiple": str(multiple),
            "least_side": str(extractor.least_side),
            "weights_sha256": str(extractor.config.get("sha256", "")),
        },
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's remarks on its own passes off the screen."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


def _parity_db(extractor: Extractor, other: OnnxExtractor) -> float:
    rng = np.random.default_rng(0)
    # Smooth, as photographs are, with some noise.
    coarse = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((13, 13, 1)))[
        : _TRIAL[0], : _TRIAL[1]
    ]
    picture: Pixels = np.clip(coarse + rng.normal(0, 8, coarse.shape), 0, 255).astype(np.uint8)
    wrong = extractor.sketch(picture).astype(np.float64) - other.sketch(picture)
    return float(10 * np.log10(255**2 / max(float((wrong**2).mean()), 1e-12)))
