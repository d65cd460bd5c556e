"""A node of the cluster is lost in the middle of a run, with notice or without; another joins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.standins.published_blobs import hashes

pytestmark = [pytest.mark.ray, pytest.mark.faults]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 900
# A cluster of its own, in a process of its own: Ray knows one at a time.
SCRIPT = """
import functools, subprocess, sys
import ray
from ray.cluster_utils import Cluster
from pipeline.generation.scheduling import Policy
from pipeline.generation.ray_actors import generate
from pipeline.storage.address import open_store
from tests.standins.standin_teacher import StandinTeacher, make_plan

def patiently(start):
    for attempt in range(4):  # on a busy machine Ray's fixed patience of 30 s is too little
        try:
            return start()
        except Exception as error:
            last = error
    raise last

head = {"num_cpus": 0, "include_dashboard": False}
cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
doomed = patiently(lambda: cluster.add_node(num_cpus=2))
ray.init(address=cluster.address, log_to_driver=False)
shards, with_notice = [], sys.argv[2:] == ["notice"]

def on_event(name, **fields):
    print(name, fields, flush=True)
    if name == "generate.shard":
        shards.append(fields["shard"])
    if len(shards) == 2 and name == "generate":
        if with_notice:
            drain()
        else:
            cluster.remove_node(doomed, allow_graceful=False)
        patiently(lambda: cluster.add_node(num_cpus=2))
    if with_notice and len(shards) == 7 and name == "generate":
        cluster.remove_node(doomed, allow_graceful=False)

def drain():
    # What a node's agent does when its cloud takes it away.
    reason = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot notice"]
    where = ["--address", cluster.address, "--node-id", doomed.node_id]
    deadline = ["--deadline-remaining-seconds", "120"]
    subprocess.run(["ray", "drain-node", *where, *reason, *deadline], check=True)

plan = make_plan(40, 4)
factory = functools.partial(StandinTeacher, delay_s=0.25)
summary = generate(
    plan, open_store(sys.argv[1]), factory, 2, 0.0, on_event, Policy(duplicate_after=100.0)
)
print("SUMMARY", summary.committed, summary.workers_lost, flush=True)
ray.shutdown()
cluster.shutdown()
"""
CALM = """
import sys
from pathlib import Path
from tests.standins.published_blobs import write_dataset
write_dataset(Path(sys.argv[1]), 40, 4)
"""


def run(script: str, *arguments: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RAY_worker_niceness": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        timeout=PATIENCE_S,
        start_new_session=True,
    )
    assert done.returncode == 0
    return done.stdout


@pytest.mark.timeout(2 * PATIENCE_S)
def test_the_dataset_is_that_of_a_calm_cluster(tmp_path: Path) -> None:
    output = run(SCRIPT, str(tmp_path / "dataset"))
    summary = output.rsplit("SUMMARY", 1)[1].splitlines()[0]  # Ray may say more behind it
    committed, workers_lost = map(int, summary.split())
    assert committed == 40 and workers_lost == 2
    assert output.count("generate.worker_lost") == 2
    run(CALM, str(tmp_path / "calm"))
    assert hashes(str(tmp_path / "dataset")) == hashes(str(tmp_path / "calm"))


@pytest.mark.timeout(2 * PATIENCE_S)
def test_a_node_with_notice_finishes_its_shards_and_gets_no_more(tmp_path: Path) -> None:
    output = run(SCRIPT, str(tmp_path / "dataset"), "notice")
    events = [line for line in output.splitlines() if line.startswith("generate.")]
    names = [line.split(" ", 1)[0] for line in events]
    assert names.count("generate.worker_leaving") == 2
    leaving = {field(line, "worker") for line in events if "worker_leaving" in line}
    after = events[max(n for n, name in enumerate(names) if name == "generate.worker_leaving") :]
    late = [line for line in after if "generate.shard" in line and field(line, "worker") in leaving]
    # One that is sampled and one that is published, of each: those that it had when it was told.
    assert len(late) <= 4
    committed = int(output.rsplit("SUMMARY", 1)[1].split()[0])
    assert committed == 40 and "generate.retry" not in output
    run(CALM, str(tmp_path / "calm"))
    assert hashes(str(tmp_path / "dataset")) == hashes(str(tmp_path / "calm"))


def field(line: str, name: str) -> str:
    found = re.search(rf"'{name}': ([^,}}]+)", line)
    assert found is not None, line
    return found[1]
