"""A driver of a far dataset is killed or asked to stop, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.generation.scheduling import Policy
from pipeline.storage.address import open_store
from tests.servers.swift_server import SwiftServer
from tests.standins.far_factory import FarFactory
from tests.standins.published_blobs import hashes
from tests.standins.standin_teacher import StandinTeacher, make_plan

pytestmark = [pytest.mark.s3, pytest.mark.ray, pytest.mark.faults]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 900
# Ray is started here with the server's settings, so that the workers inherit them.
SCRIPT = """
import functools, sys
import ray
from pipeline.generation.ray_actors import generate
from pipeline.storage.address import open_store
from tests.standins.standin_teacher import StandinTeacher, make_plan
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
factory = functools.partial(StandinTeacher, delay_s=0.1)
generate(make_plan(), open_store(sys.argv[1]), factory, 1, 0.0,
         lambda name, **fields: print(name, fields, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_committed_shard_is_made_again(
    local_ray: None,
    swift: SwiftServer,
    bucket: str,
    undisturbed: dict[str, str],
    number: signal.Signals,
) -> None:
    from pipeline.generation.ray_actors import generate

    address = f"s3://{bucket}/ink"
    environment = {**os.environ, **swift.environment(), "PYTHONPATH": str(ROOT)}
    environment["RAY_worker_niceness"] = "0"  # on a busy machine they starve otherwise
    # A session of its own: what Ray signals when this driver dies must not be this process.
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, address],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    ) as process:
        watch = threading.Timer(PATIENCE_S, process.kill)
        watch.start()
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("generate {"))
        stopped_s = time.monotonic()
        process.send_signal(number)
        # Ray's own handler of SIGTERM, to which the signal goes on, exits with its number.
        assert process.wait() in (-number, number)
        watch.cancel()
    assert time.monotonic() - stopped_s < Policy().grace_s + 30
    store = open_store(address)
    before = store.entries(layout.COMMITS)
    assert before and not store.exists(layout.MANIFEST)
    factory = FarFactory(swift.environment(), StandinTeacher)
    summary = generate(make_plan(), open_store(address), factory, 2, 0.0, lambda *_, **__: None)
    assert summary.shards_made <= 3 - len(before)
    assert hashes(address) == undisturbed
    assert store.entries(layout.COMMITS)[: len(before)] == before
