"""Commit records: from its record on, a shard counts. A pure function of plan, tar and index."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.plan import Plan
from pipeline.dataset.tar import ShardError
from pipeline.storage.store import Store

FORMAT: Final = "onesketch-commit/1"
# A commit record is a small object: most of the time goes by waiting for the store.
_READERS = 16


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Record):
    """A file of the dataset: its name in the root, SHA-256 and size in bytes."""

    name: str
    sha256: str
    size: int


class Commit(_Record):
    """What a committed shard consists of; `quarantined` are planned samples that it lacks."""

    format: Literal["onesketch-commit/1"] = FORMAT
    plan_sha256: str
    shard: int
    tar: StoredFile
    index: StoredFile
    pairs: int
    quarantined: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Size of tar and index together."""
        return self.tar.size + self.index.size

    def to_bytes(self) -> bytes:
        """The record as it is stored."""
        return canonical.to_bytes(self.model_dump(mode="json"))


def describe_file(name: str, data: bytes) -> StoredFile:
    """Note a file's name, hash and size."""
    return StoredFile(name=name, sha256=canonical.sha256(data), size=len(data))


def parse_commit(data: bytes, name: str) -> Commit:
    """Read a commit record.

    Raises:
        ShardError: it is none, or not of this format.
    """
    try:
        return Commit.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ShardError(f"{name} is no commit record ({where}: {first['msg']})") from error


def committed_shards(store: Store) -> list[int]:
    """Numbers of the shards that are committed: all that resuming needs to know."""
    found = map(layout.committed_shard, store.keys(layout.COMMITS))
    return sorted(shard for shard in found if shard is not None)


def find_committed(store: Store, num_shards: int) -> list[int]:
    """Numbers of the first `num_shards` shards that are committed, listed by the store or not.

    A store that was killed between writing an object and listing it (Swift) lists it never: what is
    not listed is asked for by name.
    """
    listed = {shard for shard in committed_shards(store) if shard < num_shards}
    others = [shard for shard in range(num_shards) if shard not in listed]
    with ThreadPoolExecutor(_READERS) as pool:
        there = pool.map(lambda shard: store.exists(layout.commit_key(shard)), others)
        return sorted(listed | set(compress(others, there)))


def read_commits(store: Store, shards: Sequence[int]) -> list[Commit]:
    """Read the commit records of shards, in their order.

    Raises:
        ShardError: one is broken, or another shard's.
    """

    def read(shard: int) -> Commit:
        name = layout.commit_key(shard)
        commit = parse_commit(store.read(name), f"{store.url}/{name}")
        if commit.shard != shard:
            raise ShardError(f"{store.url}/{name} speaks of shard {commit.shard}")
        return commit

    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(read, shards))


def check_commits(plan: Plan, commits: Sequence[Commit]) -> None:
    """Check that commits belong to a plan and account for all samples of their shards.

    Raises:
        ShardError: one does not.
    """
    plan_sha256 = plan.sha256
    for commit in commits:
        name = layout.commit_key(commit.shard)
        files = (layout.shard_key(commit.shard), layout.index_key(commit.shard))
        if (commit.tar.name, commit.index.name) != files:
            raise ShardError(f"{name} speaks of files that are not {' and '.join(files)}")
        if commit.plan_sha256 != plan_sha256:
            raise ShardError(f"{name} was made under another plan than {layout.PLAN}")
        lacking, planned = commit.quarantined, plan.indices(commit.shard)
        if list(lacking) != sorted(set(lacking)) or not set(lacking) <= set(planned):
            raise ShardError(f"{name}: its quarantined samples are not all its own, once each")
        if commit.pairs + len(commit.quarantined) != len(planned):
            raise ShardError(
                f"{name}: {commit.pairs} pairs and {len(commit.quarantined)} quarantined are not "
                f"the {len(planned)} samples planned"
            )
