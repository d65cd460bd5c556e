"""Checkpoints in a store: whole, the latest first, and gone when the training is finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.storage.bundle import read_bundle
from pipeline.storage.local import LocalStore
from pipeline.storage.node_cache import NodeCache
from training.checkpoint import HISTORY, Checkpoint, read_checkpoint, write_checkpoint
from training.keeper import FolderKeeper, StoreKeeper

IDENTITY = {"format": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def make_keeper(tmp_path: Path, **options: Any) -> StoreKeeper:
    cache = NodeCache(tmp_path / "cache")
    return StoreKeeper(LocalStore(tmp_path / "store"), "teacher", cache, **options)


def write(folder: Path, iteration: int) -> None:
    checkpoint = Checkpoint(iteration, {"weights": torch.full((4,), float(iteration))})
    write_checkpoint(folder, checkpoint, IDENTITY)
    (folder / HISTORY).write_text("{}\n" * iteration)


def test_another_machine_goes_on_from_the_latest(folder: Path, tmp_path: Path) -> None:
    keeper = make_keeper(tmp_path)
    assert keeper.latest() == ""
    for iteration in (3, 6, 9, 12):
        write(folder, iteration)
        keeper.keep(folder, iteration, wait=True)
    write(folder, 15)  # never kept
    other = tmp_path / "other"
    other.mkdir()
    resumed = make_keeper(tmp_path)
    resumed.restore(resumed.latest(), other)
    found = read_checkpoint(other, IDENTITY)
    assert found is not None and found.iteration == 12
    assert (other / HISTORY).read_text() == "{}\n" * 12
    kept = {key.split("/")[2][:9] for key in keeper.store.keys("checkpoints/")}
    assert kept == {"000000009", "000000012"}


def test_half_a_checkpoint_is_none(folder: Path, tmp_path: Path) -> None:
    keeper = make_keeper(tmp_path)
    keeper.store.create("checkpoints/teacher/000000007-0123abcd/checkpoint.safetensors", b"half")
    assert keeper.latest() == ""


def test_a_finished_training_is_a_bundle_without_checkpoints(folder: Path, tmp_path: Path) -> None:
    keeper = make_keeper(tmp_path)
    write(folder, 3)
    keeper.keep(folder, 3)
    keeper.finish(folder)
    assert read_bundle(keeper.store, "teacher") is not None
    assert keeper.store.keys("checkpoints/") == []


def test_a_checkpoint_that_cannot_be_kept_is_told_and_training_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    keeper = make_keeper(tmp_path, on_event=lambda name, **fields: told.append((name, fields)))
    (tmp_path / "store").write_text("a file where the store should be")
    write(folder, 3)
    keeper.keep(folder, 3, wait=True)
    assert [name for name, _ in told] == ["checkpoint.not_kept"]
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_a_folder_keeps_what_it_has(folder: Path) -> None:
    keeper = FolderKeeper()
    write(folder, 3)
    keeper.keep(folder, 3)
    keeper.restore(keeper.latest(), folder)
    keeper.finish(folder)
    assert read_checkpoint(folder, IDENTITY) is not None
