"""gallery.html: a self-contained page with pictures of a dataset."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pipeline import canonical
from pipeline.arrays import Pixels
from pipeline.dataset.commit import Commit
from pipeline.dataset.decode import decode_image, decode_sketch
from pipeline.dataset.index import MEMBER_COLUMNS, read_index
from pipeline.dataset.manifest import Manifest
from pipeline.dataset.tar import ShardError
from pipeline.render import TEMPLATES, render
from pipeline.spread import evenly_spaced
from pipeline.storage.store import Store

NUM_PAIRS = 24
# Length of the longer side: sharp enough on screens of double density.
_THUMBNAIL_PIXELS = 320
_ATTEMPTS = 3
_HIDDEN = {"index", "shard", "key", "image_hash"}


@dataclass(frozen=True)
class ShownPair:
    """One pair of the gallery: its row of the index and its pictures as data: URLs."""

    row: Mapping[str, Any]
    image: str
    sketch: str

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """The (column, value) entries of the caption below the pair."""
        members = tuple(MEMBER_COLUMNS.values())
        return [
            (name.replace("_", " "), f"{value:.3g}" if isinstance(value, float) else str(value))
            for name, value in self.row.items()
            if name not in _HIDDEN and not name.startswith(members) and not name.endswith("seed")
        ]


def choose_pairs(
    store: Store, commits: Sequence[Commit], count: int = NUM_PAIRS
) -> list[ShownPair]:
    """Read pairs spread evenly over the dataset, with one ranged read per picture."""
    ends = np.cumsum([commit.pairs for commit in commits])
    total = int(ends[-1]) if len(ends) else 0
    chosen = evenly_spaced(total, count)
    shown: list[ShownPair] = []
    for number, commit in enumerate(commits):
        rows = [at - (int(ends[number]) - commit.pairs) for at in chosen]
        rows = [row for row in rows if 0 <= row < commit.pairs]
        if rows:
            table = read_index(store.read(commit.index.name), commit.pairs).take(rows)
            shown += [_show(store, commit, row) for row in table.to_pylist()]
    return shown


def write_gallery(manifest: Manifest, pairs: Sequence[ShownPair]) -> bytes:
    """Render the page."""
    return render(TEMPLATES / "gallery.html.j2", manifest=manifest, pairs=pairs)


def _show(store: Store, commit: Commit, row: Mapping[str, Any]) -> ShownPair:
    image, sketch = (_member(store, commit, row, name) for name in ("image", "sketch"))
    return ShownPair(row, _thumbnail(decode_image(image)), _thumbnail(decode_sketch(sketch)))


def _member(store: Store, commit: Commit, row: Mapping[str, Any], name: str) -> bytes:
    # Stores cannot check part of an object: only this notices bits that flip on the way.
    for _ in range(_ATTEMPTS):
        data = store.read_range(commit.tar.name, row[f"{name}_offset"], row[f"{name}_size"])
        if canonical.sha256(data) == row[f"{name}_sha256"]:
            return data
    raise ShardError(
        f"{commit.tar.name}: the {name} of sample {row['index']} does not have the SHA-256 that "
        f"its index states, in {_ATTEMPTS} reads; check the dataset with `onesketch verify`"
    )


def _thumbnail(picture: Pixels) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=82, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
