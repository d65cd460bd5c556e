"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faulty_proxy import FaultyProxy
from tests.swift_server import SwiftServer


@pytest.fixture
def proxy(
    swift: SwiftServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    """A proxy that breaks what the test says; boto3's standard configuration leads to it."""
    with FaultyProxy(swift.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy
