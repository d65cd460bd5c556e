"""Leases: one holder at a time, in folders and in stores, whatever happens to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pipeline.storage.address import open_store
from pipeline.storage.lease import HeldError, folder_lease, one_after_the_other, store_lease
from pipeline.storage.local import LocalStore
from pipeline.storage.store import Store

SIGN_S, PATIENCE_S = 0.1, 1.0
ROOT = Path(__file__).parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from pipeline.storage.lease import folder_lease
with folder_lease(Path(sys.argv[1]), "work"):
    print("held", flush=True)
    time.sleep(60)
"""
APPENDER = """
import json, sys
from pathlib import Path
from pipeline.storage.lease import one_after_the_other
path = Path(sys.argv[1])
for _ in range(50):
    with one_after_the_other(path.with_suffix(".lock")):
        path.write_text(str(int(path.read_text()) + 1))
"""


def take(
    store: Store,
    on_loss: Callable[[], None] = lambda: None,
    on_wait: Callable[[str], None] = lambda who: None,
) -> AbstractContextManager[None]:
    return store_lease(store, "teach", on_loss, on_wait, SIGN_S, PATIENCE_S)


def start(program: str, *arguments: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return LocalStore(tmp_path)
    return open_store(f"s3://{request.getfixturevalue('bucket')}/leased")


def test_a_folder_has_one_holder_even_after_kill_minus_9(tmp_path: Path) -> None:
    path = tmp_path / ".teach.lock"
    holder = start(HOLDER, path)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with (
        pytest.raises(HeldError, match=rf"work: process {holder.pid} on \S+ is at work"),
        folder_lease(path, "work"),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with folder_lease(path, "work"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_no_count_is_lost_between_processes(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    counter.write_text("0")
    with one_after_the_other(tmp_path / "count.lock"):
        processes = [start(APPENDER, counter) for _ in range(3)]
        time.sleep(0.5)
        assert counter.read_text() == "0"
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert counter.read_text() == "150"


def test_a_store_has_one_holder_and_nothing_is_left(store: Store) -> None:
    waited = []
    with (
        take(store),
        pytest.raises(HeldError, match=rf"teach: process {os.getpid()} on "),
        take(store, on_wait=waited.append),
    ):
        pass
    assert len(waited) == 1
    assert store.keys("leases/") == []
    with take(store):
        pass


def test_a_dead_holder_is_followed(store: Store) -> None:
    store.create("leases/teach/00001", b'{"host": "gone", "pid": 7}')
    store.create("leases/teach/00001.000004", b"")
    started = time.monotonic()
    with take(store):
        assert time.monotonic() - started >= PATIENCE_S
        holders = [key for key in store.keys("leases/") if "." not in key]
        assert holders[-1] == "leases/teach/00002"
    assert store.keys("leases/") == []


@pytest.mark.parametrize("dead_before", [True, False])
def test_of_two_at_once_one_is_refused(store: Store, dead_before: bool) -> None:
    """Within a millisecond of each other, where a server may let both writes succeed."""
    if dead_before:
        store.create("leases/teach/00001", b"{}")
    outcomes = []
    together = threading.Barrier(2)

    def follow() -> None:
        together.wait()
        try:
            with take(store):
                outcomes.append("held")
                time.sleep(3 * PATIENCE_S)
        except HeldError:
            outcomes.append("refused")

    threads = [threading.Thread(target=follow) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held", "refused"]


@pytest.mark.parametrize("follower", ["at work", "ended"])
def test_a_holder_that_was_suspended_learns_of_its_loss(store: Store, follower: str) -> None:
    lost = threading.Event()
    with take(store, on_loss=lost.set):
        if follower == "at work":
            store.create("leases/teach/00002", b"{}")
        else:
            store.delete("leases/teach/00001")
        assert lost.wait(20 * SIGN_S + 5)


def test_a_store_that_lists_nothing_yet_takes_no_lease_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStore, "keys", lambda self, prefix: [])
    lost = threading.Event()
    with take(LocalStore(tmp_path), on_loss=lost.set):
        assert not lost.wait(10 * SIGN_S)
