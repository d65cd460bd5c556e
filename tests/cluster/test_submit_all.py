"""From a third place, with an address alone: drawing to extractor on two nodes, in the bucket."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.small_run import (
    FOLDER,
    SESSION,
    SHARDS,
    TOKEN,
    Desk,
    Pool,
    Submissions,
    commits,
    contents,
    different,
    objects,
)
from tests.servers.cluster import DASHBOARD_PORT, Cluster
from tests.servers.machine import HOME, Machine
from tests.servers.swift_server import SECRET

pytestmark = [pytest.mark.s3, pytest.mark.ray, pytest.mark.cluster, pytest.mark.timeout(1800)]

CANARIES = (TOKEN, SESSION, SECRET)
DETAILS = "?limit=1000&detail=true"
ANSWERS = (
    "/api/jobs/",
    *(f"/api/v0/{kind}{DETAILS}" for kind in ("actors", "nodes", "workers", "runtime_envs")),
    "/nodes?view=summary",
    "/api/cluster_status",
    "/api/v0/logs?node_ip={head}",
)


def test_all_of_it_is_that_of_one_machine(cluster: Cluster, whole: str, alone: str) -> None:
    found = contents(cluster, whole)
    assert different(found, contents(cluster, alone)) == []
    folders = {name.split("/")[0] for name in found}
    assert {"source", "teacher", "dataset", "extractor"} <= folders
    assert len(commits(cluster, whole)) == SHARDS


def test_both_nodes_worked(cluster: Cluster, desk: Desk, whole: str) -> None:
    actors = cluster.state(f"/api/v0/actors{DETAILS}")["data"]["result"]["result"]
    nodes = cluster.state(f"/api/v0/nodes{DETAILS}")["data"]["result"]["result"]
    addresses = {node["node_id"]: node["node_ip"] for node in nodes}
    (job,) = desk.jobs(whole)
    for kind in ("_Worker", "RayTrainWorker"):
        workers = [actor for actor in actors if actor["class_name"] == kind and actor["node_id"]]
        ours = [worker for worker in workers if worker["job_id"] == job["job_id"]]
        assert len({addresses[worker["node_id"]] for worker in ours}) == 2


def test_twice_at_once_is_one_job(desk: Desk, twice: Submissions) -> None:
    (job,) = desk.jobs("whole")
    assert job["status"] == "SUCCEEDED"
    said = [following.text() for following in (twice.straight, twice.cut)]
    assert all(job["submission_id"] in text for text in said)
    # The log's own lines: those with a time, each once, whatever becomes of the connection.
    logs = [re.findall(r"^\d\d:\d\d:\d\d .*$", text, re.MULTILINE) for text in said]
    assert len(logs[0]) > 10 and logs[0] == logs[1]
    assert twice.num_cuts > 2


def test_once_more_is_nothing_more(desk: Desk, cluster: Cluster, whole: str) -> None:
    before = contents(cluster, whole)
    again = desk.submit("all", "whole", "--workers", "2")
    assert again.end() == 0
    assert "succeeded already" in again.text()
    assert len(desk.jobs("whole")) == 1 and contents(cluster, whole) == before


def test_small_commands_read_from_the_address(desk: Desk, whole: str) -> None:
    status = desk.run("status", "s3://runs/whole/dataset")
    assert status.returncode == 0 and str(2 * SHARDS) in status.stdout
    model = "s3://runs/whole/extractor"
    drawn = desk.run("extract", model, f"{FOLDER}/drawing.png", "--out", f"{HOME}/drawn")
    assert drawn.returncode == 0, drawn.stdout
    assert len(list(desk.machine.see(f"{HOME}/drawn").glob("*.png"))) == 1


def test_secrets_are_nowhere(cluster: Cluster, pool: Pool, twice: Submissions) -> None:
    places: dict[str, bytes] = dict(objects(cluster, ""))
    for path in (*ANSWERS, *_answers_of_jobs(cluster)):
        places[path] = cluster.get(path.format(head=pool.head.address))
    for machine in (pool.head, pool.other):
        places |= dict(_files(machine))
    places["metrics"] = _metrics(pool.head)
    for following in (twice.straight, twice.cut):
        places[following.log.name] = following.log.read_bytes()
    # That there was something to look at:
    assert b"onesketch" in places["/api/jobs/"] and len(places) > 100
    assert pool.other.address.encode() in places["metrics"]
    found = [
        (place, secret)
        for place, data in places.items()
        for secret in CANARIES
        if secret.encode() in data or secret in place
    ]
    assert found == []


def _answers_of_jobs(cluster: Cluster) -> list[str]:
    ids = [job["submission_id"] for job in cluster.state("/api/jobs/") if job["submission_id"]]
    return [f"/api/jobs/{name}{part}" for name in ids for part in ("", "/logs")]


def _files(machine: Machine) -> Iterator[tuple[str, bytes]]:
    """Ray's sessions, our caches and all else that a machine has on disks of its own."""
    for place in ("/tmp", HOME, "/var/tmp"):
        root = machine.see(place)
        for folder, folders, names in os.walk(root):
            # What it sees of the host is no one's secret, and large.
            folders[:] = [name for name in folders if _is_own(Path(folder, name), root)]
            for path in (Path(folder, name) for name in names):
                if path.is_file() and not path.is_symlink():
                    yield f"{machine.name}:{path}", path.read_bytes()


def _is_own(folder: Path, root: Path) -> bool:
    return folder.lstat().st_dev == root.stat().st_dev


def _metrics(head: Machine) -> bytes:
    """What Prometheus would collect from all nodes, which Ray lets anyone read."""
    script = (
        "import json, urllib.request\n"
        "for group in json.load(open('/tmp/ray/prom_metrics_service_discovery.json')):\n"
        "    for place in group['targets']:\n"
        "        print(urllib.request.urlopen(f'http://{place}/metrics').read().decode())\n"
    )
    done = head.run(["python", "-c", script])
    assert done.returncode == 0, done.stdout
    return done.stdout.encode()


def test_the_dashboard_wants_the_token(cluster: Cluster, desk: Desk) -> None:
    for token, said in (("", "401"), ("another-token-another-token", "403")):
        asked = desk.machine.run(
            ["onesketch", "jobs", "--address", cluster.address],
            {"RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"},
        )
        assert asked.returncode == 2, asked.stdout
        assert str(DASHBOARD_PORT) in asked.stdout and said in asked.stdout
        assert TOKEN not in asked.stdout
