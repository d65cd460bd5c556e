"""A few pairs of a dataset for the eye, read back from its shards."""

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jobs.figures import Figure, make_figure

SHOWN_PAIRS = 16


@dataclass(frozen=True)
class GalleryPair:
    """A generated image beside its sketch."""

    image: Figure
    sketch: Figure
    caption: str


@dataclass(frozen=True)
class DatasetNote:
    """What the manifest says about a dataset."""

    note: str
    fingerprints: dict[str, Any]


def describe_dataset(out: str) -> DatasetNote:
    path = Path(out) / "manifest.json"
    if not path.is_file():
        return DatasetNote("", {})
    manifest = json.loads(path.read_text())
    return DatasetNote(f"{manifest}", manifest.get("fingerprints", {}))


def gallery_pairs(out: str) -> list[GalleryPair]:
    pairs = []
    for shard in sorted((Path(out) / "shards").glob("*.tar")):
        with tarfile.open(shard) as tar:
            members = {m.name: m for m in tar.getmembers()}
            for name in sorted(members):
                if not name.endswith(".image.webp"):
                    continue
                key = name.split(".")[0]
                image = np.asarray(Image.open(io.BytesIO(tar.extractfile(members[name]).read())).convert("RGB"))
                sketch = np.asarray(Image.open(io.BytesIO(tar.extractfile(members[f"{key}.sketch.png"]).read())).convert("L"))
                pairs.append(GalleryPair(make_figure(image, f"Generated image {int(key)}"), make_figure(sketch, f"Sketch of generated image {int(key)}"), f"Sample {int(key)}"))
    return pairs[:SHOWN_PAIRS]
