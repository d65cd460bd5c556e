"""Nodes in simulated time: booted and filled once, paid from the first second, lost as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.generation.driver import Driver, open_ledger
from pipeline.generation.fleet import Lost, Ready
from pipeline.generation.scheduling import Policy
from pipeline.generation.simulated_cluster import NodeBehaviour, SimulatedCluster
from pipeline.generation.simulated_fleet import WorkerBehaviour
from pipeline.storage.local import LocalStore
from tests.standins.standin_teacher import make_plan

WORKER = WorkerBehaviour(sample_s=1.0, start_s=10.0, publish_s=1.0)
# 100 s of booting, then 5 GB at 1 GB/s, or at the store's 2 GB/s divided by the nodes.
NODES = NodeBehaviour(2, 100.0, 0.0, 5e9, 1e9, 2e9)


def cluster(nodes: NodeBehaviour = NODES, samples: int = 16) -> SimulatedCluster:
    return SimulatedCluster(make_plan(samples, 8), WORKER, nodes, seed=1)


def test_a_node_boots_and_fetches_once_for_all_its_workers() -> None:
    fleet = cluster()
    fleet.start(0)
    fleet.wait(60.0)
    fleet.start(1)
    assert fleet.wait(500.0) == [Ready(0), Ready(1)] and fleet.now_s == 100 + 5 + 10
    # Its place on the node is free again, and nothing is fetched a second time.
    fleet.stop(1)
    fleet.start(2)
    assert fleet.wait(500.0) == [Ready(2)] and fleet.now_s == 125
    assert fleet.paid_h == pytest.approx(2 * 125 / 3600)


def test_many_nodes_share_what_the_store_gives() -> None:
    fleet = cluster()
    for worker in range(8):
        fleet.start(worker)
    ready = {event.worker: fleet.now_s for _ in range(3) for event in fleet.wait(500.0)}
    # The first two nodes fetch at their own rate; the third and the fourth share the store's.
    assert [ready[worker] for worker in range(0, 8, 2)] == [115.0, 115.0, 117.5, 120.0]
    assert [ready[worker] for worker in range(1, 8, 2)] == [115.0, 115.0, 117.5, 120.0]


def test_a_preempted_node_takes_all_its_workers() -> None:
    fleet = cluster(NodeBehaviour(2, 100.0, 0.0, 5e9, 1e9, 2e9, preempted_per_hour=20.0))
    for worker in range(2):
        fleet.start(worker)
    events = []
    while fleet.num_preempted == 0:
        events += fleet.wait(1000.0)
    lost = [event for event in events if isinstance(event, Lost)]
    assert [event.worker for event in lost] == [0, 1]
    paid_h = fleet.paid_h
    fleet.wait(1000.0)
    assert fleet.paid_h == paid_h > 0
    fleet.start(2)
    assert fleet.wait(50.0) == [] and fleet.paid_h > paid_h


def test_the_driver_finishes_on_nodes_that_come_and_go(tmp_path: Path) -> None:
    # Of 4 workers a node, in the mean 12 minutes of life and some of them lost while they load.
    nodes = NodeBehaviour(4, 60.0, 0.3, 5e9, 1e9, 50e9, preempted_per_hour=5.0)
    plan = make_plan(4000, 8)
    fleet = SimulatedCluster(plan, WorkerBehaviour(sample_s=5.0, start_s=30.0), nodes, seed=3)
    ledger = open_ledger(LocalStore(tmp_path), plan, Policy())
    driver = Driver(LocalStore(tmp_path), ledger, fleet, 16, lambda _: None, fleet.clock)
    assert driver.run(lambda: False)
    assert driver.work.shards_made == 500 and not ledger.failed
    assert fleet.num_preempted > 5 and ledger.counts["quarantined"] == 0
    busy_h = 4000 * 5.0 / 3600
    assert busy_h < fleet.paid_h < 2 * busy_h
