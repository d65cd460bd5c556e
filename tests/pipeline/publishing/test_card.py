"""The card: what people and the hub read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.dataset import layout
from pipeline.publishing.finish import complete
from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.export import export
from pipeline.storage.address import open_store
from pipeline.storage.store import Store
from tests.standins.published_blobs import publish_shards, write_dataset
from tests.standins.standin_teacher import make_plan


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(write_dataset(tmp_path_factory.mktemp("card") / "dataset"))


def test_front_matter_of_the_card(store: Store) -> None:
    _, front, text = store.read(layout.CARD).decode().split("---\n", 2)
    matter = yaml.safe_load(front)
    assert matter["configs"][0]["data_files"] == [{"split": "train", "path": "shards/*.tar"}]
    assert matter["size_categories"] == ["n<1K"] and "sketch" in matter["tags"]
    assert text.startswith("\n# blobs") and "| committed | 22 |" in text
    assert "shards/{00000..00002}.tar" in text and "`noise_seed`" in text


def test_a_licence_reaches_manifest_card_and_export(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "dataset"))
    plan = make_plan(dataset={"license": "cc-by-4.0"})
    publish_shards(store, plan)
    complete(store, plan)
    dataset = PublishedDataset.open(store.url, None)
    export(dataset, tmp_path / "export", "huggingface", lambda *_, **__: None)
    assert dataset.manifest.license == "cc-by-4.0"
    # Its columns are explained there.
    carried = (tmp_path / "export" / "DATASET.md").read_bytes()
    assert carried == store.read(layout.CARD)
    for card in (store.read(layout.CARD), (tmp_path / "export" / layout.CARD).read_bytes()):
        _, front, text = card.decode().split("---\n", 2)
        assert yaml.safe_load(front)["license"] == "cc-by-4.0"
        assert "their licence as `cc-by-4.0`" in text


def test_without_one_nothing_is_stated(store: Store) -> None:
    _, front, text = store.read(layout.CARD).decode().split("---\n", 2)
    assert "license" not in yaml.safe_load(front) and "depends on the licences" in text
