"""A simulated fleet on nodes that boot, fetch what they need, and may be taken away.

Nodes hold several workers. A node boots once, fetches the teacher and its weights once, and then
each worker loads them. When a node is preempted all its workers are lost, and those that replace
them wait for a new node.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.dataset.plan import Plan
from pipeline.generation.fleet import Event, Lost, Ready
from pipeline.generation.simulated_fleet import SimulatedFleet, WorkerBehaviour

_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class NodeBehaviour:
    """How simulated nodes behave; times in simulated seconds.

    A node has `workers` places. It boots in `boot_s`, give or take a log-normal `boot_spread`, then
    fetches `fetch_bytes` at `node_bytes_per_s`, or slower where all nodes together ask for more
    than the store's `store_bytes_per_s`. It lives for `1 / preempted_per_hour` hours in the mean.
    """

    workers: int = 8
    boot_s: float = 180.0
    boot_spread: float = 0.2
    fetch_bytes: float = 5e9
    node_bytes_per_s: float = 1.25e9
    store_bytes_per_s: float = 50e9
    preempted_per_hour: float = 0.0

    def fetch_s(self, nodes: int) -> float:
        """Return how long a node fetches while so many nodes do."""
        return self.fetch_bytes / min(self.node_bytes_per_s, self.store_bytes_per_s / nodes)


@dataclass
class _Node:
    """A node: asked for, ready for its workers' loading, and gone at these times."""

    asked_s: float
    ready_s: float
    gone_s: float
    workers: set[int] = field(default_factory=set)


class SimulatedCluster(SimulatedFleet):
    """A simulated fleet whose workers live on nodes; `behaviour.start_s` is a worker's loading."""

    def __init__(
        self,
        plan: Plan,
        behaviour: WorkerBehaviour,
        nodes: NodeBehaviour,
        seed: int,
        real_clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        super().__init__(plan, behaviour, real_clock=real_clock, keep_history=False)
        self.nodes = nodes
        self._random = random.Random(seed)
        self._nodes: list[_Node] = []
        # Nodes that were not seen to go, and the node of each worker.
        self._present: list[_Node] = []
        self._homes: dict[int, _Node] = {}

    @property
    def num_preempted(self) -> int:
        """How many nodes were taken away so far."""
        return sum(node.gone_s <= self.now_s for node in self._nodes)

    @property
    def paid_h(self) -> float:
        """Worker-hours of all nodes so far, from the time they were asked for."""
        spans_s = (min(node.gone_s, self.now_s) - node.asked_s for node in self._nodes)
        return sum(spans_s) * self.nodes.workers / _SECONDS_PER_HOUR

    def start(self, worker: int) -> None:
        """Place a worker on a node with room, or on a new one."""
        self.started += 1
        self._alive.add(worker)
        node = self._place()
        node.workers.add(worker)
        self._homes[worker] = node
        waits_s = max(node.ready_s - self.now_s, 0.0)
        self._enter(waits_s + self.behaviour.start_s, Ready(worker))
        if node.gone_s < float("inf"):
            self._enter(node.gone_s - self.now_s, Lost(worker, "its node was preempted"))

    def stop(self, worker: int) -> None:
        """Drop a worker and all its events; its place is free."""
        super().stop(worker)
        self._leave(worker)

    def _note(self, event: Event) -> None:
        super()._note(event)
        if isinstance(event, Lost):
            self._leave(event.worker)

    def _leave(self, worker: int) -> None:
        if node := self._homes.pop(worker, None):
            node.workers.discard(worker)

    def _place(self) -> _Node:
        self._present = [node for node in self._present if node.gone_s > self.now_s]
        # The latest first: the others are full most of the time.
        for node in reversed(self._present):
            if len(node.workers) < self.nodes.workers:
                return node
        node = self._new_node()
        self._nodes.append(node)
        self._present.append(node)
        return node

    def _new_node(self) -> _Node:
        behaviour, now_s = self.nodes, self.now_s
        boot_s = behaviour.boot_s * self._random.lognormvariate(0.0, behaviour.boot_spread)
        ready_s = now_s + boot_s + behaviour.fetch_s(len(self._present) + 1)
        gone_s = float("inf")
        if behaviour.preempted_per_hour:
            lives_h = self._random.expovariate(behaviour.preempted_per_hour)
            gone_s = now_s + boot_s + lives_h * _SECONDS_PER_HOUR
        return _Node(now_s, ready_s, gone_s)
