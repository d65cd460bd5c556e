"""A server that is killed and started again has kept what it acknowledged."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.storage import s3
from pipeline.storage.address import open_store
from pipeline.storage.store import Created, MissingKeyError, StorageError
from tests.servers.swift_server import SwiftServer

pytestmark = [pytest.mark.s3, pytest.mark.faults]

WRITERS = 4
ENOUGH = 24


def content(key: str) -> bytes:
    return key.encode() * 4096


def test_acknowledged_means_durable(
    mortal_swift: SwiftServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    store = open_store("s3://bucket/ink")
    acknowledged: list[str] = []
    enough = threading.Event()

    def write(writer: int) -> str:
        for number in range(10_000):
            key = f"shards/{writer}-{number:05d}"
            try:
                assert store.create(key, content(key)) is Created.NEW
            except StorageError:
                return key
            acknowledged.append(key)
            if len(acknowledged) >= ENOUGH:
                enough.set()
        raise AssertionError("the server was not killed")

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, number) for number in range(WRITERS)]
        assert enough.wait(240)
        mortal_swift.kill()
        interrupted = [writer.result() for writer in writers]
    mortal_swift.start()

    monkeypatch.undo()
    for key, value in mortal_swift.environment().items():
        monkeypatch.setenv(key, value)
    store = open_store("s3://bucket/ink")
    assert all(store.read(key) == content(key) for key in acknowledged)
    assert set(acknowledged) <= set(store.keys("shards/"))
    for key in interrupted:
        # Whole or not there at all, and the same writer can go on.
        try:
            assert store.read(key) == content(key)
        except MissingKeyError:
            pass
        assert store.create(key, content(key)) in (Created.NEW, Created.EQUAL)
        assert store.read(key) == content(key)
