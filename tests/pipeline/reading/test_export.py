"""Exports: the same pictures and metadata, filtered, in what other tools open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.dataset import layout
from pipeline.dataset.manifest import ManifestError
from pipeline.reading.dataset import PublishedDataset, RefusedError
from pipeline.reading.export import export
from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_dataset(tmp_path_factory.mktemp("sound") / "dataset"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")


def quiet(*_: object, **__: object) -> None:
    pass


def write(dataset: Path, folder: Path, form: str = "imagefolder", where: str = "") -> int:
    return export(PublishedDataset.open(str(dataset), None, where), folder, form, quiet)


def test_imagefolder_gives_the_same_pictures(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    assert write(sound, folder) == 22
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    (pair,) = StandinTeacher().pairs([make_plan().spec(13)])
    row = lines[13]
    assert (row["index"], row["file_name"]) == (13, "images/000000013.webp")
    np.testing.assert_array_equal(np.asarray(Image.open(folder / row["file_name"])), pair.image)
    sketch = np.asarray(Image.open(folder / row["sketch_file_name"]))
    np.testing.assert_array_equal(sketch, pair.sketch)
    assert len(list(folder.glob("images/*"))) == len(list(folder.glob("sketches/*"))) == 22
    with pytest.raises(ValueError, match="not empty"):
        write(sound, folder)


@pytest.mark.parametrize("form", ["imagefolder", "huggingface"])
def test_hugging_face_opens_image_sketch_and_columns(
    sound: Path, tmp_path: Path, offline: None, form: str
) -> None:
    from datasets import load_dataset

    assert write(sound, tmp_path / "export", form, "cdst_step >= 3 and cdst_step < 20") == 17
    cache = str(tmp_path / "cache")
    rows = load_dataset(str(tmp_path / "export"), split="train", cache_dir=cache)
    assert rows["cdst_step"][:] == list(range(3, 20))
    (pair,) = StandinTeacher().pairs([make_plan().spec(13)])
    row = rows[10]
    np.testing.assert_array_equal(np.asarray(row["image"]), pair.image)
    np.testing.assert_array_equal(np.asarray(row["sketch"]), pair.sketch)
    assert row["key"] == "000000013" and row["alpha"] == pair.columns["alpha"]


def test_a_dataset_is_not_exported_into_itself(sound: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside the dataset"):
        write(sound, sound / "loose")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file or not empty"):
        write(sound, tmp_path / "file")


def test_no_such_form(sound: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown export form 'zip': expected imagefolder or"):
        write(sound, tmp_path / "export", "zip")
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("form", ["imagefolder", "huggingface"])
def test_what_is_not_proven_is_refused(sound: Path, tmp_path: Path, form: str) -> None:
    broken = Path(shutil.copytree(sound, tmp_path / "dataset"))
    name = broken / layout.shard_key(1)
    name.write_bytes(name.read_bytes()[:-10240])
    with pytest.raises(RefusedError, match=r"shards/00001\.tar: expected"):
        write(broken, tmp_path / "export", form)
    assert not (tmp_path / "export").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
    assert write(sound, tmp_path / "export", form) == 22
    (broken / layout.MANIFEST).unlink()
    with pytest.raises(ManifestError):
        write(broken, tmp_path / "other", form)
