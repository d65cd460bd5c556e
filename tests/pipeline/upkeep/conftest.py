"""Fixtures of the upkeep's tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.storage.local import LocalStore
from tests.standins.published_blobs import write_dataset


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset of 22 samples in 3 shards; not to be changed."""
    return Path(write_dataset(tmp_path_factory.mktemp("sound") / "dataset"))


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> LocalStore:
    """A copy of it to spoil."""
    shutil.copytree(sound, tmp_path / "dataset")
    return LocalStore(tmp_path / "dataset")
