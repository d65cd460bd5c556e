"""Publication of a shard: tar, then index, then commit record, each created once for all.

A crash between any two is mended by reading the tar back, because index and commit are functions of
it. Whoever finds a name taken goes on with what is there if it fits the plan, or reports it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.dataset import layout
from pipeline.dataset.commit import Commit, describe_file, parse_commit
from pipeline.dataset.encode import EncodedPair
from pipeline.dataset.index import build_index, read_index
from pipeline.dataset.plan import Plan
from pipeline.dataset.tar import Member, ShardError, build_shard, list_members, sample_indices
from pipeline.storage.store import Created, MissingKeyError, Store


class PublicationError(ValueError):
    """A shard's name is taken by something that does not belong there."""


def publish(store: Store, plan: Plan, shard: int, pairs: Sequence[EncodedPair]) -> Commit:
    """Publish a shard's pairs, by rising index; samples that lack need a quarantine record.

    Raises:
        PublicationError: a name is taken by something that does not fit the plan.
        StorageError: the store fails.
    """
    tar = build_shard(pairs)
    name = layout.shard_key(shard)
    if store.create(name, tar) is Created.OTHER:
        tar = store.read(name)
    return _finish(store, plan, shard, tar)


def recover(store: Store, plan: Plan, shard: int) -> Commit | None:
    """Finish a shard whose publication was cut short; None where not even its tar is there.

    Raises:
        PublicationError, StorageError: as `publish`.
    """
    name = layout.commit_key(shard)
    try:
        return parse_commit(store.read(name), name)
    except MissingKeyError:
        pass
    except ShardError as error:
        raise _report(store, name, str(error)) from error
    try:
        tar = store.read(layout.shard_key(shard))
    except MissingKeyError:
        return None
    return _finish(store, plan, shard, tar)


def _finish(store: Store, plan: Plan, shard: int, tar: bytes) -> Commit:
    """Publish index and commit record of the tar that lies in the store."""
    try:
        members = list_members(tar)
        missing = _missing(store, plan, shard, members)
        index = build_index(shard, tar, members)
    except ShardError as error:
        raise _report(store, layout.shard_key(shard), str(error)) from error
    pairs = len(sample_indices(members))
    index = _publish_index(store, shard, index, pairs)
    commit = Commit(
        plan_sha256=plan.sha256,
        shard=shard,
        tar=describe_file(layout.shard_key(shard), tar),
        index=describe_file(layout.index_key(shard), index),
        pairs=pairs,
        quarantined=missing,
    )
    name = layout.commit_key(shard)
    if store.create(name, commit.to_bytes()) is Created.OTHER:
        raise _report(store, name, "it speaks of another tar or index than those that are there")
    return commit


def _missing(store: Store, plan: Plan, shard: int, members: Sequence[Member]) -> tuple[int, ...]:
    planned, present = plan.indices(shard), set(sample_indices(members))
    if strangers := sorted(present - set(planned)):
        raise ShardError(f"it holds sample {strangers[0]}, which the plan puts elsewhere")
    missing = tuple(index for index in planned if index not in present)
    for index in missing:
        if not store.exists(layout.quarantine_key(index)):
            raise ShardError(f"it lacks sample {index}, which is not quarantined")
    return missing


def _publish_index(store: Store, shard: int, index: bytes, pairs: int) -> bytes:
    """Create the index; one of equal rows (by another version of Arrow) is as good."""
    name = layout.index_key(shard)
    if store.create(name, index) is not Created.OTHER:
        return index
    stored = store.read(name)
    try:
        same = read_index(stored, pairs).equals(read_index(index, pairs))
    except ShardError as error:
        raise _report(store, name, str(error)) from error
    if not same:
        raise _report(store, name, "its rows are not those of the tar")
    return stored


def _report(store: Store, name: str, fault: str) -> PublicationError:
    return PublicationError(
        f"{store.url}/{name} was there already and cannot be gone on with: {fault}; find out who "
        "wrote it, then remove it and start the same command again"
    )
