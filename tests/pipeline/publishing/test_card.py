"""The card: what people and the hub read."""

from __future__ import annotations

import pytest
import yaml

from pipeline.dataset import layout
from pipeline.storage.address import open_store
from pipeline.storage.store import Store
from tests.standins.published_blobs import write_dataset


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
