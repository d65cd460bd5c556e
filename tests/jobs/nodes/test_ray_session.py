"""Ray for the length of one command, on machines where little can be written."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.nodes.cluster import in_cluster
from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.devices import Asked

ROOT = Path(__file__).parents[3]
PROGRAM = """
import ray
from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.devices import Asked
with ray_runtime(Asked("cpu")):
    node = ray._private.worker._global_node
    print(ray.get(ray.remote(lambda: 7).remote()), node.get_temp_dir_path())
"""


@pytest.mark.ray
@pytest.mark.parametrize("length", [30, 40])
def test_it_starts_without_a_home_and_with_long_temporary_folders(
    tmp_path: Path, length: int
) -> None:
    """As a container's user has it; sockets have short paths, and the longest that fits is used."""
    base = Path("/tmp") / f"o{os.getpid()}"
    folder = Path(f"{base}-{'t' * (length - len(str(base)) - 1)}")
    folder.mkdir()
    assert len(str(folder)) == length
    environment = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": "/proc/none", "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        seven, temp = done.stdout.split()[-2:]
        assert seven == "7"
        assert temp.startswith(str(folder) if length == 30 else "/tmp/ray-")
    finally:
        left = [path.name for path in folder.iterdir()]
        shutil.rmtree(folder)
    assert not [name for name in left if name.startswith("ray-")], "what Ray wrote is gone"


@pytest.mark.ray
def test_an_address_where_nobody_answers_is_named_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        monkeypatch.setattr("jobs.nodes.ray_session._HEAD_STARTS_S", 1.0)
        monkeypatch.setattr("ray.is_initialized", lambda: False)
        started = time.monotonic()
        with pytest.raises(ValueError, match=f"RAY_ADDRESS={address}: nobody answers there"):
            with ray_runtime(Asked("cpu")):
                pass
    assert time.monotonic() - started < 5


def test_an_empty_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert not in_cluster()
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert in_cluster()
