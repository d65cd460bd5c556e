"""A run at an address: what one machine publishes another finds."""

from __future__ import annotations

import json
from pathlib import Path

from jobs.runtime.run_folder import RunFolder
from jobs.runtime.run_place import FolderPlace, StorePlace
from pipeline.storage.local import LocalStore
from pipeline.storage.node_cache import NodeCache
from training.keeper import FolderKeeper, StoreKeeper


def machine(tmp_path: Path, name: str) -> StorePlace:
    store, cache = LocalStore(tmp_path / "store"), NodeCache(tmp_path / name / "cache")
    return StorePlace(store, RunFolder(tmp_path / name / "run"), cache)


def test_parts_travel_through_the_store(tmp_path: Path) -> None:
    one, two = machine(tmp_path, "one"), machine(tmp_path, "two")
    one.fetch("source", "teacher")
    assert not one.folder.root.exists()
    one.folder.source.mkdir(parents=True)
    (one.folder.source / "image.png").write_bytes(b"picture")
    one.publish("source")
    two.fetch("source", "teacher")
    assert (two.folder.source / "image.png").read_bytes() == b"picture"
    assert not two.folder.teacher.exists()
    # Fetched only: there is nothing to publish.
    two.publish("source")
    assert isinstance(two.keeper("teacher"), StoreKeeper)


def test_records_of_all_commands_are_joined(tmp_path: Path) -> None:
    one, two = machine(tmp_path, "one"), machine(tmp_path, "two")
    one.send_events('{"event": "a"}\n')
    one.send_events('{"event": "b"}\n')
    one.add_generation({"pairs": 1})
    two.add_generation({"pairs": 2})
    two.send_events('{"event": "c"}\n')
    two.fetch_records()
    events = [json.loads(line)["event"] for line in two.folder.events.read_text().splitlines()]
    assert sorted(events) == ["a", "b", "c"] and events.index("a") < events.index("b")
    runs = json.loads(two.folder.generation.read_text())["runs"]
    assert sorted(run["pairs"] for run in runs) == [1, 2]


def test_a_page_replaces_the_one_before(tmp_path: Path) -> None:
    place = machine(tmp_path, "one")
    place.folder.root.mkdir(parents=True)
    for text in ("first", "second"):
        place.folder.report.write_text(text)
        assert place.publish_file(place.folder.report) == f"{place.store.url}/report.html"
    assert place.store.read("report.html") == b"second"


def test_a_folder_lists_runs_one_after_the_other(tmp_path: Path) -> None:
    place = FolderPlace(RunFolder(tmp_path))
    place.add_generation({"pairs": 1})
    place.add_generation({"pairs": 2})
    assert json.loads(place.folder.generation.read_text())["runs"] == [{"pairs": 1}, {"pairs": 2}]
    assert isinstance(place.keeper("teacher"), FolderKeeper)
