"""Drawing on Ray with a worker killed, then the whole command: the third run ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.jobs.extract.test_far import COMMAND, drawn, model, photographs

model, photographs = model, photographs  # fixtures: a tiny extractor, and twenty photographs
pytestmark = [pytest.mark.faults, pytest.mark.ray]


def test_workers_and_the_driver_are_killed(model: Path, photographs: Path) -> None:
    """A worker is killed while it draws, then the whole command; the third run ends it."""
    for number in range(400):
        pixels = np.random.default_rng(number).integers(0, 256, (200, 300, 3), np.uint8)
        Image.fromarray(pixels).save(photographs / f"more{number}.png")
    typed = ["extract", str(model), "photographs", "--out", "out", "--workers", "2"]
    command = [*COMMAND, *typed]
    running = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(drawn("out")) > 20)
    for process in psutil.Process(running.pid).children(recursive=True):
        if "ray::" in " ".join(process.cmdline()) and "draw" in " ".join(process.cmdline()):
            process.kill()
            break
    else:
        pytest.fail("no worker was found")
    before = len(drawn("out"))
    wait_for(lambda: len(drawn("out")) > before + 40)
    for process in psutil.Process(running.pid).children(recursive=True):
        process.kill()
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert len(drawn("out")) < 420
    for data in drawn("out").values():
        assert data.endswith(b"IEND\xaeB`\x82")  # whole files only
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert len(drawn("out")) == 420
    assert json.loads(Path("out/extract.json").read_text())["invert"] is False


def wait_for(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    until_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until_s, "waited too long"
        time.sleep(0.05)
