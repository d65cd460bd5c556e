"""The dataset opens unchanged with the tools that others have."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_dataset(tmp_path_factory.mktemp("elsewhere") / "dataset"))


def expected(index: int) -> tuple[np.ndarray, np.ndarray]:
    (pair,) = StandinTeacher().pairs([make_plan().spec(index)])
    return pair.image, pair.sketch


def test_plain_webdataset(dataset: Path) -> None:
    import webdataset

    urls = str(dataset / "shards" / "{00000..00002}.tar")
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in samples] == [f"{index:09d}" for index in range(22)]
    for index, sample in enumerate(samples):
        image, sketch = expected(index)
        np.testing.assert_array_equal(sample["image.webp"], image)
        np.testing.assert_array_equal(sample["sketch.png"][..., 0], sketch)
        assert sample["json"]["cdst_step"] == index


@pytest.mark.parametrize("way", ["files", "card"])
def test_hugging_face_datasets(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import load_dataset

    cache = str(tmp_path)
    if way == "files":
        files = {"train": str(dataset / "shards" / "*.tar")}
        rows = load_dataset("webdataset", data_files=files, split="train", cache_dir=cache)
    else:
        rows = load_dataset(str(dataset), split="train", cache_dir=cache)
    assert len(rows) == 22
    assert set(rows.column_names) >= {"__key__", "image.webp", "sketch.png", "json"}
    image, sketch = expected(21)
    np.testing.assert_array_equal(np.asarray(rows[21]["image.webp"]), image)
    np.testing.assert_array_equal(np.asarray(rows[21]["sketch.png"]), sketch)


def test_what_the_card_says_runs(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(dataset)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    blocks = re.findall(r"^```python\n(.*?)^```", Path("README.md").read_text(), re.M | re.S)
    by_webdataset: dict[str, Any] = {}
    by_hugging_face: dict[str, Any] = {}
    exec(blocks[0], by_webdataset)
    exec(blocks[1], by_hugging_face)
    image, sketch = expected(21)
    last = by_webdataset["pair"]
    np.testing.assert_array_equal(np.asarray(last["image.webp"]), image)
    np.testing.assert_array_equal(np.asarray(last["sketch.png"].convert("L")), sketch)
    assert len(by_hugging_face["pairs"]) == 22


def test_plain_tar_and_one_ranged_read(dataset: Path) -> None:
    row = pq.read_table(dataset / "index" / "00001.parquet").to_pylist()[3]
    with (dataset / "shards" / "00001.tar").open("rb") as file:
        file.seek(row["image_offset"])
        content = file.read(row["image_size"])
    with tarfile.open(dataset / "shards" / "00001.tar") as tar:
        member = tar.extractfile(f"{row['key']}.image.webp")
        assert member is not None and member.read() == content


@pytest.mark.ray
def test_ray_data(dataset: Path, local_ray: None) -> None:
    import ray

    rows = ray.data.read_webdataset(str(dataset / "shards")).take_all()
    rows.sort(key=lambda row: row["__key__"])
    assert [row["__key__"] for row in rows] == [f"{index:09d}" for index in range(22)]
    for index, row in enumerate(rows):
        image, sketch = expected(index)
        # Ray decodes PNG by itself and leaves WebP as it is stored.
        np.testing.assert_array_equal(Image.open(io.BytesIO(row["image.webp"])), image)
        np.testing.assert_array_equal(row["sketch.png"], sketch)
