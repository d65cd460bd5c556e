"""What the report shows of the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.pages.figures import Figure
from pipeline.dataset.commit import committed_shards, read_commits
from pipeline.dataset.manifest import Manifest, read_manifest
from pipeline.publishing.gallery import ShownPair, choose_pairs
from pipeline.render import readable_size
from pipeline.storage.address import open_store

_SHOWN_PAIRS = 16


@dataclass(frozen=True)
class FiguredPair:
    """A generated image beside its sketch."""

    image: Figure
    sketch: Figure
    caption: str


@dataclass(frozen=True)
class ShownDataset:
    """Some pairs, the numbers in words, and what the dataset was made from."""

    pairs: Sequence[FiguredPair]
    note: str
    fingerprints: dict[str, str]


def show_dataset(out: str) -> ShownDataset:
    """Read a finished dataset's numbers and some of its pairs.

    Args:
        out: its folder or s3:// address.
    """
    store = open_store(out)
    manifest = read_manifest(store)
    commits = read_commits(store, committed_shards(store))
    pairs = [_figured_pair(pair) for pair in choose_pairs(store, commits, _SHOWN_PAIRS)]
    return ShownDataset(pairs, _size_note(manifest), manifest.fingerprints)


def _figured_pair(pair: ShownPair) -> FiguredPair:
    """Turn a pair of the dataset's own gallery into figures."""
    index, width, height = (int(pair.row[name]) for name in ("index", "width", "height"))
    return FiguredPair(
        Figure(pair.image, f"Generated image {index}", "", width, height),
        Figure(pair.sketch, f"The teacher's sketch of generated image {index}", "", width, height),
        f"Sample {index:,}",
    )


def _size_note(manifest: Manifest) -> str:
    """Say how large the dataset is and which pairs are shown."""
    counts = manifest.counts
    gone = f", {counts.quarantined:,} samples given up" if counts.quarantined else ""
    return (
        f"{counts.committed:,} pairs in {len(manifest.shards):,} shards, "
        f"{readable_size(counts.size)}{gone}. Shown at even distances, none picked: the first lie "
        "near the example, the last as far from it as the backbone's world goes."
    )
