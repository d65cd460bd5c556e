"""Nodes that are not like the head: with the only GPU, with wrong credentials, with a full disk."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.small_run import (
    SHARDS,
    Desk,
    Pool,
    commits,
    contents,
    copy_run,
    different,
    keys,
)
from tests.servers.cluster import Cluster
from tests.servers.swift_server import SECRET

pytestmark = [
    pytest.mark.s3,
    pytest.mark.ray,
    pytest.mark.cluster,
    pytest.mark.faults,
    pytest.mark.timeout(1800),
]

WRONG = "canary-wrong-secret-77aa10"
DETAILS = "?limit=1000&detail=true"


def test_actors_go_to_the_nodes_with_gpus_only(
    cluster: Cluster, desk: Desk, pool: Pool, whole: str
) -> None:
    copy_run(cluster, whole, "odd-1", "source/", "teacher/")
    node = pool.add(num_gpus=1)
    before = {actor["actor_id"] for actor in _actors(cluster)}
    following = desk.submit("generate", "odd-1", "--workers", "1", "--gpus-per-worker", "1")
    assert following.end() == 0, following.text()
    addresses = {entry["node_id"]: entry["node_ip"] for entry in _listed(cluster, "nodes")}
    new = [actor for actor in _actors(cluster) if actor["actor_id"] not in before]
    assert {addresses[actor["node_id"]] for actor in new} == {node.address}
    assert all(actor["required_resources"]["GPU"] == 1 for actor in new)
    assert len(commits(cluster, "odd-1")) == SHARDS
    ours, theirs = (contents(cluster, run, "dataset/") for run in ("odd-1", whole))
    assert different(ours, theirs) == []


def test_wrong_credentials_of_one_node(
    cluster: Cluster, desk: Desk, pool: Pool, whole: str
) -> None:
    copy_run(cluster, whole, "odd-2", "source/", "teacher/")
    node = pool.add({"AWS_SECRET_ACCESS_KEY": WRONG})
    following = desk.submit("generate", "odd-2", "--workers", "2")
    assert following.end() == 2, following.text()
    said = following.text()
    assert node.address in said or node.name in said
    assert "access key or secret key is wrong" in said
    assert WRONG not in said and SECRET not in said
    # Before work: not even the other node has begun a shard.
    assert [key for key in keys(cluster, "odd-2/dataset/") if "shards/" in key] == []


def test_a_full_cache(cluster: Cluster, desk: Desk, pool: Pool, whole: str) -> None:
    copy_run(cluster, whole, "odd-3", "source/", "teacher/")
    # The teacher takes some 10 MB.
    node = pool.add({"ONESKETCH_CACHE": "/cache"}, disks={"/cache": "1m"})
    following = desk.submit("generate", "odd-3", "--workers", "2")
    assert following.end() == 2, following.text()
    said = following.text()
    assert node.address in said or node.name in said
    assert "/cache" in said and "no space left" in said
    assert commits(cluster, "odd-3") == []
    # With room on that node the same submission goes through.
    pool.add()
    again = desk.submit("generate", "odd-3", "--workers", "2")
    assert again.end() == 0, again.text()
    assert len(commits(cluster, "odd-3")) == SHARDS


def _actors(cluster: Cluster) -> list[dict[str, Any]]:
    found = _listed(cluster, "actors")
    return [actor for actor in found if actor["class_name"] == "_Worker"]


def _listed(cluster: Cluster, kind: str) -> list[dict[str, Any]]:
    return cluster.state(f"/api/v0/{kind}{DETAILS}")["data"]["result"]["result"]
