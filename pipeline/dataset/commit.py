"""Commit records: a shard counts once its record exists.

A record is a pure function of plan, tar and index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import compress
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.plan import Plan
from pipeline.dataset.record import STRICT, first_error_text
from pipeline.dataset.tar import ShardError
from pipeline.storage.parallel import in_parallel
from pipeline.storage.store import Store

FORMAT: Final = "onesketch-commit/1"


@dataclass(frozen=True, slots=True, config=STRICT)
class StoredFile:
    """A file of the dataset: its name below the root, its SHA-256 and its size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, config=STRICT)
class Commit:
    """What a committed shard consists of; planned samples missing from it are `quarantined`."""

    plan_sha256: str
    shard: int
    tar: StoredFile
    index: StoredFile
    pairs: int
    quarantined: tuple[int, ...]
    format: Literal["onesketch-commit/1"] = FORMAT

    @property
    def size_bytes(self) -> int:
        """Size of tar and index together, in bytes."""
        return self.tar.size + self.index.size

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        return canonical.to_bytes(asdict(self))


_COMMIT = TypeAdapter(Commit)


def describe_file(name: str, data: bytes) -> StoredFile:
    """Return a file's name, hash and size."""
    return StoredFile(name=name, sha256=canonical.sha256(data), size=len(data))


def parse_commit(data: bytes, name: str) -> Commit:
    """Read a commit record.

    Raises:
        ShardError: the data is not a commit record of this format.
    """
    try:
        return _COMMIT.validate_json(data)
    except ValidationError as error:
        reason = first_error_text(error)
        raise ShardError(f"{name} is not a commit record ({reason})") from error


def committed_shards(store: Store) -> list[int]:
    """List the numbers of all committed shards, which is all that resuming needs."""
    found = map(layout.committed_shard, store.keys(layout.COMMITS))
    return sorted(shard for shard in found if shard is not None)


def find_committed(store: Store, num_shards: int) -> list[int]:
    """List which of the first `num_shards` shards are committed, listed by the store or not.

    A store that is killed between writing an object and listing it may never list it (Swift does
    this), so commit records that are not listed are looked up by name.
    """
    listed = {shard for shard in committed_shards(store) if shard < num_shards}
    unlisted = [shard for shard in range(num_shards) if shard not in listed]
    found = in_parallel(lambda shard: store.exists(layout.commit_key(shard)), unlisted)
    return sorted(listed | set(compress(unlisted, found)))


def read_commits(store: Store, shards: Sequence[int]) -> list[Commit]:
    """Read the commit records of shards, in their order.

    Raises:
        ShardError: a record is broken or describes another shard.
    """

    def read(shard: int) -> Commit:
        name = layout.commit_key(shard)
        commit = parse_commit(store.read(name), f"{store.url}/{name}")
        if commit.shard != shard:
            raise ShardError(f"{store.url}/{name} describes shard {commit.shard}")
        return commit

    return list(in_parallel(read, shards))


def check_commits(plan: Plan, commits: Sequence[Commit]) -> None:
    """Check that commits belong to a plan and account for all samples of their shards.

    Raises:
        ShardError: a commit does not.
    """
    plan_sha256 = plan.sha256
    for commit in commits:
        name = layout.commit_key(commit.shard)
        files = (layout.shard_key(commit.shard), layout.index_key(commit.shard))
        if (commit.tar.name, commit.index.name) != files:
            raise ShardError(f"{name} describes files other than {' and '.join(files)}")
        if commit.plan_sha256 != plan_sha256:
            raise ShardError(f"{name} was made under another plan than {layout.PLAN}")
        missing, planned = commit.quarantined, plan.indices(commit.shard)
        if list(missing) != sorted(set(missing)) or not set(missing) <= set(planned):
            raise ShardError(
                f"{name}: its quarantined samples must be samples of this shard, in rising order, "
                "once each"
            )
        if commit.pairs + len(commit.quarantined) != len(planned):
            raise ShardError(
                f"{name}: {commit.pairs} pairs and {len(commit.quarantined)} quarantined samples "
                f"do not add up to the {len(planned)} samples planned"
            )
