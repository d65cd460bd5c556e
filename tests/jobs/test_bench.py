"""Benchmarks run and tell what they found; their figures are nobody's test."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from jobs import bench
from jobs.bench import BENCHMARKS, EXTRA, run_bench
from jobs.benchmarks.measure import BenchmarkResult, BenchmarkScore, Effort, ratios, take_turns
from jobs.benchmarks.memory import growth
from jobs.benchmarks.scaling.fleets import (
    SimulatedJob,
    divisible_s,
    list_schedule_s,
    static_split_s,
)
from jobs.runtime.events import Events
from pipeline.generation.simulated_fleet import WorkerBehaviour

TINY = Effort(rounds=1, tiny=True)


@pytest.fixture
def events() -> Events:
    return Events(Console(file=io.StringIO()))


def test_each_side_has_its_turns_and_none_is_always_first() -> None:
    calls: list[str] = []
    ours, peer = take_turns(lambda: calls.append("o"), lambda: calls.append("p"), 3)
    assert len(ours) == len(peer) == 3 and min(ours + peer) > 0
    assert "".join(calls) == "op" + "op" + "po" + "op"
    assert ratios([6.0, 2.0], [3.0, 4.0]) == (2.0, 0.5)


@pytest.mark.parametrize(("at_least", "met"), [(True, False), (False, True)])
def test_the_median_decides(at_least: bool, met: bool) -> None:
    score = BenchmarkScore("x", (1.0, 9.0, 1.4), 1.5, at_least)
    assert score.median == 1.4 and score.met is met
    assert score.to_dict()["target"] == (">= 1.5" if at_least else "<= 1.5")


def test_list_scheduling_by_hand() -> None:
    # Two workers, three shards of 1, 2 and 3 times 10 s: 0 and 1 start at once, 2 follows 0.
    job = SimulatedJob(workers=2, shards=3)
    behaviour = WorkerBehaviour(10 / 128, 1.0, 0.5, effort={0: 1.0, 1: 2.0, 2: 3.0})
    assert list_schedule_s(job, behaviour) == pytest.approx(1 + 10 + 30 + 0.5)
    assert divisible_s(job, behaviour) == pytest.approx(1 + 60 / 2 + 0.5)
    slow = WorkerBehaviour(10 / 128, 1.0, 0.5, slowness={1: 3.0})
    assert static_split_s(job, slow) == pytest.approx(1 + 3 * 10 + 0.5)


def test_growth_compares_the_run_s_end_with_its_middle() -> None:
    assert growth([1.0, 50.0, 100.0, 100.0, 105.0, 110.0, 120.0, 120.0]) == 1.2
    with pytest.raises(ValueError, match="4 samples"):
        growth([1.0, 2.0])


@pytest.mark.parametrize("name", sorted(BENCHMARKS.keys() - {"worker"}))
def test_every_benchmark_runs(name: str, tmp_path: Path, events: Events) -> None:
    out, page = tmp_path / "found.json", tmp_path / "found.md"
    run_bench([name], TINY, events, out, page)
    found = json.loads(out.read_text())["results"][name]
    assert all(score["rounds"] and score["median"] >= 0 for score in found["scores"])
    assert found["machine"]["cores"] > 0 and found["versions"]["torch"]
    assert f"### {name}" in page.read_text() and found["peer"] in page.read_text()


@pytest.mark.ray
def test_the_dataset_of_the_scale_benchmark_is_whole(local_ray: None) -> None:
    found = {score.name: score.median for score in bench.measure_scale(TINY_SCALE).scores}
    whole = {name: value for name, value in found.items() if "memory" not in name}
    assert set(whole.values()) == {0} and len(whole) == 5


@pytest.mark.ray
def test_the_full_size_benchmark_tells_the_share_of_waiting(local_ray: None) -> None:
    measured = EXTRA["full-size"](TINY)
    (share,) = measured.scores
    assert 0 < share.median < 1 and measured.metadata["sampling_s_a_pair"] > 0


TINY_SCALE = Effort(rounds=1, tiny=True, pairs=96)


@pytest.mark.ray
@pytest.mark.slow
def test_the_worker_benchmark_runs(local_ray: None) -> None:
    found = BENCHMARKS["worker"](TINY)
    assert all(0 <= value < 10 for score in found.scores for value in score.values)


def test_the_extract_benchmark_runs() -> None:
    found = EXTRA["extract"](TINY)
    assert all(0 <= value for score in found.scores for value in score.values)
    assert found.metadata["parity_db"] > 40


def test_results_of_others_stay(
    tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "found.json"
    for name in ("read", "encode"):
        score = BenchmarkScore("s", (1.0,), 1.0, at_least=True)
        monkeypatch.setitem(BENCHMARKS, name, lambda _, s=score: BenchmarkResult("w", "p", (s,)))
        run_bench([name], TINY, events, out)
    # In the benchmarks' own order, whichever was measured first.
    assert list(json.loads(out.read_text())["results"]) == ["encode", "read"]


@pytest.mark.parametrize("name", ["read", "full-size"])
def test_a_place_that_is_not_empty_is_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match="expected nothing there, found mine.txt"):
        (BENCHMARKS | EXTRA)[name](Effort(rounds=1, tiny=True, far=str(tmp_path)))


def test_mistakes_are_named(tmp_path: Path, events: Events) -> None:
    with pytest.raises(ValueError, match="no benchmark 'wroker': expected some of worker"):
        run_bench(["wroker"], TINY, events)
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ValueError, match="other.json: expected what `bench --out` writes"):
        run_bench(["encode"], TINY, events, tmp_path / "other.json")
