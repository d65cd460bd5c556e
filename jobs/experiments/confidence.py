"""`onesketch confidence`: DiffSketch's Table 5 for two domains of images and sketches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from jobs.runtime.devices import Machine
from jobs.runtime.events import Events
from jobs.runtime.provenance import describe_machine, versions
from jobs.runtime.weights import locate
from pipeline.pixels import image_from_uint8, sketch_from_uint8, unit_from_signed
from pipeline.whole_file import write_json, write_text
from training.encoders.clip import ClipEncoder, load_clip
from training.evaluation.confidence import Domain, confidences
from training.evaluation.pairs import EvaluationPair, folder_pairs
from training.tensor_hash import sha256_of_network

_IMAGES = "images"
_FIGURES, _TABLE = "confidence.json", "confidence.md"


@dataclass(frozen=True)
class _DomainFolder:
    """A domain on disk: its name, and its pairs by style."""

    name: str
    styles: Mapping[str, Sequence[EvaluationPair]]


def run_confidence(
    domain_a: Path, domain_b: Path, out: Path, clip: str, machine: Machine, events: Events
) -> None:
    """Score two domains in every style; print the table, write it with its figures.

    Args:
        domain_a: folder with images/ and one folder per style, sketches matched by name.
        domain_b: the same of another domain, with the same styles.
        out: folder for what is written.
        clip: a recipe's name of the CLIP.

    Raises:
        ValueError: a domain lacks its images, its styles or a sketch, or the domains do not go
            together.
    """
    a, b = _open_domain(domain_a), _open_domain(domain_b)
    _check_same_styles(a, b)
    encoder = load_clip(locate("clip", clip), machine.device)
    with events.stage("confidence"):
        columns = {}
        for done, style in enumerate(a.styles, 1):
            columns[style] = confidences(
                _embed(encoder, a.styles[style]), _embed(encoder, b.styles[style])
            )
            events("confidence.style", done=done, total=len(a.styles), style=style)
    heads, rows = [*columns, "Average"], _table_rows(columns, a.name, b.name)
    figures = {
        "rows": {name: dict(zip(heads, values, strict=True)) for name, values in rows.items()},
        "pairs": {domain.name: len(next(iter(domain.styles.values()))) for domain in (a, b)},
        "clip": encoder.label,
        "clip_sha256": sha256_of_network(encoder),
        "machine": describe_machine(machine),
        "versions": versions(),
    }
    write_json(out / _FIGURES, figures)
    write_text(out / _TABLE, _to_markdown(heads, rows, figures))
    _print_confidences(heads, rows, f"Confidence by CLIP ({encoder.label}), per cent")
    events("confidence.ready", table=str(out / _TABLE))


def _open_domain(folder: Path) -> _DomainFolder:
    """Find a domain's images and styles."""
    images = folder / _IMAGES
    if not images.is_dir():
        raise ValueError(f"{folder}: expected a folder {_IMAGES}/ and one folder per style in it")
    styles = sorted(p for p in folder.iterdir() if p.is_dir() and p.name != _IMAGES)
    if not styles:
        raise ValueError(
            f"{folder}: no folder of sketches beside {_IMAGES}/; expected one per style"
        )
    return _DomainFolder(folder.resolve().name, {p.name: folder_pairs(images, p) for p in styles})


def _check_same_styles(a: _DomainFolder, b: _DomainFolder) -> None:
    """Refuse domains with other styles, or with one name."""
    alone = sorted(a.styles.keys() ^ b.styles.keys())
    if alone:
        raise ValueError(
            f"styles {', '.join(alone)} are in one of {a.name} and {b.name} only: confidence "
            "compares the same styles in both; add the folder, or move it away"
        )
    if a.name == b.name:
        raise ValueError(
            f"both domains are called {a.name}: rename a folder, since the table tells them apart "
            "by name"
        )


@torch.no_grad()
def _embed(clip: ClipEncoder, pairs: Sequence[EvaluationPair]) -> Domain:
    """Embed a domain's pairs in one style, one by one: their sizes may differ.

    Whole pictures are squeezed to CLIP's square, as the losses do, images and sketches alike.
    """

    def embedded() -> Iterator[Tensor]:
        device = clip.mean.device
        for pair in pairs:
            image, sketch = pair.read()
            pixels = unit_from_signed(image_from_uint8(image)), sketch_from_uint8(sketch)
            yield torch.cat([clip.image(x.to(device)) for x in pixels]).cpu()

    return Domain(*torch.stack(list(embedded())).unbind(1))  # (N, 2, D) -> two of (N, D)


def _table_rows(
    columns: Mapping[str, Mapping[str, float]], a: str, b: str
) -> dict[str, list[float]]:
    """Turn one column per style into Table 5's rows, the average last."""
    names = {"a,a": f"confidence({a}, {a})", "b,b": f"confidence({b}, {b})",
             "a,b": f"confidence({a}, {b})"}  # fmt: skip
    rows = {}
    for key, name in names.items():
        values = [column[key] for column in columns.values()]
        rows[name] = [*values, sum(values) / len(values)]
    return rows


def _print_confidences(
    heads: Sequence[str], rows: Mapping[str, Sequence[float]], title: str
) -> None:
    table = Table("Similarity", *heads, title=title, title_justify="left")
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.4f}" for value in values))
    Console().print(table)


def _to_markdown(
    heads: Sequence[str], rows: Mapping[str, Sequence[float]], figures: Mapping[str, Any]
) -> str:
    """Write the table as a page of its own."""
    lines = [f"| {' | '.join(['Similarity', *heads])} |", "|---" + "|---:" * len(heads) + "|"]
    lines += [
        f"| {' | '.join([name, *(f'{value:.4f}' for value in values)])} |"
        for name, values in rows.items()
    ]
    counts = ", ".join(f"{count} pairs of {name}" for name, count in figures["pairs"].items())
    return "\n".join([
        "# Confidence of the directional CLIP losses", "", *lines, "",
        "Sim within a domain or across both, in per cent of Sim over all pairs (equations 6 and "
        "7 of the paper); above 100: the losses can be trusted more than on average.", "",
        f"In each style {counts}. CLIP: {figures['clip']}.", "",
    ])  # fmt: skip
