"""Selection at full size: 32 M values a step are streamed, and 1,000 images fit the memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

DIMS = 2048


@pytest.mark.slow
def test_full_size_taps_are_streamed_in_bounded_memory() -> None:
    command = [
        sys.executable,
        "-m",
        "tests.pipeline.analysis.full_size_projection",
        "2",
        "3",
        str(DIMS),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    print(measured)
    assert (
        measured["sd14_values"] == 14_254_080
        and measured["values"] == 32_000_000
        and measured["finite"]
    )
    # A step's taps, one layer's chunk at a time, the signs: nothing that grows with the steps.
    own = measured["peak_gib"] - measured["before_gib"]
    assert own < 2 * measured["taps_gib"] + 0.5
    # All that is kept of 1,000 images at 50 steps, twice while it is put together.
    assert 2 * 1000 * 50 / 3 * measured["kept_bytes_per_image"] / 2**30 + measured["peak_gib"] < 8
