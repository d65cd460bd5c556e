"""gallery.html: one page with pictures of a dataset, that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pipeline import canonical
from pipeline.dataset.commit import Commit
from pipeline.dataset.decode import decode_image, decode_sketch
from pipeline.dataset.index import MEMBER_COLUMNS, read_index
from pipeline.dataset.manifest import Manifest
from pipeline.dataset.tar import ShardError
from pipeline.render import render
from pipeline.storage.store import Store

NUM_PAIRS = 24
# Of the longer side: sharp enough on screens of twice the density.
_THUMBNAIL_PIXELS = 320
_ATTEMPTS = 3
_HIDDEN = {"index", "shard", "key", "image_hash"}


@dataclass(frozen=True)
class ShownPair:
    """One pair of the gallery: its row of the index, its pictures as data: addresses."""

    row: Mapping[str, Any]
    image: str
    sketch: str

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """What the caption says below the pair: (column, value)."""
        members = tuple(MEMBER_COLUMNS.values())
        return [
            (name.replace("_", " "), f"{value:.3g}" if isinstance(value, float) else str(value))
            for name, value in self.row.items()
            if name not in _HIDDEN and not name.startswith(members) and not name.endswith("seed")
        ]


def choose_pairs(
    store: Store, commits: Sequence[Commit], count: int = NUM_PAIRS
) -> list[ShownPair]:
    """Read pairs that lie evenly over the dataset, each by one ranged read per picture."""
    ends = np.cumsum([commit.pairs for commit in commits])
    total = int(ends[-1]) if len(ends) else 0
    wanted = sorted({round(at) for at in np.linspace(0, total - 1, min(count, total))})
    shown: list[ShownPair] = []
    for number, commit in enumerate(commits):
        rows = [at - (int(ends[number]) - commit.pairs) for at in wanted]
        rows = [at for at in rows if 0 <= at < commit.pairs]
        if rows:
            table = read_index(store.read(commit.index.name), commit.pairs).take(rows)
            shown += [_show(store, commit, row) for row in table.to_pylist()]
    return shown


def write_gallery(manifest: Manifest, pairs: Sequence[ShownPair]) -> bytes:
    """Write the page."""
    return render("gallery.html.j2", manifest=manifest, pairs=pairs)


def _show(store: Store, commit: Commit, row: Mapping[str, Any]) -> ShownPair:
    image, sketch = (_member(store, commit, row, name) for name in ("image", "sketch"))
    return ShownPair(row, _thumbnail(decode_image(image)), _thumbnail(decode_sketch(sketch)))


def _member(store: Store, commit: Commit, row: Mapping[str, Any], name: str) -> bytes:
    # Stores cannot check a part of an object: bits that flip on the way show here only.
    for _ in range(_ATTEMPTS):
        data = store.read_range(commit.tar.name, row[f"{name}_offset"], row[f"{name}_size"])
        if canonical.sha256(data) == row[f"{name}_sha256"]:
            return data
    raise ShardError(
        f"{commit.tar.name}: the {name} of sample {row['index']} is not the one that its index "
        "tells of; find out more with `onesketch verify`"
    )


def _thumbnail(picture: np.ndarray) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=82, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
