"""A dataset, or the pairs of it that a filter holds for, in forms for tools that read no tar.

imagefolder: FOLDER/images/KEY.webp, FOLDER/sketches/KEY.png (two classes for torchvision's
ImageFolder), and FOLDER/metadata.jsonl, what Hugging Face's imagefolder joins to them.
huggingface: FOLDER/data/train-NNNNN.parquet with image, sketch and metadata in each row, and
FOLDER/README.md; `datasets.load_dataset(FOLDER)` opens it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.events import OnEvent
from pipeline.reading.dataset import PublishedDataset, PublishedPair
from pipeline.reading.parquet import write_pairs
from pipeline.render import render
from pipeline.storage.local import LocalStore

METADATA = "metadata.jsonl"
# mkdtemp gives 0700; an export should be as readable as any folder.
_FOLDER_MODE = 0o755
FORMS = ("imagefolder", "huggingface")


def export(dataset: PublishedDataset, folder: Path, form: str, on_event: OnEvent) -> int:
    """Write a finished dataset's pairs in one of the `FORMS`; return their number.

    Pictures are copied as they are, not encoded again, but each is decoded once: what is hostile or
    broken goes no further. Until all are written the folder has another name.

    Raises:
        RefusedError: a shard is not what the manifest says.
        ValueError: no such form, or the folder is not empty, or lies within the dataset.
    """
    if form not in FORMS:
        raise ValueError(f"no form {form!r} of exports: expected {' or '.join(FORMS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is a file or not empty; choose a new folder to export to")
    store = dataset.store
    if isinstance(store, LocalStore) and folder.resolve().is_relative_to(store.root.resolve()):
        raise ValueError(f"{folder} lies within the dataset {store.url}; choose a folder outside")
    write = _write_imagefolder if form == "imagefolder" else _write_huggingface
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        pairs = write(dataset, partial, on_event)
        partial.chmod(_FOLDER_MODE)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial)
        raise
    return pairs


def _write_imagefolder(dataset: PublishedDataset, folder: Path, on_event: OnEvent) -> int:
    for name in ("images", "sketches"):
        (folder / name).mkdir()
    lines: list[bytes] = []
    for shard in _shards(dataset, on_event):
        lines += [_write_loose(pair, folder) for pair in dataset.stored_pairs(shard)]
    (folder / METADATA).write_bytes(b"".join(line + b"\n" for line in lines))
    return len(lines)


def _write_loose(pair: PublishedPair, folder: Path) -> bytes:
    """Write a pair's pictures; give its line of the metadata."""
    key = layout.sample_key(pair.index)
    names = {"file_name": f"images/{key}.webp", "sketch_file_name": f"sketches/{key}.png"}
    for name, content in zip(names.values(), (pair.image, pair.sketch), strict=True):
        (folder / name).write_bytes(content)
    return canonical.to_line({**pair.metadata, **names})


def _write_huggingface(dataset: PublishedDataset, folder: Path, on_event: OnEvent) -> int:
    (folder / "data").mkdir()
    schema: pa.Schema | None = None
    for shard in _shards(dataset, on_event):
        path = folder / "data" / f"train-{shard:05d}.parquet"
        schema = write_pairs(path, dataset.stored_pairs(shard), schema)
    assert schema is not None, "a dataset that opens has pairs"
    page = render("export.md.j2", manifest=dataset.manifest, pairs=sum(dataset.sizes))
    (folder / layout.CARD).write_bytes(page)
    return sum(dataset.sizes)


def _shards(dataset: PublishedDataset, on_event: OnEvent) -> Iterable[int]:
    """Shards with any pairs to export."""
    wanted = [shard for shard, size in enumerate(dataset.sizes) if size]
    for done, shard in enumerate(wanted, start=1):
        yield shard
        on_event("export", done=done, total=len(wanted))
