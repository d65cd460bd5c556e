"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.swift_server import SwiftServer

_BUCKETS = count()
_RAY_STARTS = 4


@pytest.fixture(scope="session")
def tiny_backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of 64 px with 12 UNet and 14 VAE decoder resnets and random weights."""
    # Imported here: with diffusers it costs tests that need no model most of their time.
    from tests.standins import tiny_backbone

    return tiny_backbone.build(tmp_path_factory.mktemp("backbone") / "tiny")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As in Ray's workers: with more, some processors round otherwise, or not twice alike."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One private Ray for the whole session: starting it takes 10 s."""
    import ray

    # On a machine that is busy Ray's own choice, the lowest priority, would let workers starve.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # For the test that collects metrics: the default is 10 s.
    os.environ["RAY_metrics_report_interval_ms"] = "1000"
    for attempt in range(1, _RAY_STARTS + 1):
        try:
            ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
            break
        except Exception:
            # A bare Exception is what Ray raises after 30 s, its fixed patience with its own start.
            ray.shutdown()
            if attempt == _RAY_STARTS:
                raise
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftServer]:
    """A real S3 server for the whole session; 2 s and 180 MB."""
    from tests.servers.swift_server import SwiftServer, has_user_xattrs

    places = [tmp_path_factory.getbasetemp(), Path("/var/tmp"), Path("/dev/shm")]
    place = next((place for place in places if place.is_dir() and has_user_xattrs(place)), None)
    if place is None:
        pytest.skip(f"Swift keeps metadata in user xattrs, which none of {places} has")
    folder = Path(tempfile.mkdtemp(prefix="swift-", dir=place))
    server = SwiftServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def bucket(swift: SwiftServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket's name; boto3's standard configuration leads to its server."""
    name = f"bucket-{next(_BUCKETS)}"
    swift.client().create_bucket(Bucket=name)
    for key, value in swift.environment().items():
        monkeypatch.setenv(key, value)
    return name
