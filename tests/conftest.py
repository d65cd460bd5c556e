"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of 64 px with 12 UNet and 14 VAE decoder resnets and random weights."""
    # Imported here: with diffusers it costs tests that need no model most of their time.
    from tests import tiny_backbone

    return tiny_backbone.build(tmp_path_factory.mktemp("backbone") / "tiny")


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One private Ray for the whole session: starting it takes 10 s."""
    import ray

    # A machine that is busy with something else takes longer than Ray's own patience.
    os.environ["RAY_raylet_start_wait_time_s"] = "120"
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
