"""What networks and servers do to single requests, in front of a real server."""

from __future__ import annotations

import pytest

from pipeline.storage import s3
from pipeline.storage.address import open_store
from pipeline.storage.probe import probe
from pipeline.storage.store import Created, StorageError, Store
from tests.servers.faulty_proxy import Fault, FaultyProxy, Rule

pytestmark = pytest.mark.s3

DATA = bytes(range(256)) * 64
# The SDK waits a second or so before it tries these again: too long for every run.
WAITING = [
    pytest.param(fault, marks=pytest.mark.faults)
    for fault in (Fault.UNAVAILABLE, Fault.SLOW_DOWN, Fault.INTERNAL, Fault.HANG)
]
PASSING = [Fault.RESET, Fault.LOST, *WAITING]
# A few attempts are enough to see that they are counted; the SDK waits longer with each.
ATTEMPTS = 3


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", ATTEMPTS)
    monkeypatch.setattr(s3, "READ_TIMEOUT_S", 3)
    monkeypatch.setattr(s3, "FIRST_DELAY_S", 0.01)


@pytest.fixture
def store(proxy: FaultyProxy, bucket: str) -> Store:
    return open_store(f"s3://{bucket}/ink")


@pytest.mark.parametrize("fault", [*PASSING, Fault.CONFLICT, Fault.FLIPPED_UPLOAD])
def test_a_write_gets_through(store: Store, proxy: FaultyProxy, fault: Fault) -> None:
    proxy.rules = [Rule(fault, "PUT", times=2)]
    created = store.create("shards/a", DATA)
    # After a lost answer nobody can tell whose write it was; the content is what counts.
    assert created is (Created.EQUAL if fault is Fault.LOST else Created.NEW)
    assert (proxy.faults(), proxy.count("PUT")) == (2, 3)
    assert store.read("shards/a") == DATA


@pytest.mark.parametrize("fault", [*PASSING, Fault.TRUNCATED, Fault.FLIPPED])
def test_an_object_is_read(store: Store, proxy: FaultyProxy, fault: Fault) -> None:
    store.create("shards/a", DATA)
    proxy.rules = [Rule(fault, "GET", times=2)]
    assert store.read("shards/a") == DATA
    assert (proxy.faults(), proxy.count("GET")) == (2, 3)


@pytest.mark.parametrize("fault", [*PASSING, Fault.TRUNCATED])
def test_a_part_is_read(store: Store, proxy: FaultyProxy, fault: Fault) -> None:
    store.create("shards/a", DATA)
    proxy.rules = [Rule(fault, "GET", times=2)]
    assert store.read_range("shards/a", 100, 999) == DATA[100:1099]
    assert proxy.faults() == 2


@pytest.mark.parametrize("fault", [*PASSING, Fault.TRUNCATED])
def test_names_are_listed(store: Store, proxy: FaultyProxy, fault: Fault) -> None:
    store.create("shards/a", DATA)
    proxy.rules = [Rule(fault, "GET", times=2)]
    assert store.keys("shards/") == ["shards/a"] and proxy.faults() == 2


@pytest.mark.parametrize("fault", PASSING)
def test_a_size_is_learnt(store: Store, proxy: FaultyProxy, fault: Fault) -> None:
    store.create("shards/a", DATA)
    proxy.rules = [Rule(fault, "HEAD", times=2)]
    assert store.size("shards/a") == len(DATA) and proxy.faults() == 2


@pytest.mark.faults
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.UNAVAILABLE, "503 ServiceUnavailable"),
        (Fault.SLOW_DOWN, "asks to slow down"),
        (Fault.RESET, "the connection broke"),
        (Fault.HANG, "the connection broke"),
        (Fault.CONFLICT, "race of writers"),
        (Fault.FLIPPED_UPLOAD, "other bytes than were sent"),
        (Fault.EXPIRED, "credentials have expired"),
    ],
)
def test_a_write_that_never_gets_through(
    store: Store, proxy: FaultyProxy, fault: Fault, words: str
) -> None:
    proxy.rules = [Rule(fault, "PUT", times=float("inf"))]
    with pytest.raises(StorageError, match=words) as caught:
        store.create("shards/a", DATA)
    assert "shards/a" in str(caught.value) and "local-development" not in str(caught.value)
    assert proxy.count("PUT") == (1 if fault is Fault.EXPIRED else ATTEMPTS)
    assert store.keys("") == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(Fault.SLOW_DOWN, "asks to slow down", marks=pytest.mark.faults),
        (Fault.RESET, "the connection broke"),
        (Fault.LOST, "the connection broke"),
        (Fault.TRUNCATED, "broke off 3 times"),
        (Fault.FLIPPED, "3 times other bytes came than were written"),
    ],
)
def test_an_answer_that_is_never_whole(
    store: Store, proxy: FaultyProxy, fault: Fault, words: str
) -> None:
    store.create("shards/a", DATA)
    proxy.rules = [Rule(fault, "GET", times=float("inf"))]
    with pytest.raises(StorageError, match=words):
        store.read("shards/a")
    assert proxy.count("GET") == ATTEMPTS


def test_a_lost_answer_to_another_writers_name_is_no_success(
    store: Store, proxy: FaultyProxy
) -> None:
    store.create("shards/a", DATA)
    proxy.rules = [Rule(Fault.LOST, "PUT")]
    assert store.create("shards/a", b"other") is Created.OTHER
    assert store.read("shards/a") == DATA


@pytest.mark.faults
def test_the_probe_bears_a_bad_moment(store: Store, proxy: FaultyProxy) -> None:
    proxy.rules = [Rule(Fault.LOST, "PUT"), Rule(Fault.SLOW_DOWN, "PUT", skip=1)]
    probe(store)
    assert store.keys("") == [] and proxy.faults() == 2
