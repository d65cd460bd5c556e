"""Stable Diffusion 1.4's size goes through sampling, training step and streaming on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.benchmarks.standins import full_size_model

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("full_size_run.py")
LARGEST_GIB = 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_full_size_within_20_gib(tmp_path: Path) -> None:
    folder = full_size_model.build(tmp_path / "model")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); "
            f"sys.argv = ['run', {str(folder)!r}]; "
            f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')",
        ],
        capture_output=True,
        text=True,
        timeout=3400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    measured = json.loads(done.stdout.splitlines()[-1])
    print(measured)
    assert max(value for name, value in measured.items() if name.endswith("_gib")) < LARGEST_GIB
    assert measured["side"] == 512
    assert measured["changed"] == 1.0
    assert measured["image_error"] < 1e-4
    assert measured["sketch_error"] < 1e-4
    assert 20e6 < measured["parameters"] < 22.5e6
