"""Benchmark `extract`: drawing with an extractor on the processor, against eager ports.

H, W: pixels. All sides take uint8 (H, W, 3) and give uint8 (H, W), on all cores, with random
weights of the same seed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from jobs.benchmarks.measure import (
    BenchmarkResult,
    BenchmarkScore,
    Effort,
    ratios,
    take_turns_of,
)
from jobs.runtime.weights import EMBEDDED, locate
from pipeline.arrays import Pixels
from pipeline.images.write import write_png
from training.encoders.features import load_features
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import write_extractor
from training.extraction.fastest import ProcessorExtractor
from training.extraction.onnx_export import export_onnx
from training.extraction.onnx_extractor import ONNX
from training.students.pix2pixhd import Pix2PixHD
from training.students.pix2pixhd_generator import GeneratorConfig, GlobalGenerator

_SIZES = {"512 px": (512, 512), "1080p": (1080, 1920)}
_PHONE = (3024, 4032)
_TINY = {"64 px": (64, 64)}
_FASTER, _STARTS_S, _MOST_MIB = 1.8, 4.0, 2048.0
# The network of controlnet_aux' line art detector: as published, of this width and depth.
_LINEART = GeneratorConfig(width=64, downs=2, blocks=3)

Draw = Callable[[Pixels], Pixels]


def measure_extract(effort: Effort) -> BenchmarkResult:
    """Draw single pictures of two sizes; start the command; draw a phone's photograph."""
    sizes = _TINY if effort.tiny else _SIZES
    with TemporaryDirectory() as root:
        folder = Path(root) / "extractor"
        torch.manual_seed(0)
        features = load_features(locate("perceptual", EMBEDDED))
        write_extractor(folder, Pix2PixHD.create("small", features), "pix2pixhd", {})
        by_torch = Extractor.load(folder)
        parity_db = export_onnx(by_torch, folder / ONNX)
        sides: dict[str, Draw] = {
            "ours": ProcessorExtractor(folder).sketch,
            "ours by torch": by_torch.sketch,
            "port": _eager(by_torch.network),
            "line art": _eager(GlobalGenerator(_LINEART).eval()),
        }
        scores: list[BenchmarkScore] = []
        seconds: dict[str, list[float]] = {}
        for name, size in sizes.items():
            found = _measure(sides, size, effort.rounds)
            scores += [
                _faster(f"port, {name}", found["port"], found["ours"], _FASTER),
                _faster(f"line art, {name}", found["line art"], found["ours"], 1.0),
            ]
            seconds |= {f"{side}, {name}": times for side, times in found.items()}
        starts = tuple(_start_s(folder, Path(root)) for _ in range(1 if effort.tiny else 3))
        scores.append(
            BenchmarkScore("start-up, one picture", starts, _STARTS_S, at_least=False, unit=" s")
        )
        phone = (256, 256) if effort.tiny else _PHONE
        mib = (_memory_mib(folder, phone),)
        scores.append(
            BenchmarkScore("memory, 12 megapixels", mib, _MOST_MIB, at_least=False, unit=" MiB")
        )
    return BenchmarkResult(
        workload=f"preset small, one picture of {', '.join(sizes)}, "
        f"{torch.get_num_threads()} threads",
        peer="the same network in eager float32 torch, as a whole; and the network of "
        "controlnet_aux' line art detector at the same resolution",
        scores=tuple(scores),
        seconds=seconds,
        metadata={"parity_db": parity_db, "torch": torch.__version__},
    )


def _faster(than: str, peer: list[float], ours: list[float], target: float) -> BenchmarkScore:
    return BenchmarkScore(f"times as fast as {than}", ratios(peer, ours), target, at_least=True)


def _measure(sides: dict[str, Draw], size: tuple[int, int], rounds: int) -> dict[str, list[float]]:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    calls: dict[str, Callable[[], object]] = {
        name: partial(draw, picture) for name, draw in sides.items()
    }
    return take_turns_of(calls, rounds)


def _eager(network: nn.Module) -> Draw:
    """Draw as a plain script does: to float, through the network, to bytes; sides are padded."""

    def draw(picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        padded = np.pad(picture, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="reflect")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.no_grad():
            y: Any = network(x)[0, 0, :height, :width]
        return np.asarray(((y + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).numpy())

    return draw


def _start_s(folder: Path, root: Path) -> float:
    """Return how long `onesketch extract` takes for one picture, with its start."""
    picture = root / "picture.png"
    write_png(picture, np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8))
    command = [sys.executable, "-c", "from jobs.cli.main import app; app()"]
    typed = ["extract", str(folder), str(picture), "--out", str(root / "out"), "--again"]
    start_s = time.perf_counter()
    subprocess.run([*command, *typed], check=True, capture_output=True)
    return time.perf_counter() - start_s


_MEMORY = """
import sys
import numpy as np
from onesketch import SketchExtractor

def peak_kib():
    # Not getrusage: a new process begins with its parent's peak.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

sketch = SketchExtractor.from_pretrained(sys.argv[1], runtime="torch")
sketch(np.zeros((64, 64, 3), np.uint8))
before = peak_kib()
rng = np.random.default_rng(0)
sketch(rng.integers(0, 256, (int(sys.argv[2]), int(sys.argv[3]), 3), np.uint8))
print((peak_kib() - before) / 1024)
"""


def _memory_mib(folder: Path, size: tuple[int, int]) -> float:
    """Return what drawing one picture takes over a loaded extractor."""
    command = [sys.executable, "-c", _MEMORY, str(folder), *map(str, size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)
