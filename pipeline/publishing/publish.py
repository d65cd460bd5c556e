"""Publication of a shard: tar, then index, then commit record, each created only once.

After a crash between any two of them the shard is recovered by reading the tar back, because index
and commit record are functions of it. A writer that finds a name taken continues with what is there
if it fits the plan, and reports it otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.dataset import layout
from pipeline.dataset.commit import Commit, describe_file, parse_commit
from pipeline.dataset.encode import EncodedPair
from pipeline.dataset.index import build_index, read_index
from pipeline.dataset.plan import Plan
from pipeline.dataset.tar import Member, ShardError, build_shard, list_members, sample_indices
from pipeline.storage.store import Created, MissingKeyError, Store


class PublicationError(ValueError):
    """A shard's name is taken by something that does not belong there."""


@dataclass(frozen=True)
class Published:
    """A shard's commit record, and whether this call created it: of several runs one does."""

    commit: Commit
    is_new: bool


def publish(store: Store, plan: Plan, shard: int, pairs: Sequence[EncodedPair]) -> Published:
    """Publish a shard's pairs.

    Args:
        pairs: by rising index; each sample that is missing needs a quarantine record.

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
    """Finish a shard whose publication was interrupted.

    Returns:
        The shard's commit record; None if not even its tar is in the store.

    Raises:
        PublicationError: a name is taken by something that does not fit the plan.
        StorageError: the store fails.
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
    return _finish(store, plan, shard, tar).commit


def _finish(store: Store, plan: Plan, shard: int, tar: bytes) -> Published:
    """Publish index and commit record of a tar that is in the store."""
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
    created = store.create(name, commit.to_bytes())
    if created is Created.OTHER:
        raise _report(store, name, "it describes another tar or index than those in the store")
    return Published(commit, created is Created.NEW)


def _missing(store: Store, plan: Plan, shard: int, members: Sequence[Member]) -> tuple[int, ...]:
    planned, present = plan.indices(shard), set(sample_indices(members))
    if foreign := sorted(present - set(planned)):
        raise ShardError(f"it holds sample {foreign[0]}, which the plan puts in another shard")
    missing = tuple(index for index in planned if index not in present)
    for index in missing:
        if not store.exists(layout.quarantine_key(index)):
            raise ShardError(f"sample {index} is missing from it but not quarantined")
    return missing


def _publish_index(store: Store, shard: int, index: bytes, pairs: int) -> bytes:
    """Create the index, or adopt one with equal rows, such as another version of Arrow writes."""
    name = layout.index_key(shard)
    if store.create(name, index) is not Created.OTHER:
        return index
    stored = store.read(name)
    try:
        same = read_index(stored, pairs).equals(read_index(index, pairs))
    except ShardError as error:
        raise _report(store, name, str(error)) from error
    if not same:
        raise _report(store, name, "its rows do not match the tar")
    return stored


def _report(store: Store, name: str, fault: str) -> PublicationError:
    return PublicationError(
        f"{store.url}/{name} was there already and cannot be used: {fault}; find out who wrote "
        "it, then remove it and start the same command again"
    )
