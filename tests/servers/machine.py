"""A machine of the tests' cluster: processes with a network, files and numbers of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.machine_init import Setup
from tests.servers.namespaces import (
    in_network,
    joining,
    new_for_children,
    unshare_all_but_processes,
)

ROOT = Path(__file__).parents[2]
INIT = Path(__file__).with_name("machine_init.py")
SYSTEM = ("bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
HOME = "/home/onesketch"
DISKS = {HOME: "1g", "/tmp": "3g", "/dev/shm": "1g", "/var/tmp": "512m"}


@dataclass
class Machine:
    """Started with `boot`; `lose` and `end` kill all that runs there.

    Attributes:
        name: of the host.
        address: of its network card.
        logs: folder of this process's machine for what its processes print.
        environment: of all its processes, beside what every process needs.
    """

    name: str
    address: str
    logs: Path
    environment: Mapping[str, str] = field(repr=False)
    _init: subprocess.Popen[str] | None = field(default=None, repr=False)
    _started: list[subprocess.Popen[Any]] = field(default_factory=list, repr=False)

    def boot(self, hosts: Mapping[str, str], disks: Mapping[str, str]) -> None:
        """Start the machine with its file system; its network card comes later.

        Args:
            hosts: addresses of the other machines by name.
            disks: file systems in memory beside the usual ones, with their sizes.
        """
        shown, links = _program()
        mount_point = self.logs / f"{self.name}.root"
        mount_point.mkdir(parents=True)
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in hosts.items())]
        setup = Setup(
            name=self.name,
            hosts="\n".join(lines) + "\n",
            root=str(mount_point),
            shown=shown,
            links=links,
            disks={**DISKS, **disks},
        )
        with new_for_children():
            self._init = subprocess.Popen(
                [sys.executable, str(INIT), json.dumps(asdict(setup))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(self.logs / f"{self.name}.boot.log").open("ab"),
                text=True,
                preexec_fn=unshare_all_but_processes,
            )
        assert self._init.stdout is not None
        if self._init.stdout.readline() != "ready\n":
            said = (self.logs / f"{self.name}.boot.log").read_text()
            raise OSError(f"machine {self.name} does not start: {said}")
        # It is the root there by now, and no longer on this folder.
        mount_point.rmdir()

    @property
    def pid(self) -> int:
        """Process number of its first process, as this process sees it."""
        assert self._init is not None, "it was not started, or is over"
        return self._init.pid

    @property
    def runs(self) -> bool:
        """Tell whether it was started and not yet ended."""
        return self._init is not None

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        cwd: str = HOME,
        **options: Any,
    ) -> subprocess.Popen[Any]:
        """Start a program there; without `stdout` it prints into `logs`. Signals work as usual."""
        if "stdout" not in options:
            log = self.logs / f"{self.name}.{len(self._started)}.{Path(command[0]).name}.log"
            options |= {"stdout": log.open("ab"), "stderr": subprocess.STDOUT}
        with joining(self.pid) as join:

            def enter() -> None:
                join()
                os.chdir(cwd)

            process = subprocess.Popen(
                list(command),
                env={**self._basic_environment(), **self.environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=enter,
                **options,
            )
        self._started.append(process)
        return process

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 600.0,
        cwd: str = HOME,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program there to its end; it is killed when it takes longer than that."""
        process = self.start(
            command, environment, cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            raise AssertionError(f"{command} took longer than {timeout_s:g} s: {output}") from None
        return subprocess.CompletedProcess(list(command), process.returncode, output, None)

    def find(self, *words: str) -> list[int]:
        """Process numbers, as the machine counts, of those whose command line has all the words."""
        found = []
        for place in self.see("/proc").iterdir():
            if not place.name.isdigit():
                continue
            try:
                line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has just ended
                continue
            if all(word in line for word in words):
                found.append(int(place.name))
        return sorted(found)

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process of the machine, as the machine counts them."""
        done = self.run(["kill", f"-{number.value}", str(pid)])
        assert done.returncode == 0, done.stdout

    def write(self, path: str, data: bytes) -> None:
        """Write a file there, with its folders."""
        place = self.see(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    @contextmanager
    def network(self) -> Iterator[None]:
        """Put this thread, and what it starts, into the machine's network for a while."""
        fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with in_network(fd):
                yield
        finally:
            os.close(fd)

    def see(self, path: str) -> Path:
        """Return the path by which this process reads or writes a file of the machine."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def end(self) -> None:
        """Kill -9 all that runs there, at once; what was written there is gone."""
        if self._init is None:
            return
        os.kill(self._init.pid, signal.SIGKILL)
        for process in [*self._started, self._init]:
            process.wait()
        for pipe in (self._init.stdin, self._init.stdout):
            assert pipe is not None
            pipe.close()
        self._init = None

    def _basic_environment(self) -> dict[str, str]:
        return {
            "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": HOME,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }


def _program() -> tuple[list[str], dict[str, str]]:
    """List what a machine sees of the host: the system, Python, its packages and this repository.

    Returns:
        Folders, and symbolic links at the root with their targets.
    """
    places = [Path("/") / name for name in SYSTEM]
    links = {place.name: os.readlink(place) for place in places if place.is_symlink()}
    system = [place for place in places if place.is_dir() and not place.is_symlink()]
    shown: list[Path] = []
    for place in [*system, Path(sys.base_prefix), ROOT, Path(sys.prefix)]:
        # What is a link here leads to the same place there.
        real = place.resolve()
        if not any(real.is_relative_to(other) for other in shown):
            shown.append(real)
    return [str(place) for place in shown], links
