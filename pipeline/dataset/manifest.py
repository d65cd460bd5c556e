"""The manifest: exact counts and every file with its hash.

It is written last: a dataset without a manifest is not finished.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.accounting import Account
from pipeline.dataset.commit import StoredFile
from pipeline.dataset.plan import Plan
from pipeline.dataset.record import STRICT, Record, first_error_text
from pipeline.storage.store import Created, MissingKeyError, Store

FORMAT: Final = "onesketch-manifest/1"


class ManifestError(ValueError):
    """A manifest that is missing, broken or from another dataset."""


@dataclass(frozen=True, slots=True, config=STRICT)
class ManifestShard:
    """One shard: its files, its number of pairs and its first and last planned sample."""

    tar: StoredFile
    index: StoredFile
    pairs: int
    first: int
    last: int


class Counts(Record):
    """Numbers of samples, planned = committed + quarantined; `size` is the bytes of all tars."""

    planned: int
    committed: int
    quarantined: int
    size: int


class Manifest(Record):
    """What a finished dataset consists of. Readers open what it lists and nothing else."""

    format: Literal["onesketch-manifest/1"] = FORMAT
    style: str
    counts: Counts
    plan_sha256: str
    shards: tuple[ManifestShard, ...]
    quarantined: tuple[int, ...]
    recipe: dict[str, Any]
    fingerprints: dict[str, str]
    versions: dict[str, str]

    @property
    def license(self) -> str:
        """Return what the pairs may be used under, "" where the recipe stated nothing."""
        return str(self.recipe.get("dataset", {}).get("license", ""))


def build_manifest(plan: Plan, account: Account) -> Manifest:
    """Build the manifest of a complete dataset.

    Raises:
        IncompleteError: some samples are neither committed nor quarantined.
    """
    account.check_complete()
    return Manifest(
        style=plan.style,
        counts=Counts(
            planned=account.planned,
            committed=account.committed,
            quarantined=len(account.quarantined),
            size=sum(commit.tar.size for commit in account.commits),
        ),
        plan_sha256=plan.sha256,
        shards=tuple(
            ManifestShard(
                tar=commit.tar,
                index=commit.index,
                pairs=commit.pairs,
                first=plan.indices(commit.shard)[0],
                last=plan.indices(commit.shard)[-1],
            )
            for commit in account.commits
        ),
        quarantined=account.quarantined,
        recipe=plan.recipe,
        fingerprints=plan.fingerprints,
        versions=plan.versions,
    )


def write_manifest(store: Store, manifest: Manifest) -> None:
    """Store the manifest of a dataset.

    Raises:
        ManifestError: the store holds another manifest.
    """
    if store.create(layout.MANIFEST, manifest.to_bytes()) is Created.OTHER:
        raise ManifestError(
            f"{store.url}/{layout.MANIFEST} exists and does not fit the commit records: shards "
            "were changed after it was written; check the dataset with `onesketch verify`"
        )


def read_manifest(store: Store) -> Manifest:
    """Read the manifest of a finished dataset.

    Raises:
        ManifestError: the manifest is missing or broken.
    """
    return read_hashed_manifest(store)[0]


def read_hashed_manifest(store: Store) -> tuple[Manifest, str]:
    """Read the manifest of a finished dataset, and return the SHA-256 of its bytes with it.

    Raises:
        ManifestError: the manifest is missing or broken.
    """
    try:
        data = store.read(layout.MANIFEST)
        return Manifest.model_validate_json(data), canonical.sha256(data)
    except MissingKeyError as error:
        raise ManifestError(
            f"{store.url} has no {layout.MANIFEST}: there is no dataset, or it is not finished; "
            "run `onesketch generate` again to finish it"
        ) from error
    except ValidationError as error:
        reason = first_error_text(error)
        raise ManifestError(
            f"{store.url}/{layout.MANIFEST} is broken or of another format ({reason})"
        ) from error
