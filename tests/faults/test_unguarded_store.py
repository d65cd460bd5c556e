"""A store that lets a second writer replace an object is found out before any work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.dataset import layout
from pipeline.storage.address import open_store
from pipeline.storage.probe import probe
from pipeline.storage.store import Created, StorageError
from tests.servers.rclone_server import serve_folder
from tests.standins.far_factory import FarFactory
from tests.standins.published_blobs import hashes
from tests.standins.standin_teacher import StandinTeacher, make_plan

pytestmark = pytest.mark.s3

ADDRESS = "s3://bucket/ink"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    (tmp_path / "served" / "bucket").mkdir(parents=True)
    with serve_folder(tmp_path / "served") as environment:
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        yield dict(environment)


def generate_there(environment: dict[str, str], single_writer: bool) -> Any:
    from pipeline.generation.ray_actors import generate

    factory = FarFactory(environment, StandinTeacher)
    store = open_store(ADDRESS, single_writer)
    return generate(make_plan(), store, factory, 1, 0.0, lambda *_, **__: None)


def test_the_store_is_refused(environment: dict[str, str]) -> None:
    store = open_store(ADDRESS)
    store.create("a", b"one")
    assert store.create("a", b"two") is Created.NEW and store.read("a") == b"two"
    for attempt in (lambda: probe(store), lambda: generate_there(environment, False)):
        with pytest.raises(StorageError, match="ignores If-None-Match.*--single-writer"):
            attempt()
    assert store.keys("") == ["a"]


def test_a_single_writer_keeps_what_is_there(environment: dict[str, str]) -> None:
    store = open_store(ADDRESS, single_writer=True)
    probe(store)
    assert store.create("a", b"one") is Created.NEW
    assert store.create("a", b"one") is Created.EQUAL
    assert store.create("a", b"two") is Created.OTHER and store.read("a") == b"one"


@pytest.mark.ray
@pytest.mark.faults
def test_a_single_writer_gets_the_same_dataset(
    local_ray: None, environment: dict[str, str], undisturbed: dict[str, str]
) -> None:
    generate_there(environment, True)
    assert hashes(ADDRESS) == undisturbed
    assert layout.MANIFEST in undisturbed
