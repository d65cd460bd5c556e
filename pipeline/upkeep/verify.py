"""Verification of a dataset: every hash, count and picture; tar against index against manifest.

Faults make a dataset unfit for use until it is repaired. Remarks (blank sketches, duplicates, stray
files) are for people to judge: nothing is removed because of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.accounting import Account
from pipeline.dataset.commit import Commit, StoredFile, check_commits, find_committed, parse_commit
from pipeline.dataset.decode import decode_image, decode_sketch
from pipeline.dataset.index import build_index, read_index
from pipeline.dataset.manifest import ManifestError, build_manifest, read_manifest
from pipeline.dataset.pair_stats import measure_pair
from pipeline.dataset.plan import Plan, read_plan
from pipeline.dataset.quarantine import quarantined_samples
from pipeline.dataset.tar import ShardError, list_members, sample_indices
from pipeline.events import OnEvent
from pipeline.publishing.heartbeats import is_heartbeat
from pipeline.storage.store import DamagedError, MissingKeyError, Store
from pipeline.upkeep.near_duplicates import first_similar

# Sketches that are at least this blank get a remark.
BLANK_FROM = 0.9
_STRAY = (
    "not a file of the dataset: `onesketch gc` removes what runs left behind; anything else was "
    "put there by somebody"
)
_THREADS = 4


class Kind(StrEnum):
    """What is wrong with a file or a sample."""

    MISSING = "missing"
    CHANGED = "changed since it was committed"
    BROKEN = "broken"
    UNFINISHED = "unfinished"
    BLANK = "blank"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near-duplicate"
    STRAY = "stray"


FAULTS = frozenset({Kind.MISSING, Kind.CHANGED, Kind.BROKEN, Kind.UNFINISHED})


@dataclass(frozen=True)
class Finding:
    """One thing that was found, in a file and perhaps in one of its samples."""

    kind: Kind
    name: str
    detail: str
    sample: int | None = None

    @property
    def is_fault(self) -> bool:
        """Whether it makes the dataset unfit for use."""
        return self.kind in FAULTS


@dataclass(frozen=True)
class SampleDigest:
    """What is kept of a sample to compare it with all others."""

    name: str
    sample: int
    image_sha256: str
    image_hash: str
    blankness: float


@dataclass(frozen=True)
class ShardCheck:
    """The result of checking one shard."""

    findings: tuple[Finding, ...]
    digests: tuple[SampleDigest, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The result of verifying a dataset; `pairs` is the number of pairs without a fault."""

    pairs: int
    shards: int
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Findings that make the dataset unfit for use."""
        return tuple(finding for finding in self.findings if finding.is_fault)


def verify(store: Store, on_event: OnEvent, threads: int = _THREADS) -> Verdict:
    """Check a whole dataset, from its store alone.

    Args:
        on_event: gets an event for each shard that is done.
        threads: number of shards checked at the same time.

    Raises:
        MissingKeyError: there is no dataset.
        ValueError: its plan is of another format.
        StorageError: the store fails.
    """
    plan = read_plan(store)
    commits, findings = _read_commits(store, plan)
    findings += _check_manifest(store, plan, commits)
    findings += _check_quarantine(store, commits)
    digests: list[SampleDigest] = []
    with ThreadPoolExecutor(threads) as pool:
        checks = pool.map(lambda commit: check_shard(store, plan, commit), commits)
        for done, check in enumerate(checks, start=1):
            findings += check.findings
            digests += check.digests
            on_event("verify", done=done, total=len(commits))
    findings += _compare(digests)
    findings += [Finding(Kind.STRAY, name, _STRAY) for name in find_strays(store, plan)]
    return Verdict(len(digests), len(commits), tuple(findings))


def check_shard(store: Store, plan: Plan, commit: Commit) -> ShardCheck:
    """Check one committed shard: hashes, table of contents, index, every pair."""
    try:
        tar, index_data = (_read_unchanged(store, file) for file in (commit.tar, commit.index))
    except _FaultError as error:
        return ShardCheck((error.finding,))
    name = commit.tar.name
    try:
        members = list_members(tar)
        samples = sample_indices(members)
        rebuilt = read_index(build_index(commit.shard, tar, members), len(samples))
        missing = set(commit.quarantined)
        if samples != [index for index in plan.indices(commit.shard) if index not in missing]:
            raise ShardError("its samples are not those that plan and commit record state")
        name = commit.index.name
        table = read_index(index_data, len(samples))
        if not table.equals(rebuilt):
            raise ShardError("its rows do not match the tar")
    except ShardError as error:
        return ShardCheck((Finding(Kind.BROKEN, name, str(error)),))
    name, rows = commit.tar.name, table.to_pylist()
    faults = [_check_pair(name, tar, row) for row in rows]
    digests = [_digest(name, row) for row, fault in zip(rows, faults, strict=True) if not fault]
    return ShardCheck(tuple(filter(None, faults)), tuple(digests))


def find_strays(store: Store, plan: Plan) -> list[str]:
    """List the files below a dataset's root that do not belong to its plan."""
    shards = range(plan.num_shards)
    expected = {layout.PLAN, layout.MANIFEST, layout.CARD, layout.GALLERY}
    expected |= {layout.shard_key(shard) for shard in shards}
    expected |= {layout.index_key(shard) for shard in shards}
    expected |= {layout.commit_key(shard) for shard in shards}

    def belongs(name: str) -> bool:
        sample = layout.quarantined_sample(name)
        planned = sample is not None and sample < plan.samples
        return name in expected or planned or is_heartbeat(name)

    return [name for name in store.keys("") if not belongs(name)]


class _FaultError(Exception):
    """Carries a fault from where it is found to where it is reported."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.detail)
        self.finding = finding


def _read_commits(store: Store, plan: Plan) -> tuple[list[Commit], list[Finding]]:
    commits: list[Commit] = []
    findings: list[Finding] = []
    for shard in find_committed(store, plan.num_shards):
        name = layout.commit_key(shard)
        try:
            commit = parse_commit(store.read(name), name)
            check_commits(plan, [commit])
            if commit.shard != shard:
                raise ShardError(f"{name} describes shard {commit.shard}")
        except (ShardError, DamagedError) as error:
            findings.append(Finding(Kind.BROKEN, name, str(error)))
        else:
            commits.append(commit)
    return commits, findings


def _check_manifest(store: Store, plan: Plan, commits: Sequence[Commit]) -> list[Finding]:
    account = Account(plan.samples, plan.num_shards, tuple(commits))
    if not account.complete:
        detail = f"{len(account.missing_shards)} of {plan.num_shards} shards have no valid commit"
        return [Finding(Kind.UNFINISHED, layout.MANIFEST, detail)]
    if not store.exists(layout.MANIFEST):
        return [Finding(Kind.UNFINISHED, layout.MANIFEST, "it has not been written yet")]
    try:
        same = read_manifest(store) == build_manifest(plan, account)
    except (ManifestError, DamagedError) as error:
        return [Finding(Kind.BROKEN, layout.MANIFEST, str(error))]
    if same:
        return []
    return [Finding(Kind.CHANGED, layout.MANIFEST, "it does not fit the commit records")]


def _check_quarantine(store: Store, commits: Iterable[Commit]) -> Iterator[Finding]:
    recorded = quarantined_samples(store)
    for commit in commits:
        for index in commit.quarantined:
            # Looked up by name as well, because a listing may lag behind.
            if index not in recorded and not store.exists(layout.quarantine_key(index)):
                detail = f"sample {index} is missing from it and has no quarantine record"
                yield Finding(Kind.MISSING, commit.tar.name, detail, index)


def _read_unchanged(store: Store, file: StoredFile) -> bytes:
    try:
        data = store.read(file.name)
    except MissingKeyError as error:
        raise _FaultError(Finding(Kind.MISSING, file.name, "its commit record lists it")) from error
    except DamagedError as error:
        raise _FaultError(Finding(Kind.CHANGED, file.name, str(error))) from error
    if len(data) != file.size or canonical.sha256(data) != file.sha256:
        detail = f"{len(data)} bytes, whose hash is not that of the {file.size} bytes committed"
        raise _FaultError(Finding(Kind.CHANGED, file.name, detail))
    return data


def _check_pair(name: str, tar: bytes, row: Mapping[str, Any]) -> Finding | None:
    def member(column: str) -> bytes:
        start = row[f"{column}_offset"]
        return tar[start : start + row[f"{column}_size"]]

    try:
        image, sketch = decode_image(member("image")), decode_sketch(member("sketch"))
    except ShardError as error:
        return Finding(Kind.BROKEN, name, str(error), row["index"])
    if image.shape != (row.get("height"), row.get("width"), 3) or sketch.shape != image.shape[:2]:
        detail = f"pictures of {image.shape} and {sketch.shape} do not have the size in the index"
        return Finding(Kind.BROKEN, name, detail, row["index"])
    measured = measure_pair(image, sketch)
    wrong = [name for name, value in measured.items() if row.get(name) != value]
    if wrong:
        detail = f"its metadata does not match its pictures: {', '.join(wrong)}"
        return Finding(Kind.BROKEN, name, detail, row["index"])
    return None


def _digest(name: str, row: Mapping[str, Any]) -> SampleDigest:
    return SampleDigest(
        name, row["index"], row["image_sha256"], row["image_hash"], row["blankness"]
    )


def _compare(digests: Sequence[SampleDigest]) -> Iterator[Finding]:
    """Remark on blank sketches, duplicates and near-duplicates."""
    by_sha256: dict[str, int] = {}
    similar = first_similar([digest.image_hash for digest in digests])
    for digest, first in zip(digests, similar, strict=True):
        if digest.blankness >= BLANK_FROM:
            detail = f"blankness {digest.blankness:.2f}"
            yield Finding(Kind.BLANK, digest.name, detail, digest.sample)
        same = by_sha256.setdefault(digest.image_sha256, digest.sample)
        near = digests[first].sample
        if same != digest.sample:
            detail = f"same image as sample {same}"
            yield Finding(Kind.DUPLICATE, digest.name, detail, digest.sample)
        elif near != digest.sample:
            detail = f"nearly the same image as sample {near}"
            yield Finding(Kind.NEAR_DUPLICATE, digest.name, detail, digest.sample)
