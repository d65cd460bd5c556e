"""docs/dataset-format.md: its examples run, and it names every key and column that there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.dataset import commit, layout, manifest, plan, quarantine
from pipeline.dataset.encode import encode_pair
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.publishing.finish import complete
from pipeline.publishing.publish import publish
from pipeline.recipe.recipe import Sampling
from pipeline.storage.address import open_store
from pipeline.storage.probe import PROBES
from pipeline.systems.conditions import Conditions, SampledConditions
from tests.standins.standin_teacher import StandinTeacher, make_plan
from tests.standins.tiny_encoders import write_clip
from tests.tools.documents import DOCS, first_cells
from training.encoders.clip import load_clip
from training.evaluation.agreement import ClipAgreement

FORMAT_PAGE = DOCS / "dataset-format.md"
# What lies in a record under these keys is free: the page does not list it.
FREE_KEYS = {"recipe", "fingerprints", "versions"}
SAMPLES, SHARD_SIZE, LOST = 22, 8, 9
# Columns of an index that are not in the samples' JSON, `key` apart.
NUM_PLACES = 11


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished dataset that lost a sample."""
    folder = tmp_path_factory.mktemp("format") / "dataset"
    store, teacher = open_store(str(folder)), StandinTeacher()
    fixed = plan.write_or_check(store, make_plan(SAMPLES, SHARD_SIZE))
    lost = quarantine.Quarantine(
        index=LOST, shard=LOST // SHARD_SIZE, attempts=3, reason="ValueError: not finite"
    )
    quarantine.write_quarantine(store, lost)
    for shard in range(fixed.num_shards):
        specs = [fixed.spec(index) for index in fixed.indices(shard) if index != LOST]
        publish(store, fixed, shard, [encode_pair(pair) for pair in teacher.pairs(specs)])
    complete(store, fixed)
    return folder


def keys_of(record: Any, prefix: str = "") -> Iterator[str]:
    """Name every key of a record as the page does: `counts.planned`, `shards[].tar.name`."""
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and key not in FREE_KEYS:
            yield from keys_of(value, f"{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from keys_of(value[0], f"{name}[].")
        else:
            yield name


def documented(section: str) -> list[str]:
    """Return the keys that a section's tables name."""
    return [cell.strip("`") for cell in first_cells(FORMAT_PAGE, section)]


@pytest.mark.parametrize(
    ("section", "name", "form"),
    [
        ("plan.json", layout.PLAN, plan.FORMAT),
        ("commits/NNNNN.json", layout.commit_key(1), commit.FORMAT),
        ("quarantine/KEY.json", layout.quarantine_key(LOST), quarantine.FORMAT),
        ("manifest.json", layout.MANIFEST, manifest.FORMAT),
    ],
)
def test_the_page_names_every_key_of_a_record(
    dataset: Path, section: str, name: str, form: str
) -> None:
    record = json.loads((dataset / name).read_text(encoding="utf-8"))
    assert sorted(documented(section)) == sorted(keys_of(record))
    assert record["format"] == form
    assert f"`{form}`" in page()


def test_the_page_names_every_column_of_an_index(dataset: Path) -> None:
    places = documented("index/NNNNN.parquet")
    columns = pq.read_schema(dataset / layout.index_key(0)).names
    assert places == columns[:NUM_PLACES]
    assert set(columns[NUM_PLACES:]) < set(documented_metadata())


def test_the_page_names_every_key_of_dataset_teacher_and_scorer(tmp_path: Path) -> None:
    (pair,) = StandinTeacher().pairs([make_plan().spec(0)])
    own = json.loads(encode_pair(replace(pair, columns={})).metadata)
    embeddings = torch.rand(3, 2, 4, generator=torch.Generator().manual_seed(0))
    conditions = Conditions(embeddings[0], Sampling(), cdst=True, backbone={})
    sampled = SampledConditions(conditions, ConditionPrior.fit(embeddings))
    scorer = ClipAgreement(load_clip(write_clip(tmp_path)), pair.image, pair.sketch)
    (scored,) = scorer.score(pair.image[None], pair.sketch[None])
    keys = [*own, *sampled.columns(make_plan().spec(0)), *scored]
    assert sorted(documented_metadata()) == sorted(keys)


def documented_metadata() -> list[str]:
    """Return the keys of KEY.json that the page names."""
    return documented("shards/NNNNN.tar")[len(layout.SUFFIXES) :]


def test_the_page_names_every_member_of_a_shard() -> None:
    members = [f"KEY.{suffix}" for suffix in layout.SUFFIXES]
    assert documented("shards/NNNNN.tar")[: len(members)] == members


def test_the_page_shows_every_name_in_the_root(dataset: Path) -> None:
    shown = page().split("\n## ")[0]
    names = {path.name + "/" * path.is_dir() for path in dataset.iterdir()}
    names |= {layout.WORKERS, PROBES}
    assert sorted(name for name in names if name not in shown) == []


def page() -> str:
    return FORMAT_PAGE.read_text(encoding="utf-8")


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page(), re.M | re.S)


def run_example(number: int) -> dict[str, Any]:
    """Run an example of the page in the working directory; return the names that it leaves."""
    names: dict[str, Any] = {}
    exec(examples()[number], names)
    return names


@pytest.fixture
def in_dataset(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dataset, as the working directory."""
    monkeypatch.chdir(dataset)
    return dataset


def made(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return image and sketch of a sample as the stand-in made them."""
    (pair,) = StandinTeacher().pairs([make_plan(SAMPLES, SHARD_SIZE).spec(index)])
    return pair.image, pair.sketch


def test_the_example_of_hashes_runs(in_dataset: Path) -> None:
    assert len(examples()) == 5
    assert run_example(0)["manifest"]["counts"] == {
        "planned": SAMPLES, "committed": SAMPLES - 1, "quarantined": 1,
        "size": sum(path.stat().st_size for path in in_dataset.glob("shards/*.tar")),
    }  # fmt: skip


def test_the_example_of_a_ranged_read_runs(in_dataset: Path) -> None:
    pair, (image, sketch) = run_example(1)["pair"], made(3)
    np.testing.assert_array_equal(pair["image"], image)
    np.testing.assert_array_equal(pair["sketch"], sketch)


def test_the_example_of_choosing_runs(in_dataset: Path) -> None:
    chosen = run_example(2)["chosen"]
    assert len(chosen) == SAMPLES - 1 and chosen.column_names == ["key", "shard", "ink_coverage"]


def test_the_example_of_webdataset_runs(in_dataset: Path) -> None:
    names, (image, sketch) = run_example(3), made(SAMPLES - 1)
    np.testing.assert_array_equal(np.asarray(names["image"]), image)
    np.testing.assert_array_equal(np.asarray(names["sketch"]), sketch)
    assert names["metadata"]["index"] == SAMPLES - 1


def test_the_example_of_hugging_face_runs(
    in_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    pairs = run_example(4)["pairs"]
    assert len(pairs) == SAMPLES - 1
    np.testing.assert_array_equal(np.asarray(pairs[-1]["sketch.png"]), made(SAMPLES - 1)[1])
