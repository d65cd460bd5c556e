"""Fixtures of the fault tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.faulty_proxy import FaultyProxy
from tests.servers.swift_server import SwiftServer
from tests.standins.published_blobs import hashes, write_dataset


@pytest.fixture
def proxy(
    swift: SwiftServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    """A proxy that breaks what the test says; boto3's standard configuration leads to it."""
    with FaultyProxy(swift.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture
def mortal_swift(swift: SwiftServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SwiftServer]:
    """A server of the test's own, to be killed, with a bucket named 'bucket'."""
    folder = Path(tempfile.mkdtemp(prefix="mortal-", dir=swift.folder.parent))
    server = SwiftServer(folder)
    server.start()
    server.client().create_bucket(Bucket="bucket")
    for key, value in server.environment().items():
        monkeypatch.setenv(key, value)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of the dataset as one process without Ray makes it in a folder."""
    return hashes(write_dataset(tmp_path_factory.mktemp("undisturbed") / "dataset"))
