"""Quarantine records: each sample that is given up leaves its reason; none is lost silently."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from pipeline.dataset import layout
from pipeline.dataset.record import Record
from pipeline.storage.store import Store

FORMAT: Final = "onesketch-quarantine/1"
MAX_REASON_CHARS = 500


class Quarantine(Record):
    """A sample that failed `attempts` times when made alone, and the reason of the last failure."""

    format: Literal["onesketch-quarantine/1"] = FORMAT
    index: int
    shard: int
    attempts: int
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)]


def write_quarantine(store: Store, record: Quarantine) -> None:
    """Store a record, unless another driver has stored one for the same sample."""
    store.create(layout.quarantine_key(record.index), record.to_bytes())


def quarantined_samples(store: Store) -> frozenset[int]:
    """Return the indices of all samples with a quarantine record."""
    found = map(layout.quarantined_sample, store.keys(layout.QUARANTINE))
    return frozenset(index for index in found if index is not None)
