"""A few pairs of a dataset for the eye, each two ranged reads, so that size does not matter."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from jobs.figures import Figure, make_figure
from pipeline.index import read_index
from pipeline.manifest import Manifest, ManifestShard, read_manifest
from pipeline.storage.address import open_store
from pipeline.storage.store import Store

SHOWN_PAIRS = 16
FORMATS = ("PNG", "WEBP")


@dataclass(frozen=True)
class GalleryPair:
    """A generated image beside its sketch."""

    image: Figure
    sketch: Figure
    caption: str


@dataclass(frozen=True)
class Gallery:
    """What a page shows of a dataset."""

    pairs: Sequence[GalleryPair]
    note: str
    fingerprints: dict[str, str]


def choose_rows(manifest: Manifest, count: int) -> dict[int, list[int]]:
    """Choose pairs evenly over the dataset: place in the shard list -> rows of its index."""
    ends = np.cumsum([shard.pairs for shard in manifest.shards])
    chosen: dict[int, list[int]] = {}
    for at in np.linspace(0, ends[-1] - 1, min(count, int(ends[-1]))).round().astype(int):
        place = int(np.searchsorted(ends, at, side="right"))
        chosen.setdefault(place, []).append(int(at - ends[place] + manifest.shards[place].pairs))
    return chosen


def read_picture(store: Store, shard: ManifestShard, row: dict[str, Any], kind: str) -> np.ndarray:
    """Read one member of a shard as pixels."""
    data = store.read_range(shard.tar.name, row[f"{kind}_offset"], row[f"{kind}_size"])
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        return np.asarray(picture.convert("RGB" if kind == "image" else "L"))


def read_pairs(store: Store, manifest: Manifest) -> Iterator[GalleryPair]:
    """Read the chosen pairs of a dataset."""
    for place, rows in choose_rows(manifest, SHOWN_PAIRS).items():
        shard = manifest.shards[place]
        table = read_index(store.read(shard.index.name)).to_pylist()
        for row in (table[i] for i in rows):
            index = row["index"]
            image, sketch = (read_picture(store, shard, row, kind) for kind in ("image", "sketch"))
            yield GalleryPair(
                make_figure(image, f"Generated image {index}"),
                make_figure(sketch, f"The teacher's sketch of generated image {index}"),
                f"Sample {index:,}",
            )


def read_gallery(out: str) -> Gallery:
    """Read what a page shows of the finished dataset at a folder or s3:// address."""
    store = open_store(out)
    manifest = read_manifest(store)
    counts = manifest.counts
    gone = f", {counts.quarantined:,} given up" if counts.quarantined else ""
    note = (
        f"{counts.committed:,} pairs in {len(manifest.shards):,} shards, "
        f"{counts.size / 1e6:,.1f} MB{gone}. Shown are every so many, none picked: the first are "
        "near the example, the last as far from it as the model goes."
    )
    return Gallery(list(read_pairs(store, manifest)), note, manifest.fingerprints)
