"""Photographs of a folder or bucket drawn by Ray workers, into a folder or bucket.

A drawing is one object that is created whole and never replaced: workers and the driver may be
killed at any time, and what is there is not drawn again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import torch

from jobs.extract.drawings import refuse_unreadable
from jobs.extract.extract import ExtractOptions, load_extractor
from jobs.extract.record import made_otherwise
from pipeline.events import OnEvent
from pipeline.images.find import SUFFIXES, Photograph, refuse_twins
from pipeline.images.read import read_opacity, read_photograph
from pipeline.storage.address import open_store
from pipeline.storage.node_cache import NodeCache
from pipeline.storage.store import Created, MissingKeyError, StorageError, Store
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import read_config

# Runs a function on items wherever there is room; yields each with its result.
Spread: TypeAlias = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[Any, Any]]]

# Beside the drawings: the model and the options that made them.
RECORD = "extract.json"
# Pictures of one task: enough to be worth one, few to be drawn again when a worker is lost.
_PART = 16


@dataclass(frozen=True)
class Job:
    """What every worker needs to know.

    Attributes:
        model: folder or address of the extractor.
        source: folder or address of the photographs.
        target: folder or address for the drawings.
        options: how to draw.
        cache: of a worker's node.
    """

    model: str
    source: str
    target: str
    options: ExtractOptions
    cache: NodeCache

    def drawing_key(self, name: str) -> str:
        """Return the name of a photograph's drawing."""
        return f"{name}{self.options.finish.suffix}"


def run_extract_far(job: Job, device: str, spread: Spread, on_event: OnEvent) -> int:
    """Draw all photographs of a place that are not drawn yet; return how many are there then.

    Args:
        job: from where to where.
        device: where the network runs on every worker.
        spread: runs a function on many items, on Ray.
        on_event: is told `extract.ready`, `extract.drawing` and `extract.drawings`.

    Raises:
        ValueError: there are no photographs; the place holds drawings of another model or other
            options, or another file in a drawing's place; or an image could not be read, which is
            told after the last drawing.
        StorageError: a store cannot be used.
    """
    source, target = open_store(job.source), open_store(job.target)
    _refuse_within(source, target)
    photographs = _photographs(source)
    _pin(target, {"model": _model_hash(job), **job.options.pins()})
    there = set(target.keys(""))
    waiting = [photo for photo in photographs if job.drawing_key(photo.name) not in there]
    on_event("extract.ready", to_draw=len(waiting), there=len(photographs) - len(waiting))
    parts = [tuple(waiting[n : n + _PART]) for n in range(0, len(waiting), _PART)]

    def draw(part: Sequence[Photograph]) -> list[str]:
        return _draw_part(job, device, part)

    done, failed = 0, list[ValueError]()
    for part, errors in spread(draw, parts):
        done += len(part)
        failed += map(ValueError, errors)
        for error in errors:
            on_event("extract.failed", reason=error)
        on_event("extract.drawing", done=done, total=len(waiting), image=part[-1].name)
    refuse_unreadable(failed, len(photographs))
    on_event("extract.drawings", images=len(photographs), out=target.url)
    return len(photographs)


def _draw_part(job: Job, device: str, part: Sequence[Photograph]) -> list[str]:
    """Draw some photographs on a worker; return why some could not be."""
    source, target = open_store(job.source), open_store(job.target)
    extractor = _load(job, device)
    errors = []
    with TemporaryDirectory() as folder:
        for photograph in part:
            try:
                drawing = _draw(job, extractor, photograph, source, Path(folder))
            except StorageError:
                raise
            except ValueError as error:
                errors.append(str(error).replace(f"{folder}/", ""))
                continue
            key = job.drawing_key(photograph.name)
            if target.create(key, drawing) is Created.OTHER:
                errors.append(f"{key}: another file is in its place, and stays")
    return errors


def _draw(
    job: Job, extractor: Extractor, photograph: Photograph, source: Store, folder: Path
) -> bytes:
    # Readers tell formats by suffixes, and decoders want files.
    path = folder / photograph.path.name
    path.write_bytes(source.read(photograph.path.as_posix()))
    drawing = extractor.sketch(read_photograph(path), job.options.short_side_px)
    opacity = read_opacity(path) if job.options.finish.form == "alpha" else None
    path.unlink()
    return job.options.finish.encoded(drawing, opacity)


@lru_cache(maxsize=1)
def _load(job: Job, device: str) -> Extractor:
    torch.set_num_threads(1)
    return load_extractor(Path(job.cache.local_path(job.model)), device, job.options.dtype)


def _model_hash(job: Job) -> str:
    return str(read_config(Path(job.cache.local_path(job.model)))["sha256"])


def _photographs(source: Store) -> list[Photograph]:
    """List a store's photographs, with their keys as paths; hidden ones are left out."""
    found = []
    for key in source.keys(""):
        path = PurePosixPath(key)
        hidden = any(part.startswith(".") for part in path.parts)
        if path.suffix.lower() in SUFFIXES and not hidden:
            found.append(Photograph(path.with_suffix("").as_posix(), Path(key)))
    if not found:
        raise ValueError(f"{source.url}: no images there ({' '.join(sorted(SUFFIXES))})")
    refuse_twins(found)
    return found


def _refuse_within(source: Store, target: Store) -> None:
    if f"{target.url}/".startswith(f"{source.url}/"):
        raise ValueError(
            f"--out {target.url} is or lies in {source.url}, whose photographs are drawn: drawings "
            "there would be drawn themselves the next time. Give an --out outside of it"
        )


def _pin(target: Store, pins: Mapping[str, Any]) -> None:
    """Let a place say how its drawings are made; ValueError where it says something else."""
    content = json.dumps(dict(pins), indent=2, sort_keys=True).encode() + b"\n"
    if target.create(RECORD, content) is not Created.OTHER:
        return
    try:
        before = json.loads(target.read(RECORD))
    except (MissingKeyError, ValueError):
        before = {}
    raise ValueError(f"{target.url} {made_otherwise(before, pins)}: give another --out")
