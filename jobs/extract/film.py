"""`onesketch extract-video`: a film in, a film of its drawings out, with the same times and sound.

It is drawn in parts, here or by any number of Ray workers, which make the same bytes. Parts lie
beside the new film until it is whole: a command that was stopped goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from jobs.extract.extract import load_extractor
from jobs.extract.far import Spread
from jobs.runtime.devices import Machine
from pipeline.arrays import Pixels
from pipeline.canonical import sha256, to_bytes
from pipeline.events import OnEvent
from pipeline.video.film import PART_FRAMES, FilmStyle, Part, draw_part, plan_parts, total_flicker
from pipeline.video.reader import FilmMetadata, read_metadata
from pipeline.video.steady import Flicker
from pipeline.video.writer import check_form, join
from pipeline.whole_file import write_json
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import read_config

# Of frames drawn here, an event at most so often.
_EVENT_EVERY_S = 1.0


@dataclass(frozen=True)
class FilmOptions:
    """How a film is drawn.

    Attributes:
        style: form, lines, steadiness.
        short_side_px: draw at this resolution; None: at the film's own.
        dtype: of the network.
        batch: the most frames that are drawn at once.
        again: replace a film of this name.
        part_frames: frames of a part.
    """

    style: FilmStyle = field(default_factory=FilmStyle)
    short_side_px: int | None = None
    dtype: torch.dtype = torch.float32
    batch: int = 4
    again: bool = False
    part_frames: int = PART_FRAMES


@dataclass(frozen=True)
class FilmJob:
    """What every worker needs to know: which model, which film, where parts go, and how."""

    model: Path
    film: Path
    parts: Path
    suffix: str
    options: FilmOptions

    def part_file(self, number: int) -> Path:
        """Return the file of a part."""
        return self.parts / f"{number:06d}{self.suffix}"

    def report_file(self, number: int) -> Path:
        """Return the file that says that a part is whole."""
        return self.parts / f"{number:06d}.json"


def run_extract_film(
    model: Path,
    film: Path,
    out: Path,
    machine: Machine,
    on_event: OnEvent,
    options: FilmOptions | None = None,
    spread: Spread | None = None,
) -> Mapping[str, float]:
    """Draw a film; return its figures: frames, and flicker as drawn and as written.

    Args:
        model: folder of the extractor.
        film: the file.
        out: the new file; its name says which kind.
        machine: where to draw.
        on_event: is told `extract.frames`, `extract.part` and `extract.film`.
        options: how.
        spread: runs a function on many items, on Ray workers of this machine, or on nodes that
            share the folders; None: all is drawn here.

    Raises:
        ValueError: `out` is there, or the film itself, or its name does not fit; there is no such
            film or extractor; or the film cannot be read.
    """
    options = options or FilmOptions()
    _check_out(film, out, options)
    metadata = read_metadata(film)
    parts = plan_parts(metadata, options.part_frames)
    folder = _parts_folder(out, model, film, options)
    job = FilmJob(model.absolute(), film.absolute(), folder.absolute(), out.suffix, options)
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [part for part in parts if not job.report_file(part.number).is_file()]
    there = sum(part.frames for part in parts) - sum(part.frames for part in waiting)
    on_event("extract.ready", frames=len(metadata.times), there=there, parts=len(waiting))
    _draw_parts(job, metadata, waiting, machine.device, spread, on_event)
    reports = [json.loads(job.report_file(part.number).read_text()) for part in parts]
    frames = join(out, [job.part_file(part.number) for part in parts], film, metadata)
    shutil.rmtree(folder)
    figures = {"frames": frames, **_flicker(reports)}
    if frames != len(metadata.times):
        on_event("extract.film_cut_off", readable=frames, promised=len(metadata.times))
    on_event("extract.film", out=str(out), **figures)
    return figures


def _draw_parts(
    job: FilmJob,
    metadata: FilmMetadata,
    waiting: Sequence[Part],
    device: str,
    spread: Spread | None,
    on_event: OnEvent,
) -> None:
    if spread is None:
        total = sum(part.frames for part in waiting)
        counter = _Counter(total, on_event)
        for part in waiting:
            _draw_part(job, metadata, part, device, counter)
        return

    def draw(part: Part) -> None:
        torch.set_num_threads(1)
        _draw_part(job, metadata, part, device, None)

    for done, (part, _) in enumerate(spread(draw, waiting), 1):
        on_event("extract.part", done=done, total=len(waiting), part=part.number)


def _draw_part(
    job: FilmJob, metadata: FilmMetadata, part: Part, device: str, counter: _Counter | None
) -> None:
    extractor, options = _load(job.model, device, job.options.dtype), job.options

    def draw(pictures: Iterable[Pixels]) -> Iterator[Pixels]:
        for drawing in extractor.sketches(pictures, options.batch, options.short_side_px):
            if counter is not None:
                counter.count()
            yield drawing

    target = job.part_file(part.number)
    report = draw_part(job.film, part, draw, options.style, metadata, target)
    write_json(job.report_file(part.number), asdict(report))


@lru_cache(maxsize=1)
def _load(model: Path, device: str, dtype: torch.dtype) -> Extractor:
    return load_extractor(model, device, dtype)


class _Counter:
    """Tells how many frames are drawn, not too often."""

    def __init__(self, total: int, on_event: OnEvent) -> None:
        self._total, self._on_event = total, on_event
        self._done, self._told_s = 0, 0.0

    def count(self) -> None:
        """Count a frame; those that parts draw beforehand make the last count too high."""
        self._done = min(self._done + 1, self._total)
        now_s = time.monotonic()
        if now_s - self._told_s >= _EVENT_EVERY_S:
            self._told_s = now_s
            self._on_event("extract.frames", done=self._done, total=self._total)


def _check_out(film: Path, out: Path, options: FilmOptions) -> None:
    check_form(options.style.form, out)
    if os.path.realpath(film) == os.path.realpath(out):
        raise ValueError(f"--out {out} would replace the film itself: give another --out")
    if out.exists() and not options.again:
        raise ValueError(f"--out {out} is there: give another --out, or --again to replace it")
    if not out.absolute().parent.is_dir():
        raise ValueError(f"--out {out}: there is no folder {out.parent}")


def _parts_folder(out: Path, model: Path, film: Path, options: FilmOptions) -> Path:
    """Return where parts of this film by this model lie; those of other ways are removed."""
    state = film.stat()
    pins = {
        "model": read_config(model)["sha256"],
        "film": [state.st_size, state.st_mtime_ns],
        "style": asdict(options.style),
        "short_side": options.short_side_px,
        "dtype": str(options.dtype),
        "part_frames": options.part_frames,
    }
    stem = f".{out.name}-parts-"
    folder = out.parent / f"{stem}{sha256(to_bytes(pins))[:12]}"
    for other in out.absolute().parent.glob(f"{stem}*"):
        if other.name != folder.name:
            shutil.rmtree(other)
    return folder


def _flicker(reports: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {
        f"flicker_{kind}": round(total_flicker([Flicker(**report[kind]) for report in reports]), 3)
        for kind in ("drawn", "written")
    }
