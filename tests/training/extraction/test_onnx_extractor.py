"""ONNX Runtime draws without torch, on many threads, and refuses what is not from here."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from onesketch import SketchExtractor
from pipeline.arrays import Pixels
from tests.training.extraction.test_onnx_export import tiny
from training.extraction.extractor_folder import ExtractorError
from training.extraction.onnx_export import export_onnx
from training.extraction.onnx_extractor import OnnxExtractor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extractor")
    export_onnx(tiny(folder, "resize"), folder / "onnx/model.onnx")
    return folder


def picture(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (40, 56, 3), np.uint8)


def test_it_draws_without_torch(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "picture.npy", picture())
    code = (
        "import sys, numpy as np\n"
        "from onesketch import SketchExtractor\n"
        f"sketch = SketchExtractor.from_pretrained({str(folder)!r}, runtime='onnx')\n"
        f"drawing = sketch(np.load({str(tmp_path / 'picture.npy')!r}), output_type='np')\n"
        f"np.save({str(tmp_path / 'drawing.npy')!r}, drawing)\n"
        "print(*{'torch', 'ray', 'diffusers', 'cv2', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    expected = SketchExtractor.from_pretrained(folder)(picture(), output_type="np")
    drawing = np.load(tmp_path / "drawing.npy")
    assert np.abs(drawing.astype(int) - np.asarray(expected)).max() <= 1


def test_threads_share_one(folder: Path) -> None:
    extractor = OnnxExtractor.load(folder, threads=1)
    pictures = [picture(seed) for seed in range(12)]
    expected = [extractor.sketch(image) for image in pictures]
    with ThreadPoolExecutor(4) as pool:
        for ours, theirs in zip(pool.map(extractor.sketch, pictures), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_it_stays_where_it_was_opened(folder: Path) -> None:
    extractor = SketchExtractor.from_pretrained(folder, runtime="onnx")
    assert extractor.device == "cpu"
    with pytest.raises(ValueError, match="draws on cpu, where it was opened"):
        extractor.to("cuda")
    with pytest.raises(ValueError, match="this ONNX Runtime has no"):
        OnnxExtractor.load(folder, device="tpu")
    with pytest.raises(ValueError, match="runtime: expected one of auto, torch, onnx, got 'jax'"):
        SketchExtractor.from_pretrained(folder, runtime="jax")  # type: ignore[arg-type]


def test_what_is_not_from_here_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractorError, match="holds no onnx/model.onnx"):
        OnnxExtractor.load(tmp_path)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ExtractorError, match="broken.onnx cannot be read as ONNX"):
        OnnxExtractor.load(broken)
    model = onnx.load(str(folder / "onnx/model.onnx"))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "foreign.onnx"))
    with pytest.raises(ExtractorError, match="foreign.onnx is no extractor"):
        OnnxExtractor.load(tmp_path / "foreign.onnx")


def test_a_file_of_other_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx/model.onnx").write_bytes((folder / "onnx/model.onnx").read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"sha256": "0" * 64}))
    with pytest.raises(ExtractorError, match="made of other weights"):
        OnnxExtractor.load(tmp_path)


@pytest.mark.parametrize("package", ["onnxruntime"])
def test_without_the_extra_it_says_so(
    package: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=r"needs the extra `onnx`: pip install"):
        OnnxExtractor.load(folder)
