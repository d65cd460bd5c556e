"""A job's driver is stopped within a shard, or killed, and the same is submitted again."""

from __future__ import annotations

import signal

import pytest

from tests.cluster.small_run import (
    SHARDS,
    Desk,
    Pool,
    commits,
    contents,
    copy_run,
    different,
    wait_for,
)
from tests.servers.cluster import Cluster

pytestmark = [
    pytest.mark.s3,
    pytest.mark.ray,
    pytest.mark.cluster,
    pytest.mark.faults,
    pytest.mark.timeout(1800),
]


def test_generation_is_stopped_then_killed_then_done(
    cluster: Cluster, desk: Desk, two_nodes: Pool, whole: str
) -> None:
    copy_run(cluster, whole, "end-1", "source/", "teacher/")
    options = ("--workers", "2", "--retries", "0")

    first = desk.submit("generate", "end-1", *options)
    wait_for("a shard", lambda: len(commits(cluster, "end-1")) >= 1)
    (job,) = desk.jobs("end-1")
    stopped = desk.run("stop", job["submission_id"], "--address", cluster.address)
    assert stopped.returncode == 0, stopped.stdout
    assert first.end() == 143, first.text()
    after_stop = commits(cluster, "end-1")
    assert 1 <= len(after_stop) < SHARDS
    assert f"{len(after_stop)} of {SHARDS}" in stopped.stdout

    second = desk.submit("generate", "end-1", *options)
    wait_for("another shard", lambda: len(commits(cluster, "end-1")) > len(after_stop))
    (driver,) = _drivers(two_nodes, "end-1")
    two_nodes.head.signal(driver, signal.SIGKILL)
    assert second.end() == 128 + signal.SIGKILL, second.text()
    assert len(commits(cluster, "end-1")) < SHARDS

    third = desk.submit("generate", "end-1", *options)
    assert third.end() == 0, third.text()
    statuses = [job["status"] for job in desk.jobs("end-1")]
    assert statuses == ["STOPPED", "FAILED", "SUCCEEDED"]
    ours, theirs = (contents(cluster, run, "dataset/") for run in ("end-1", whole))
    assert different(ours, theirs) == []


def test_distillation_is_killed_and_tried_again_by_itself(
    cluster: Cluster, desk: Desk, two_nodes: Pool, whole: str
) -> None:
    copy_run(cluster, whole, "end-2", "source/", "teacher/", "dataset/")
    following = desk.submit("distill", "end-2", "--retries", "1")
    following.has_said("distill.iteration done=10 ")
    (driver,) = _drivers(two_nodes, "end-2")
    two_nodes.head.signal(driver, signal.SIGKILL)
    assert following.end() == 0, following.text()
    assert [job["status"] for job in desk.jobs("end-2")] == ["FAILED", "SUCCEEDED"]
    # As many ranks as there, so the same weights to the last bit.
    ours, theirs = (contents(cluster, run, "extractor/") for run in ("end-2", whole))
    assert different(ours, theirs) == []


def _drivers(pool: Pool, run: str) -> list[int]:
    """The process of the command itself, which is Python's, not the shell's around it."""
    return [
        pid
        for pid in pool.head.find("onesketch", f"--run s3://runs/{run}")
        if "python" in (pool.head.see(f"/proc/{pid}/cmdline")).read_text().split("\0")[0]
    ]
