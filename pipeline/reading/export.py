"""Exports of a dataset, or of the pairs that match a filter, for tools that do not read tar files.

imagefolder: FOLDER/images/KEY.webp, FOLDER/sketches/KEY.png (two classes for torchvision's
ImageFolder), and FOLDER/metadata.jsonl, which Hugging Face's imagefolder joins to them.
huggingface: FOLDER/data/train-NNNNN.parquet with image, sketch and metadata in each row,
FOLDER/README.md, and a copy of the dataset's own card; `datasets.load_dataset(FOLDER)` opens it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.events import OnEvent
from pipeline.reading.dataset import PublishedDataset, PublishedPair
from pipeline.reading.parquet import write_pairs
from pipeline.render import TEMPLATES, render
from pipeline.storage.local import LocalStore
from pipeline.storage.store import MissingKeyError
from pipeline.whole_file import whole_folder

METADATA = "metadata.jsonl"
SOURCE_CARD = "DATASET.md"
FORMS = ("imagefolder", "huggingface")


def export(dataset: PublishedDataset, folder: Path, form: str, on_event: OnEvent) -> int:
    """Write a finished dataset's pairs in one of the `FORMS`; return their number.

    Pictures are copied as they are, not encoded again, but each is decoded once, so that nothing
    broken or hostile is passed on. Until all are written the folder has a temporary name.

    Raises:
        RefusedError: a shard is not what the manifest says.
        ValueError: the form is unknown, or the folder is not empty or lies inside the dataset.
    """
    if form not in FORMS:
        raise ValueError(f"unknown export form {form!r}: expected {' or '.join(FORMS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is a file or not empty; choose a new folder to export to")
    store = dataset.store
    if isinstance(store, LocalStore) and folder.resolve().is_relative_to(store.root.resolve()):
        raise ValueError(f"{folder} lies inside the dataset {store.url}; choose a folder outside")
    write = _write_imagefolder if form == "imagefolder" else _write_huggingface
    with whole_folder(folder) as partial:
        return write(dataset, partial, on_event)


def _write_imagefolder(dataset: PublishedDataset, folder: Path, on_event: OnEvent) -> int:
    for name in ("images", "sketches"):
        (folder / name).mkdir()
    lines: list[bytes] = []
    for shard in _shards(dataset, on_event):
        lines += [_write_loose(pair, folder) for pair in dataset.stored_pairs(shard)]
    (folder / METADATA).write_bytes(b"".join(line + b"\n" for line in lines))
    return len(lines)


def _write_loose(pair: PublishedPair, folder: Path) -> bytes:
    """Write a pair's pictures; return its line of the metadata."""
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
    assert schema is not None, "an open dataset has pairs"
    page = render(TEMPLATES / "export.md.j2", manifest=dataset.manifest, pairs=sum(dataset.sizes))
    (folder / layout.CARD).write_bytes(page)
    with suppress(MissingKeyError):  # Somebody may have removed it: readers do not need it.
        (folder / SOURCE_CARD).write_bytes(dataset.store.read(layout.CARD))
    return sum(dataset.sizes)


def _shards(dataset: PublishedDataset, on_event: OnEvent) -> Iterable[int]:
    """Yield the shards that have pairs to export, and report each one that is done."""
    shards = [shard for shard, size in enumerate(dataset.sizes) if size]
    for done, shard in enumerate(shards, start=1):
        yield shard
        on_event("export", done=done, total=len(shards))
