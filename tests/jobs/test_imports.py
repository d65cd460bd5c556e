"""What commands load: libraries that a command does not need cost seconds each time it is typed."""

from __future__ import annotations

import subprocess
import sys

import pytest

MODELS = {"torchvision", "open_clip", "lpips", "diffusers", "transformers"}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("training.extraction.extractor", MODELS | {"ray", "cv2", "scipy", "boto3", "pydantic"}),
        ("jobs.dataset.status", MODELS | {"ray", "cv2", "torch"}),
        ("jobs.dataset.listing", MODELS | {"ray", "cv2", "torch"}),
        # They find out that nothing is left to do without a model.
        ("jobs.stages.generate", MODELS),
        ("jobs.stages.distill", MODELS),
    ],
)
def test_a_module_loads_no_more_than_it_needs(module: str, unwanted: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert unwanted.isdisjoint(loaded), sorted(unwanted & set(loaded))
