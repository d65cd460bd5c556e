"""Repair: take away what verification faults, so that generation makes just that again."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.dataset import layout
from pipeline.storage.store import Store
from pipeline.upkeep.verify import Finding


def names_to_remove(findings: Iterable[Finding]) -> list[str]:
    """Choose the names that faults make worthless, in the order in which they must go.

    A shard's index and commit are made again from its tar where that is sound. What was published
    last goes first, the manifest before all: after a crash the rest is an unfinished dataset, which
    both repair and generation go on with.
    """
    faults = [finding for finding in findings if finding.is_fault]
    if not faults:
        return []
    tars, indices, commits = set(), set(), set()
    for fault in faults:
        folder, _, file = fault.name.partition("/")
        shard = file.split(".")[0]
        if f"{folder}/" == layout.SHARDS:
            tars.add(int(shard))
        elif f"{folder}/" == layout.INDEX:
            indices.add(int(shard))
        elif f"{folder}/" == layout.COMMITS:
            commits.add(int(shard))
    indices |= tars
    commits |= indices
    return [
        layout.MANIFEST,
        *(layout.commit_key(shard) for shard in sorted(commits)),
        *(layout.index_key(shard) for shard in sorted(indices)),
        *(layout.shard_key(shard) for shard in sorted(tars)),
    ]


def remove_faulty(store: Store, findings: Iterable[Finding]) -> list[str]:
    """Remove what verification faults; return the names, of which some were missing already.

    Raises:
        StorageError: the store refuses.
    """
    names = names_to_remove(findings)
    for name in names:
        store.delete(name)
    return names
