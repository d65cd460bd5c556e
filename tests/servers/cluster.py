"""A cluster of several machines within one: they share nothing but a network and an S3 server.

Machines have namespaces of their own (network, files, processes, host name, shared memory). A
network that no one else sees joins them by a bridge, on which the S3 server listens too. The tests
themselves are outside; with `network()` they come in.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.machine import Machine
from tests.servers.namespaces import in_network, new_network
from tests.servers.swift_server import SwiftServer

SUBNET = "10.213.7"
S3_HOST = f"{SUBNET}.1"
BRIDGE_MAC = "02:00:0a:d5:07:01"
START_S = 180.0
# Ports are Ray's defaults: on machines with networks of their own nothing else has them.
GCS_PORT, DASHBOARD_PORT = 6379, 8265
RAY_START = (
    "ray", "start", "--block", "--disable-usage-stats", "--object-store-memory=200000000",
)  # fmt: skip
RAY_ENVIRONMENT = {
    # On a machine that is busy Ray's own choice, the lowest priority, would let workers starve.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that is gone without a word is missed after 20 s in place of 60.
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
}


@dataclass
class Cluster:
    """Use as a context; machines are added to it and end with it.

    Attributes:
        folder: where the host keeps logs and the server's objects; with user xattrs.
        token: of Ray's token authentication; "": none.
        secret: the S3 server's password for its user.
    """

    folder: Path
    token: str = ""
    machines: list[Machine] = field(default_factory=list, repr=False)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._net = new_network()
            stack.callback(os.close, self._net)
            # Without an address of its own it has a card's, and another when that card is gone.
            self._ip("link", "add", "bridge", "address", BRIDGE_MAC, "type", "bridge")
            self._ip("address", "add", f"{S3_HOST}/24", "dev", "bridge")
            for name in ("lo", "bridge"):
                self._ip("link", "set", name, "up")
            self.s3 = SwiftServer(self.folder / "s3", host=S3_HOST)
            with self.network():
                self.s3.start()
            stack.callback(self.s3.stop)
            stack.callback(self._end_machines)
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.__exit__(kind, error, trace)

    @contextmanager
    def network(self) -> Iterator[None]:
        """Put this thread, and all processes and threads that it starts, into the network."""
        with in_network(self._net):
            yield

    def machine(
        self,
        name: str,
        environment: Mapping[str, str] | None = None,
        disks: Mapping[str, str] | None = None,
    ) -> Machine:
        """Start a machine, which has the S3 server's credentials unless `environment` has others.

        Args:
            name: of the host.
            environment: of its processes.
            disks: file systems in memory beside the usual ones, with their sizes ("20m").
        """
        number = len(self.machines) + 11
        machine = Machine(
            name,
            f"{SUBNET}.{number}",
            self.folder,
            {**RAY_ENVIRONMENT, **self._token(), **self.s3.environment(), **(environment or {})},
        )
        self.machines.append(machine)
        hosts = {other.name: other.address for other in self.machines}
        machine.boot({**hosts, "s3": S3_HOST}, disks or {})
        self._plug_in(machine, number)
        return machine

    def head(self, machine: Machine, num_cpus: int, num_gpus: int = 0) -> str:
        """Start Ray's head on a machine and return the address of its jobs API."""
        ports = [f"--port={GCS_PORT}", "--dashboard-host=0.0.0.0"]
        self._start_ray(machine, ["--head", *ports], num_cpus, num_gpus)
        self.head_machine = machine
        self.address = f"http://{machine.address}:{DASHBOARD_PORT}"
        self._wait_for_nodes([machine])
        return self.address

    def worker(self, machine: Machine, num_cpus: int, num_gpus: int = 0) -> None:
        """Let a machine join the cluster of the head."""
        address = f"--address={self.head_machine.address}:{GCS_PORT}"
        self._start_ray(machine, [address], num_cpus, num_gpus)
        self._wait_for_nodes([machine])

    def partition(self, machine: Machine) -> None:
        """Pull a machine's cable."""
        self._ip("link", "set", f"port-{self._number(machine)}", "down")

    def heal(self, machine: Machine) -> None:
        """Put a machine's cable back."""
        self._ip("link", "set", f"port-{self._number(machine)}", "up")

    def lose(self, machine: Machine) -> None:
        """Cut a machine's power: nobody hears of the end of its connections."""
        self.partition(machine)
        machine.end()

    def alive(self) -> set[str]:
        """Addresses of the nodes that Ray takes for alive."""
        nodes = self.state("/api/v0/nodes?limit=1000")["data"]["result"]["result"]
        return {node["node_ip"] for node in nodes if node["state"] == "ALIVE"}

    def state(self, path: str) -> Any:
        """Get JSON from the dashboard."""
        return json.loads(self.get(path))

    def get(self, path: str) -> bytes:
        """Get what the dashboard answers to a path."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(self.address + path, headers=headers)
        with self.network(), urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())

    def _token(self) -> dict[str, str]:
        if not self.token:
            return {"RAY_AUTH_MODE": "disabled"}
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    def _start_ray(
        self, machine: Machine, options: list[str], num_cpus: int, num_gpus: int
    ) -> None:
        places = [f"--node-ip-address={machine.address}", f"--num-cpus={num_cpus}"]
        machine.start([*RAY_START, *options, *places, f"--num-gpus={num_gpus}"])

    def _wait_for_nodes(self, machines: list[Machine]) -> None:
        until_s = time.monotonic() + START_S
        while True:
            try:
                if {machine.address for machine in machines} <= self.alive():
                    return
            except (OSError, ValueError):
                pass
            assert time.monotonic() < until_s, f"Ray does not start; see {self.folder}"
            time.sleep(0.2)

    def _plug_in(self, machine: Machine, number: int) -> None:
        port = f"port-{number}"
        card = ["peer", "name", "card", "netns", str(machine.pid)]
        self._ip("link", "add", port, "type", "veth", *card)
        self._ip("link", "set", port, "master", "bridge", "up")
        for command in (
            f"ip address add {machine.address}/24 dev card",
            "ip link set lo up",
            "ip link set card up",
            # It leads nowhere, but Ray looks for its own address on the way to somewhere.
            f"ip route add default via {S3_HOST}",
        ):
            done = machine.run(command.split())
            assert done.returncode == 0, done.stdout

    def _number(self, machine: Machine) -> int:
        return int(machine.address.rpartition(".")[2])

    def _end_machines(self) -> None:
        for machine in self.machines:
            machine.end()

    def _ip(self, *arguments: str) -> None:
        with self.network():
            done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
