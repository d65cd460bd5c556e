"""Distillation on Ray gives what the plain loop gives, whatever happens to its ranks."""

from __future__ import annotations

import json
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pipeline.reading.dataset import RefusedError
from pipeline.recipe.recipe import Distill
from pipeline.recipe.workers import worker_range
from pipeline.storage.bundle import read_bundle
from pipeline.storage.local import LocalStore
from pipeline.storage.node_cache import NodeCache
from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan
from tests.standins.tiny_encoders import write_perceptual
from training.distillation.loop import distill
from training.distillation.ray_train import distill_on_ray, fitting_workers, portable
from training.distillation.spec import DistillationSpec, Execution
from training.keeper import StoreKeeper

EXECUTION = Execution(record_every=3, checkpoint_every_s=0, threads=1)
SMALL_FILE_BYTES = 100_000


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> DistillationSpec:
    """12 pairs in batches of 4, 8 epochs and the true pair every 4th time: 32 iterations."""
    folder = tmp_path_factory.mktemp("spec")
    (example,) = StandinTeacher().pairs([make_plan(seed=99).spec(0)])
    settings = Distill(preset="small", epochs=8, batch=4, true_pair_every=4, workers=1)
    return DistillationSpec(
        settings,
        (write_dataset(folder / "dataset", 12),),
        example.image,
        example.sketch,
        str(write_perceptual(folder / "features")),
    )


def with_workers(spec: DistillationSpec, workers: int) -> DistillationSpec:
    return replace(spec, distill=spec.distill.model_copy(update={"workers": workers}))


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_weights(folder: Path, other: Path) -> None:
    ours, theirs = weights_of(folder), weights_of(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


class Events(list):
    def __call__(self, name: str, **fields: Any) -> None:
        self.append((name, fields))


class Killer(Events):
    """Kills a rank for good, once, when it has trained for a while."""

    def __init__(self, rank: int, after: int) -> None:
        super().__init__()
        self.rank, self.after, self.victim = rank, after, None

    def __call__(self, name: str, **fields: Any) -> None:
        super().__call__(name, **fields)
        if name == "distill.iteration" and fields["done"] >= self.after and self.victim is None:
            self.victim = next(
                f["pid"] for n, f in self if n == "distill.rank" and f["rank"] == self.rank
            )
            os.kill(self.victim, signal.SIGKILL)


class Stopper(Events):
    """Presses Ctrl-C, once, when the training has gone on for a while."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after, self.pressed = after, False

    def __call__(self, name: str, **fields: Any) -> None:
        super().__call__(name, **fields)
        if name == "distill.iteration" and fields["done"] >= self.after and not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def two_ranks(
    spec: DistillationSpec, local_ray: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("two")
    distill_on_ray(with_workers(spec, 2), folder, EXECUTION, Events())
    return folder


@pytest.mark.ray
def test_one_rank_gives_the_weights_of_the_plain_loop(
    spec: DistillationSpec, local_ray: None, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    distill(spec, tmp_path / "plain", EXECUTION, Events())
    torch.set_num_threads(threads)
    events = Events()
    distill_on_ray(spec, tmp_path / "ray", EXECUTION, events)
    assert_same_weights(tmp_path / "ray", tmp_path / "plain")
    dones = [fields["done"] for name, fields in events if name == "distill.iteration"]
    assert dones == sorted(dones) and dones[-1] == 32
    assert sorted(p.name for p in (tmp_path / "ray").iterdir()) == [
        "config.json",
        "history.jsonl",
        "metrics.jsonl",
        "model.safetensors",
        "strip.png",
    ]


@pytest.mark.ray
def test_two_ranks_share_the_batches_of_one(
    spec: DistillationSpec, two_ranks: Path, tmp_path: Path
) -> None:
    """Losses agree up to rounding, which training amplifies from iteration to iteration."""
    distill(spec, tmp_path, EXECUTION, Events())
    one, two = (
        [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        for folder in (tmp_path, two_ranks)
    )
    assert len(one) == len(two) == 32
    for name in ("generator.adversarial", "generator.perceptual", "discriminators.fake"):
        assert two[0][name] == pytest.approx(one[0][name], rel=1e-4)
        assert two[1][name] == pytest.approx(one[1][name], rel=1e-2)
        assert two[-1][name] == pytest.approx(one[-1][name], rel=0.2)


@pytest.mark.ray
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_changes_nothing(
    spec: DistillationSpec, two_ranks: Path, tmp_path: Path, rank: int
) -> None:
    killer = Killer(rank, after=6)
    distill_on_ray(with_workers(spec, 2), tmp_path, EXECUTION, killer)
    assert killer.victim is not None
    assert any(name == "distill.resumed" for name, _ in killer)
    assert_same_weights(tmp_path, two_ranks)
    assert (tmp_path / "history.jsonl").read_bytes() == (two_ranks / "history.jsonl").read_bytes()


@pytest.mark.ray
def test_ctrl_c_saves_and_the_next_run_goes_on(
    spec: DistillationSpec, two_ranks: Path, tmp_path: Path
) -> None:
    execution = replace(EXECUTION, checkpoint_every_s=3600.0)
    stopper = Stopper(after=3)
    with pytest.raises(KeyboardInterrupt):
        distill_on_ray(with_workers(spec, 2), tmp_path, execution, stopper)
    (stopped,) = [fields for name, fields in stopper if name == "distill.stopped"]
    assert stopped["kept"] >= 3 and not (tmp_path / "config.json").exists()
    events = Events()
    distill_on_ray(with_workers(spec, 2), tmp_path, execution, events)
    resumed = [fields["iteration"] for name, fields in events if name == "distill.resumed"]
    assert resumed == [stopped["kept"]]
    assert_same_weights(tmp_path, two_ranks)
    assert (tmp_path / "history.jsonl").read_bytes() == (two_ranks / "history.jsonl").read_bytes()


@pytest.mark.ray
def test_a_refusal_in_a_rank_reaches_the_person(
    spec: DistillationSpec, local_ray: None, tmp_path: Path
) -> None:
    dataset = Path(write_dataset(tmp_path / "dataset", 12))
    shard = dataset / "shards/00001.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(RefusedError, match=r"shards/00001\.tar: its SHA-256"):
        distill_on_ray(
            replace(spec, datasets=(str(dataset),)), tmp_path / "run", EXECUTION, Events()
        )
    assert not (tmp_path / "run/config.json").exists()


@pytest.mark.ray
def test_mistakes_are_found_before_ranks_start(
    spec: DistillationSpec, local_ray: None, tmp_path: Path
) -> None:
    events = Events()
    nothing = replace(spec, distill=spec.distill.model_copy(update={"where": "blankness > 9"}))
    with pytest.raises(ValueError, match="matches none of the 12 pairs"):
        distill_on_ray(nothing, tmp_path, EXECUTION, events)
    assert [name for name, _ in events] == ["distill.workers"]


@pytest.mark.parametrize(
    ("asked", "capacity", "nodes", "used"),
    [
        ("2", 8, 1, "2"),
        ("2", 1, 1, "1"),
        ("8", 3, 1, "3"),
        ("4", 0, 1, "4"),
        ("4", 1, 3, "4"),
        ("2..8", 3, 1, "2..3"),
        ("2..8", 1, 1, "1"),
        ("2..8", 3, 2, "2..8"),
    ],
)
def test_ranks_fit_a_single_machine(asked: str, capacity: int, nodes: int, used: str) -> None:
    assert str(fitting_workers(worker_range(asked), capacity, nodes)) == used


def test_locations_hold_in_another_working_directory(
    spec: DistillationSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "features").mkdir()
    (tmp_path / "w.pth").touch()
    near = replace(spec, datasets=("data",), features="features")
    sent, execution = portable(near, replace(EXECUTION, cache=NodeCache(Path("kept"))))
    assert (
        sent.datasets == (str(tmp_path / "data"),) and execution.cache.folder == tmp_path / "kept"
    )
    assert sent.features == str(tmp_path / "features")
    assert portable(replace(near, features="vgg19:w.pth"), EXECUTION)[0].features == (
        f"vgg19:{tmp_path / 'w.pth'}"
    )
    far = replace(near, datasets=("s3://bucket/blobs",), features="vgg19")
    sent, _ = portable(far, EXECUTION)
    assert (sent.datasets, sent.features) == (("s3://bucket/blobs",), "vgg19")


@pytest.mark.ray
def test_ranks_that_share_no_folder_resume_from_the_store(
    spec: DistillationSpec, two_ranks: Path, local_ray: None, tmp_path: Path
) -> None:
    """A rank is killed; what the restarted ones load comes through the store alone."""
    store, cache = LocalStore(tmp_path / "store"), NodeCache(tmp_path / "cache")
    execution = replace(EXECUTION, cache=cache)
    events = Killer(rank=1, after=12)
    nowhere = tmp_path / "nowhere"
    keeper = StoreKeeper(store, "extractor", cache)
    distill_on_ray(with_workers(spec, 2), nowhere, execution, events, keeper=keeper)
    assert events.victim is not None and not nowhere.exists()
    resumed = [fields["iteration"] for name, fields in events if name == "distill.resumed"]
    assert resumed and 0 < resumed[0] <= 12
    bundle = read_bundle(store, "extractor")
    assert bundle is not None and store.keys("checkpoints/") == []
    found = cache.fetch(store, "extractor")
    assert_same_weights(found, two_ranks)
    assert (found / "history.jsonl").read_bytes() == (two_ranks / "history.jsonl").read_bytes()
    assert [p.name for p in (tmp_path / "cache/work").iterdir() if p.is_dir()] == []


class FillsTheDisk(str):
    """A text whose arrival in a process makes its disk take no file beyond some kilobytes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _with_small_files, (str(self),)


def _with_small_files(text: str) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_FILE_BYTES, resource.RLIM_INFINITY))
    return text


@pytest.mark.ray
def test_a_full_disk_ends_the_training_once_and_is_named(
    spec: DistillationSpec, local_ray: None, tmp_path: Path
) -> None:
    events = Events()
    full = replace(spec, provenance={"style": FillsTheDisk("blobs")})
    with pytest.raises(OSError, match=r"File too large") as caught:
        distill_on_ray(full, tmp_path, replace(EXECUTION, checkpoint_every_s=1e9), events)
    assert str(caught.value.filename).startswith(str(tmp_path))
    # Ray has started ranks again, but none of them has trained.
    assert [fields["rank"] for name, fields in events if name == "distill.rank"] == [0]
    assert not (tmp_path / "config.json").exists()
