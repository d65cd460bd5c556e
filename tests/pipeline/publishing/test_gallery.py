"""The gallery: a self-contained page of pairs from the whole dataset."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.dataset import layout
from pipeline.dataset.accounting import read_account
from pipeline.dataset.manifest import read_manifest
from pipeline.dataset.plan import read_plan
from pipeline.publishing.gallery import choose_pairs, write_gallery
from pipeline.storage.address import open_store
from pipeline.storage.store import Store
from tests.standins.published_blobs import write_dataset


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(write_dataset(tmp_path_factory.mktemp("card") / "dataset"))


def test_the_gallery_needs_no_other_file(store: Store) -> None:
    class Page(HTMLParser):
        sources: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    page = Page()
    page.feed(store.read(layout.GALLERY).decode())
    assert len(page.sources) == 44
    assert all(source.startswith("data:image/webp;base64,") for source in page.sources)


def test_pairs_lie_evenly_over_the_dataset(store: Store) -> None:
    commits = read_account(store, read_plan(store)).commits
    assert [pair.row["index"] for pair in choose_pairs(store, commits, 4)] == [0, 7, 14, 21]
    assert [pair.row["index"] for pair in choose_pairs(store, commits, 99)] == list(range(22))
    assert choose_pairs(store, [], 4) == []


def test_captions_leave_out_what_machines_need(store: Store) -> None:
    commits = read_account(store, read_plan(store)).commits
    names = [name for name, _ in choose_pairs(store, commits, 1)[0].metadata]
    assert "ink coverage" in names and "alpha" in names
    assert not [name for name in names if re.search("offset|sha|size|seed|hash", name)]


def test_names_cannot_smuggle_html(tmp_path: Path) -> None:
    store = open_store(write_dataset(tmp_path / "dataset", samples=2))
    manifest = read_manifest(store).model_copy(update={"style": "<script>x</script>"})
    assert b"<script>" not in write_gallery(manifest, [])
