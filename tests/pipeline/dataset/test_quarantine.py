"""Quarantine records: one for each sample that is given up."""

from __future__ import annotations

from pathlib import Path

from pipeline.dataset import layout
from pipeline.dataset.quarantine import Quarantine, quarantined_samples, write_quarantine
from pipeline.storage.local import LocalStore


def test_the_first_record_of_a_sample_stays(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    first = Quarantine(index=9, shard=1, attempts=3, reason="crash")
    for record in (first, first.model_copy(update={"reason": "another driver's"})):
        write_quarantine(store, record)
    store.create("quarantine/notes.txt", b"mine")
    assert quarantined_samples(store) == {9}
    assert store.read(layout.quarantine_key(9)) == first.to_bytes()
