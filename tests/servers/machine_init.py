"""The first process of a machine of the tests' cluster: makes its file system, then waits.

It is started in new namespaces as process number 1, with one JSON object as its argument (see
`Setup`). The machine's files are a tmpfs of its own: of the host it sees the folders that are
named, read-only. Once "ready" is printed other processes can be started there; when the standard
input ends, so also when the tests are killed, it ends, and the kernel kills all that is left.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True)
class Setup:
    """What a machine is made of.

    Attributes:
        name: of the host.
        hosts: text of its /etc/hosts.
        root: an empty folder of the host, on which the new file system is put.
        shown: folders of the host that it sees at the same place, read-only.
        links: symbolic links at the root, with their targets.
        disks: its own file systems in memory, with their sizes as mount(8) takes them.
    """

    name: str
    hosts: str
    root: str
    shown: list[str]
    links: dict[str, str]
    disks: dict[str, str]


def main() -> None:
    """Make the machine and wait for the end of the standard input."""
    setup = Setup(**json.loads(sys.argv[1]))
    _mount("--make-rprivate", "/")
    root = Path(setup.root)
    _mount("-t", "tmpfs", "-o", "size=256m,mode=755", setup.name, str(root))
    _make_devices(root / "dev")
    for folder, size in setup.disks.items():
        place = _inside(root, Path(folder))
        place.mkdir(parents=True, exist_ok=True)
        _mount("-t", "tmpfs", "-o", f"size={size},mode=1777", setup.name, str(place))
    # After the disks: what is shown may lie where one of them is.
    for folder in setup.shown:
        _show(Path(folder), root)
    for name, target in setup.links.items():
        (root / name).symlink_to(target)
    _enter(root)
    _write_hosts(setup.hosts)
    socket.sethostname(setup.name)
    # Orphans come to process number 1, which with this need not wait for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    sys.stdin.read()


def _show(folder: Path, root: Path) -> None:
    place = _inside(root, folder)
    place.mkdir(parents=True, exist_ok=True)
    _mount("--bind", str(folder), str(place))
    _mount("-o", "remount,bind,ro", str(place))


def _make_devices(folder: Path) -> None:
    folder.mkdir()
    for name in DEVICES:
        numbers = os.stat(f"/dev/{name}").st_rdev
        os.mknod(folder / name, stat.S_IFCHR, numbers)
        (folder / name).chmod(0o666)
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        (folder / name).symlink_to(f"/proc/self/{target}")


def _enter(root: Path) -> None:
    """Make the new file system the root, and let go of the host's."""
    (root / "proc").mkdir()
    (root / "sys").mkdir()
    _mount("-t", "proc", "proc", str(root / "proc"))
    _mount("-t", "sysfs", "-o", "ro", "sysfs", str(root / "sys"))
    old = root / ".old"
    old.mkdir()
    os.chdir(root)
    subprocess.run(["pivot_root", ".", ".old"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/.old"], check=True)
    Path("/.old").rmdir()


def _write_hosts(text: str) -> None:
    Path("/hosts").write_text(text)
    _mount("--bind", "/hosts", "/etc/hosts")


def _inside(root: Path, folder: Path) -> Path:
    return root / folder.relative_to("/")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
