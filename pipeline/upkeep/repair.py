"""Repair: remove what verification finds faulty, so that generation makes just that again."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.dataset import layout
from pipeline.storage.store import Store
from pipeline.upkeep.verify import Finding


def names_to_remove(findings: Iterable[Finding]) -> list[str]:
    """List the files that faults make useless, in the order in which they must be removed.

    Where a shard's tar is intact, its index and commit record are made again from it. What was
    published last is removed first, the manifest before anything else: after a crash the rest is an
    unfinished dataset, with which both repair and generation can continue.
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
    """Remove what verification found faulty.

    Returns:
        The names that were removed, some of which were missing already.

    Raises:
        StorageError: the store fails.
    """
    names = names_to_remove(findings)
    for name in names:
        store.delete(name)
    return names
