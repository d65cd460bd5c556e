"""A real Ray head with its dashboard, on loopback, with ports and folders of its own."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

START_S = 120.0
STOP_S = 60.0
# Ray's sockets lie some 60 characters below its folder, and a socket's path holds 107.
_MAX_FOLDER_CHARS = 40
_OBJECT_STORE_BYTES = 80 * 2**20
_PR_SET_PDEATHSIG = 1
_QUIET = {
    "OMP_NUM_THREADS": "1",
    "RAY_AUTH_MODE": "disabled",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "2",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}
# They lead elsewhere, or would make a head of one test something else in another.
_NOT_INHERITED = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


class RayHead:
    """`ray start --head --block` as a process of its own, so that any test may kill it.

    Args:
        folder: for sessions, logs and sockets; a short path.
        num_cpus: that the head offers.
        env: added to this process's environment; the head's jobs inherit it.
    """

    def __init__(
        self, folder: Path, num_cpus: int = 2, env: Mapping[str, str] | None = None
    ) -> None:
        assert len(str(folder)) <= _MAX_FOLDER_CHARS, f"{folder} is too long for Ray's sockets"
        self.folder = folder
        self.num_cpus = num_cpus
        self.address = ""
        self.gcs_address = ""
        self.agent_port = 0
        self._env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, agent_port: int = 0) -> None:
        """Start the head and wait until its dashboard answers; it ends with the calling thread.

        Args:
            agent_port: for the dashboard's agent; 0: a free one.
        """
        gcs, dashboard, agent, metrics, client = free_ports(5)
        self.address, self.gcs_address = f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{gcs}"
        self.agent_port = agent_port or agent
        options = {
            "node-ip-address": "127.0.0.1",
            "port": gcs,
            "dashboard-host": "127.0.0.1",
            "dashboard-port": dashboard,
            "dashboard-agent-listen-port": self.agent_port,
            "metrics-export-port": metrics,
            "ray-client-server-port": client,
            # 0 lets the system choose, so that two heads never share a range.
            "min-worker-port": 0,
            "max-worker-port": 0,
            "num-cpus": self.num_cpus,
            "num-gpus": 0,
            "object-store-memory": _OBJECT_STORE_BYTES,
            "temp-dir": self.folder,
            "include-dashboard": "true",
        }
        ray = Path(sys.executable).with_name("ray")
        command = [str(ray), "start", "--head", "--block", "--disable-usage-stats"]
        with (self.folder / "head.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *(f"--{name}={value}" for name, value in options.items())],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # So that it ends also when the tests are killed.
                preexec_fn=_end_with_parent,
            )
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End the head and everything that it started."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9 the head's process group, in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def environment(self) -> dict[str, str]:
        """What the head and its jobs find in their environment."""
        inherited = {k: v for k, v in os.environ.items() if k not in _NOT_INHERITED}
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return inherited | _QUIET | {"PATH": programs} | self._env

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        until_s = time.monotonic() + START_S
        while not self._answers():
            log = self.folder / "head.log"
            assert self._process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < until_s, "the head does not answer"
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/api/version", timeout=5) as answer:
                return "ray_version" in json.load(answer)
        except urllib.error.HTTPError as error:
            # A head with a token answers so to those without.
            return error.code in (401, 403)
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        group = self._process.pid
        if number is signal.SIGKILL:
            os.killpg(group, number)
        else:
            self._process.send_signal(number)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(group, signal.SIGKILL)
            self._process.wait()
        self._process = None


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM when the thread that started this process ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listened on a moment ago, all different."""
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [taken.getsockname()[1] for taken in sockets]
