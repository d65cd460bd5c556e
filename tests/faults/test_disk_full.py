"""A disk that is full on the worker's side: no final name, no commit, and a way to go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.storage.local import LocalStore
from pipeline.storage.store import StorageError
from tests.standins.full_disk_factory import FullDiskFactory
from tests.standins.published_blobs import hashes
from tests.standins.standin_teacher import StandinTeacher, make_plan

pytestmark = pytest.mark.ray


@pytest.mark.parametrize(
    "folder",
    [
        layout.SHARDS,
        pytest.param(layout.INDEX, marks=pytest.mark.faults),
        pytest.param(layout.COMMITS, marks=pytest.mark.faults),
    ],
)
def test_nothing_half_written(
    local_ray: None, tmp_path: Path, undisturbed: dict[str, str], folder: str
) -> None:
    from pipeline.generation.ray_actors import generate

    store = LocalStore(tmp_path / "dataset")

    def run(factory: object) -> object:
        # One worker: a second one would be killed while it writes, and leave that behind.
        return generate(make_plan(), store, factory, 1, 0.0, lambda *_, **__: None)  # type: ignore[arg-type]

    with pytest.raises(StorageError, match=r"no space left .*choose another dataset\.out"):
        run(FullDiskFactory(folder))
    assert store.keys(folder) == store.keys(layout.COMMITS) == store.leftovers() == []
    assert not store.exists(layout.MANIFEST)
    run(StandinTeacher)
    assert hashes(tmp_path / "dataset") == undisturbed
