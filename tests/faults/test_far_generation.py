"""Generation into a real object store: whatever happens, the dataset is that of a calm run."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.dataset import layout
from pipeline.storage.address import open_store
from pipeline.storage.s3 import S3Store
from pipeline.storage.store import StorageError
from tests.servers.faulty_proxy import Fault, FaultyProxy, Rule
from tests.servers.swift_server import SwiftServer
from tests.standins.far_factory import FarFactory
from tests.standins.killing_factory import POINTS, KillingFactory
from tests.standins.published_blobs import hashes
from tests.standins.standin_teacher import StandinTeacher, make_plan

pytestmark = [pytest.mark.s3, pytest.mark.ray]

Hashes = dict[str, str]
Events = list[tuple[str, dict[str, Any]]]


class FarRun:
    """Generation of the stand-in dataset at an s3 address, as often as it takes."""

    def __init__(self, address: str, environment: Mapping[str, str]) -> None:
        self.address = address
        self.environment = environment
        self.events: Events = []
        self.on_shard: Callable[[], None] = lambda: None

    def generate(
        self, factory: Callable[[], StandinTeacher] = StandinTeacher, workers: int = 2
    ) -> Any:
        from pipeline.generation.ray_actors import generate

        far = FarFactory(self.environment, factory)
        return generate(make_plan(), open_store(self.address), far, workers, 0.0, self._note)

    def committed(self) -> list[str]:
        return open_store(self.address).keys(layout.COMMITS)

    def _note(self, name: str, **fields: object) -> None:
        self.events.append((name, fields))
        if name == "generate":
            self.on_shard()


@pytest.fixture
def run(local_ray: None, swift: SwiftServer, bucket: str) -> FarRun:
    return FarRun(f"s3://{bucket}/ink", swift.environment())


def test_a_store_far_away_gets_the_same_bytes(run: FarRun, undisturbed: Hashes) -> None:
    summary = run.generate()
    assert (summary.committed, summary.shards_made) == (22, 3)
    assert hashes(run.address) == undisturbed


@pytest.mark.parametrize(
    "point",
    [
        point if point == "after shards/" else pytest.param(point, marks=pytest.mark.faults)
        for point in POINTS
    ],
)
def test_a_worker_killed_at_any_step(
    run: FarRun, tmp_path: Path, undisturbed: Hashes, point: str
) -> None:
    summary = run.generate(KillingFactory(point, tmp_path / "marker", S3Store))
    assert (tmp_path / "marker").exists() and summary.workers_lost == 1
    assert hashes(run.address) == undisturbed


@pytest.mark.faults
def test_two_drivers_at_once(run: FarRun, undisturbed: Hashes) -> None:
    with ThreadPoolExecutor(2) as pool:
        drivers = [pool.submit(run.generate, workers=1) for _ in range(2)]
        assert [driver.result().committed for driver in drivers] == [22, 22]
    assert hashes(run.address) == undisturbed


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["deadly", "poison"])
def test_a_poison_sample(run: FarRun, undisturbed: Hashes, kind: str) -> None:
    summary = run.generate(functools.partial(StandinTeacher, **{kind: frozenset({10})}))
    assert (summary.committed, summary.quarantined) == (21, 1)
    made = hashes(run.address)
    assert layout.quarantine_key(10) in made
    for shard in (0, 2):
        assert made[layout.shard_key(shard)] == undisturbed[layout.shard_key(shard)]


@pytest.mark.faults
def test_a_bad_network(
    local_ray: None, swift: SwiftServer, proxy: FaultyProxy, bucket: str, undisturbed: Hashes
) -> None:
    """Every kind of fault, on the way to the store and back."""
    run = FarRun(f"s3://{bucket}/ink", swift.environment(proxy.url))
    refusals = [Fault.UNAVAILABLE, Fault.SLOW_DOWN, Fault.INTERNAL, Fault.RESET, Fault.LOST]
    for number, fault in enumerate([*refusals, Fault.CONFLICT, Fault.FLIPPED_UPLOAD]):
        # Every third request: more faults in a row are a store that fails for good.
        proxy.rules.append(Rule(fault, "PUT", "/ink/", skip=2 * number))
    for number, fault in enumerate([*refusals, Fault.TRUNCATED]):
        proxy.rules.append(Rule(fault, "GET", skip=2 * number))
    # Objects, not listings: those are XML that names can be made up in.
    proxy.rules.append(Rule(Fault.FLIPPED, "GET", r"/index/.*\.parquet", skip=1))
    proxy.rules.append(Rule(Fault.FLIPPED, "GET", r"/shards/.*\.tar", skip=1))
    proxy.rules.append(Rule(Fault.RESET, "HEAD"))
    assert run.generate().committed == 22
    assert {fault for _, _, fault in proxy.seen if fault} == {rule.fault for rule in proxy.rules}
    assert all(rule.hits > rule.skip for rule in proxy.rules)
    proxy.rules = []
    assert hashes(run.address) == undisturbed


@pytest.mark.faults
@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.EXPIRED, Fault.RESET])
def test_a_store_that_fails_for_good(
    local_ray: None,
    swift: SwiftServer,
    proxy: FaultyProxy,
    bucket: str,
    undisturbed: Hashes,
    fault: Fault,
) -> None:
    run = FarRun(f"s3://{bucket}/ink", swift.environment(proxy.url))
    # The first shard gets through.
    proxy.rules = [Rule(fault, "PUT", r"/shards/", times=float("inf"), skip=1)]
    with pytest.raises(StorageError, match=r"cannot write s3://.*shards/0000") as caught:
        run.generate(workers=1)
    assert "local-development" not in str(caught.value)
    proxy.rules = []
    # A tar that is there is used again, whether its commit record followed or not.
    there = open_store(run.address).keys(layout.SHARDS)
    assert len(there) <= 1 and layout.MANIFEST not in hashes(run.address)
    assert run.generate().shards_made == 3 - len(there)
    assert hashes(run.address) == undisturbed


@pytest.mark.faults
def test_the_server_is_killed_and_comes_back(
    local_ray: None, mortal_swift: SwiftServer, undisturbed: Hashes
) -> None:
    run = FarRun("s3://bucket/ink", mortal_swift.environment())
    down = threading.Event()

    def restart() -> None:
        if not down.is_set():
            down.set()
            mortal_swift.kill()
            mortal_swift.start()

    run.on_shard = restart
    slow = functools.partial(StandinTeacher, delay_s=0.1)
    try:
        run.generate(slow)
    except StorageError:
        # It came back too late for a worker's patience; what was acknowledged is not made again.
        kept = run.committed()
        assert kept and run.generate(slow).shards_made <= 3 - len(kept)
    # By name: what was written as the server died may never be listed, though it is there.
    assert down.is_set() and hashes(run.address, undisturbed) == undisturbed
    assert set(open_store(run.address).keys("")) <= undisturbed.keys()


@pytest.mark.faults
def test_the_servers_disk_is_full(
    local_ray: None, mortal_swift: SwiftServer, undisturbed: Hashes
) -> None:
    run = FarRun("s3://bucket/ink", mortal_swift.environment())

    def fill() -> None:
        if not run.committed()[1:]:
            mortal_swift.stop()
            mortal_swift.start(reserve="100%")

    run.on_shard = fill
    with pytest.raises(StorageError, match="cannot write s3://bucket/ink/.*no space left"):
        run.generate(functools.partial(StandinTeacher, delay_s=0.1), workers=1)
    # Only names: a disk that is full, this server does not read either for a minute.
    assert len(run.committed()) == 1
    assert layout.MANIFEST not in open_store(run.address).keys("")
    mortal_swift.stop()
    mortal_swift.start()
    run.on_shard = lambda: None
    assert run.generate().shards_made == 2
    assert hashes(run.address) == undisturbed
