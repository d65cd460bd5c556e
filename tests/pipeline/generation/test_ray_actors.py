"""Generation on real Ray actors: any number of them, dying or not, gives the same bytes."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.plan import PlanMismatchError
from pipeline.dataset.quarantine import Quarantine
from pipeline.generation.scheduling import Policy
from pipeline.storage.address import open_store
from pipeline.storage.local import LocalStore
from pipeline.storage.store import StorageError
from tests.standins.killing_factory import POINTS, KillingFactory
from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan

pytestmark = pytest.mark.ray

Hashes = dict[str, str]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Hashes:
    """Hashes of the dataset as one process without Ray makes it."""
    return hashes(Path(write_dataset(tmp_path_factory.mktemp("undisturbed") / "dataset")))


def hashes(folder: Path) -> Hashes:
    store = LocalStore(folder)
    return {key: canonical.sha256(store.read(key)) for key in store.keys("")}


def generate_here(
    folder: Path,
    workers: int = 2,
    factory: Callable[[], StandinTeacher] = StandinTeacher,
    policy: Policy | None = None,
    **plan: int,
) -> tuple[Any, list[tuple[str, dict[str, object]]]]:
    from pipeline.generation.ray_actors import generate

    events: list[tuple[str, dict[str, object]]] = []
    summary = generate(
        make_plan(**plan),
        open_store(str(folder)),
        factory,
        workers,
        0.0,
        lambda name, **fields: events.append((name, fields)),
        policy,
    )
    return summary, events


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_bytes(
    local_ray: None, tmp_path: Path, undisturbed: Hashes, workers: int
) -> None:
    summary, events = generate_here(tmp_path / "dataset", workers)
    assert hashes(tmp_path / "dataset") == undisturbed
    assert (summary.planned, summary.committed, summary.shards_made) == (22, 22, 3)
    assert [fields["done"] for name, fields in events if name == "generate"][-1] == 22


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_step_changes_nothing(
    local_ray: None, tmp_path: Path, undisturbed: Hashes, point: str
) -> None:
    factory = KillingFactory(point, tmp_path / "marker")
    summary, _ = generate_here(tmp_path / "dataset", 2, factory)
    assert (tmp_path / "marker").exists() and summary.workers_lost == 1
    assert hashes(tmp_path / "dataset") == undisturbed


def test_a_finished_dataset_is_left_alone(
    local_ray: None, tmp_path: Path, undisturbed: Hashes
) -> None:
    write_dataset(tmp_path / "dataset")
    summary, _ = generate_here(tmp_path / "dataset")
    assert summary.shards_made == 0 and summary.committed == 22
    assert hashes(tmp_path / "dataset") == undisturbed


def test_two_drivers_at_once_give_one_dataset(
    local_ray: None, tmp_path: Path, undisturbed: Hashes
) -> None:
    with ThreadPoolExecutor(2) as pool:
        folder = tmp_path / "dataset"
        runs = [pool.submit(generate_here, folder, 1) for _ in range(2)]
        summaries = [run.result()[0] for run in runs]
    assert [summary.committed for summary in summaries] == [22, 22]
    assert hashes(folder) == undisturbed


@pytest.mark.parametrize("kind", ["deadly", "poison"])
def test_a_poison_sample_is_quarantined_alone(
    local_ray: None, tmp_path: Path, undisturbed: Hashes, kind: str
) -> None:
    factory = functools.partial(StandinTeacher, **{kind: frozenset({10})})
    summary, _ = generate_here(tmp_path / "dataset", 2, factory)
    assert (summary.committed, summary.quarantined) == (21, 1)
    store = LocalStore(tmp_path / "dataset")
    record = Quarantine.model_validate_json(store.read(layout.quarantine_key(10)))
    assert record.attempts == 3 and ("died" if kind == "deadly" else "sample 10") in record.reason
    made = hashes(tmp_path / "dataset")
    for shard in (0, 2):
        assert made[layout.shard_key(shard)] == undisturbed[layout.shard_key(shard)]
    assert made[layout.commit_key(1)] != undisturbed[layout.commit_key(1)]


def collected() -> dict[str, float]:
    """Ray's metrics of generation as Prometheus would collect them now, summed over their tags."""
    import ray

    node = ray.nodes()[0]
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    found: Counter[str] = Counter()
    for line in lines:
        if match := re.match(r"ray_onesketch_(\w+)\{[^}]*\} (\S+)", line):
            found[match[1]] += float(match[2])
    return found


def test_ray_s_metrics_tell_what_was_made(local_ray: None, tmp_path: Path) -> None:
    # What earlier tests counted must have arrived.
    time.sleep(3)
    before = Counter(collected())
    factory = functools.partial(StandinTeacher, poison=frozenset({10}))
    summary, _ = generate_here(tmp_path / "dataset", 2, factory)
    wanted = {
        "pairs_total": summary.pairs_made,
        "bytes_total": summary.bytes_made,
        "retries_total": summary.retries,
        "quarantined_total": 1,
        "shard_sampling_s_count": summary.shards_made,
    }
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        after = collected()
        if {name: after.get(name, 0) - before[name] for name in wanted} == wanted:
            break
        time.sleep(0.5)
    assert {name: after.get(name, 0) - before[name] for name in wanted} == wanted
    assert after["pairs_per_s"] > 0 and after["idle_share"] > 0


def test_another_plan_is_refused(local_ray: None, tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset")
    with pytest.raises(PlanMismatchError, match="seed: stored 7, now 8"):
        generate_here(tmp_path / "dataset", seed=8)


def test_a_teacher_of_another_plan_is_refused(local_ray: None, tmp_path: Path) -> None:
    factory = functools.partial(StandinTeacher, fingerprint={"standin": "f" * 64})
    with pytest.raises(PlanMismatchError, match="standin differ"):
        generate_here(tmp_path / "dataset", 1, factory)
    assert LocalStore(tmp_path / "dataset").keys("") == [layout.PLAN]


def test_a_store_that_cannot_be_written_to_fails_at_once(local_ray: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="found a file"):
        generate_here(tmp_path / "file" / "dataset")


SCRIPT = """
import functools, sys
import ray
from pipeline.generation.ray_actors import generate
from pipeline.storage.address import open_store
from tests.standins.standin_teacher import StandinTeacher, make_plan
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
factory = functools.partial(StandinTeacher, delay_s=float(sys.argv[2]))
generate(make_plan(), open_store(sys.argv[1]), factory, 1, 0.0,
         lambda name, **fields: print(name, fields, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_driver_that_is_stopped_is_resumed(
    local_ray: None, tmp_path: Path, undisturbed: Hashes, number: signal.Signals
) -> None:
    folder = tmp_path / "dataset"
    command = [sys.executable, "-c", SCRIPT, str(folder), "0.1"]
    # A session of its own: what Ray signals when this driver dies must not be this process.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        watch = threading.Timer(240, process.kill)
        watch.start()
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("generate {"))
        stopped_s = time.monotonic()
        process.send_signal(number)
        # Ray's own handler of SIGTERM, to which the signal goes on, exits with its number.
        assert process.wait() in (-number, number)
        watch.cancel()
    assert time.monotonic() - stopped_s < Policy().grace_s + 10
    committed = LocalStore(folder).keys(layout.COMMITS)
    assert committed and not (folder / layout.MANIFEST).exists()
    before = {key: os.stat(folder / key).st_mtime_ns for key in committed}
    summary, _ = generate_here(folder, 2)
    assert hashes(folder) == undisturbed
    assert {key: os.stat(folder / key).st_mtime_ns for key in committed} == before
    assert summary.shards_made <= 3 - len(committed)
