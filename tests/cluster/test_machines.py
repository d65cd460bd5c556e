"""The tests' own cluster: its machines share nothing, can be lost, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.cluster import Cluster
from tests.servers.machine import HOME, ROOT, Machine
from tests.servers.namespaces import in_network, new_network

pytestmark = [pytest.mark.s3, pytest.mark.cluster]

REACH = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)"


@pytest.fixture
def pair(cluster: Cluster) -> Iterator[list[Machine]]:
    """Two machines without Ray."""
    machines = [cluster.machine(f"machine-{number}") for number in (1, 2)]
    yield machines
    for machine in machines:
        machine.end()


def reaches(machine: Machine, url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    return machine.run([sys.executable, "-c", REACH, host, port]).returncode == 0


def test_files_are_a_machine_s_own(cluster: Cluster, pair: list[Machine]) -> None:
    places = ["/tmp", HOME, "/dev/shm", "/var/tmp"]
    for place in places:
        pair[0].write(f"{place}/there", b"1")
    for machine, expected in ((pair[0], places), (pair[1], [])):
        seen = machine.run(["find", *places, "-maxdepth", "1", "-name", "there"])
        assert seen.stdout.splitlines() == [f"{place}/there" for place in expected]
    assert not any(Path(place, "there").exists() for place in places)
    # Of the host it sees the program, which it cannot change, and none of its data.
    assert pair[0].run(["touch", str(ROOT / "there")]).returncode != 0
    assert pair[0].run(["ls", str(cluster.folder)]).returncode != 0
    assert pair[0].run([sys.executable, "-c", "import jobs.cli.main, boto3"]).returncode == 0


def test_processes_names_and_network_are_a_machine_s_own(
    cluster: Cluster, pair: list[Machine]
) -> None:
    assert [machine.run(["hostname"]).stdout for machine in pair] == ["machine-1\n", "machine-2\n"]
    sleeper = pair[0].start(["sleep", "1000"])
    assert len(pair[0].find("sleep", "1000")) == 1
    assert pair[1].find("sleep", "1000") == []
    pair[0].signal(pair[0].find("sleep", "1000")[0], signal.SIGTERM)
    assert sleeper.wait() == -signal.SIGTERM
    assert reaches(pair[0], cluster.s3.url) and reaches(pair[1], cluster.s3.url)
    # Of the network nothing is seen outside, and of the outside nothing in it.
    assert not {"bridge", "card"} & set(os.listdir("/sys/class/net"))
    assert set(os.listdir(pair[0].see("/sys/class/net"))) == {"lo", "card"}
    assert not reaches(pair[0], "http://192.0.2.1:80")


def test_a_cable_is_pulled_and_power_is_cut(cluster: Cluster, pair: list[Machine]) -> None:
    cluster.partition(pair[0])
    assert not reaches(pair[0], cluster.s3.url) and reaches(pair[1], cluster.s3.url)
    cluster.heal(pair[0])
    until_s = time.monotonic() + 20
    while not reaches(pair[0], cluster.s3.url):
        assert time.monotonic() < until_s
    child = pair[0].start(["bash", "-c", "sleep 1000 & wait"])
    cluster.lose(pair[0])
    assert child.wait() == -signal.SIGKILL
    assert not pair[0].runs and reaches(pair[1], cluster.s3.url)


SCRIPT = """
import os, sys
from pathlib import Path
from tests.servers.cluster import Cluster
with Cluster(Path(sys.argv[1])) as cluster:
    machine = cluster.machine("doomed")
    machine.start(["bash", "-c", "sleep 4711 & sleep 4711"])
    print(machine.pid, flush=True)
    if sys.argv[2] == "error":
        raise ValueError("on purpose")
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["error", "kill -9"])
def test_nothing_is_left_behind(cluster_folder: Path, end: str) -> None:
    before = _traces()
    folder = cluster_folder / f"left-by-{end.split()[0]}"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        init = int(process.stdout.readline())
        if end == "kill -9":
            assert any("4711" in line for line in _traces()[2])
            process.kill()
    until_s = time.monotonic() + 30
    while _traces() != before or Path(f"/proc/{init}").exists():
        assert time.monotonic() < until_s, (before, _traces())
        time.sleep(0.1)


def _traces() -> tuple[list[str], list[str], list[str]]:
    """Mounts and network cards of the host, and those processes that only these tests start."""
    mounts = sorted(Path("/proc/self/mounts").read_text().splitlines())
    cards = sorted(os.listdir("/sys/class/net"))
    lines = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "sleep 4711" in line or "left-by-" in line:
            lines.append(line)
    return mounts, cards, sorted(lines)


def test_a_network_is_for_one_thread_and_for_a_while() -> None:
    here = os.readlink("/proc/thread-self/ns/net")
    fd = new_network()
    with in_network(fd):
        assert os.readlink("/proc/thread-self/ns/net") != here
        assert os.readlink(f"/proc/{os.getpid()}/ns/net") != here  # of the main thread
    assert os.readlink("/proc/thread-self/ns/net") == here
    os.close(fd)
