"""`onesketch publish`: an extractor as a folder that others open, with its card, as the hub has it.

config.json, model.safetensors, onnx/model.onnx, README.md, samples.png, example/.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from jobs.evaluation.scores import EvaluationScores, read_scores
from jobs.evaluation.scores_section import score_groups
from jobs.extract.extract import load_extractor
from jobs.pages.page import TEMPLATES
from jobs.runtime.session import Session
from pipeline.arrays import Pixels
from pipeline.diffusion.drawing import read_drawing
from pipeline.events import OnEvent
from pipeline.images.find import bundled_photographs
from pipeline.images.read import read_photograph
from pipeline.images.write import write_png
from pipeline.render import render
from pipeline.storage.address import is_address, open_store
from pipeline.storage.bundle import publish_bundle
from pipeline.whole_file import whole_folder, write_bytes, write_text
from training.extraction.extractor import Extractor
from training.extraction.extractor_folder import CONFIG, MODEL, read_config
from training.extraction.onnx_extractor import ONNX

CARD, SAMPLES = "README.md", "samples.png"
# As the hub writes them: SPDX names in small letters, and `other`.
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")
# Photographs of the contact sheet, in this order, and their height in pixels.
_SHOWN = ("astronaut", "chelsea", "coffee", "rocket")
_HEIGHT_PX, _MARGIN_PX = 300, 12
_LARGE_FILES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in ("*.safetensors", "*.onnx")
)


@dataclass(frozen=True)
class Statement:
    """What only a person can state: who drew, and what others may do with the style.

    Raises:
        ValueError: one of them is missing.
    """

    author: str
    license: str

    def __post_init__(self) -> None:
        if not self.author.strip():
            raise ValueError("--author is empty: name who made the drawing; the style is theirs")
        if not _LICENSE.fullmatch(self.license):
            raise ValueError(
                f"--license {self.license!r}: expected the name of a licence as the hub has it, "
                "such as cc-by-4.0, cc0-1.0 or other; whoever drew decides it"
            )


def run_publish(session: Session, to: str, statement: Statement, onnx: bool = True) -> str:
    """Write the extractor of a run, with its card, into a new folder or address.

    Args:
        session: on the run's recipe.
        to: folder or address, with nothing in it.
        statement: of a person.
        onnx: also write ONNX, which takes the extra `onnx`.

    Returns:
        Where it is.

    Raises:
        ValueError: there is something already, or the run has no extractor.
        StorageError: the store cannot be used.
    """
    _refuse_taken(to)
    session.place.fetch("source", "example", "extractor", "evaluation")
    if is_address(to):
        with TemporaryDirectory() as folder:
            _fill(Path(folder), session, statement, onnx)
            store = open_store(to)
            publish_bundle(store, "", Path(folder))
            place = store.url
    else:
        with whole_folder(Path(to)) as folder:
            _fill(Path(folder), session, statement, onnx)
        place = to
    session.events("publish.folder", out=place)
    return place


def _refuse_taken(to: str) -> None:
    taken = bool(open_store(to).keys("")) if is_address(to) else _holds_something(Path(to))
    if taken:
        raise ValueError(f"--to {to} is not empty: give a new folder or address")


def _holds_something(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _fill(folder: Path, session: Session, statement: Statement, onnx: bool) -> None:
    run, recipe = session.folder, session.recipe
    extractor = load_extractor(run.extractor, "cpu", torch.float32)
    config = read_config(run.extractor)
    for name in (MODEL, CONFIG):
        shutil.copyfile(run.extractor / name, folder / name)
    if onnx:
        from training.extraction.onnx_export import export_onnx

        (folder / ONNX).parent.mkdir()
        parity_db = export_onnx(extractor, folder / ONNX)
        session.events("publish.onnx", parity_db=round(parity_db, 1))
    image = read_photograph(run.source / "image.png")
    (folder / "example").mkdir()
    write_png(folder / "example/image.png", image)
    drawing = read_drawing(session.drawing, image.shape[:2], recipe.example.invert)
    write_png(folder / "example/drawing.png", drawing)
    _write_samples(folder / SAMPLES, extractor, session.events)
    write_text(folder / ".gitattributes", _LARGE_FILES)
    scores = read_scores(run.evaluation)
    card = render(
        TEMPLATES / "extractor.md.j2",
        front=_front_matter(recipe.style, recipe.backbone, statement, scores),
        style=recipe.style,
        author=statement.author,
        license=statement.license,
        prompt=recipe.example.prompt,
        trained=config["trained"],
        student=f"{config['student']}, preset {recipe.distill.preset}",
        parameters=sum(parameter.numel() for parameter in extractor.network.parameters()),
        backbone=recipe.backbone,
        groups=score_groups(scores.sets),
        encoders=scores.encoders,
        onnx=onnx,
    )
    # Last: it says that all else is there.
    write_bytes(folder / CARD, card)


def _front_matter(
    style: str, backbone: str, statement: Statement, scores: EvaluationScores
) -> dict[str, Any]:
    """Return what the hub reads off a model's card."""
    front: dict[str, Any] = {
        "library_name": "onesketch",
        "pipeline_tag": "image-to-image",
        "license": statement.license,
        "tags": ["line-art", "sketch"],
    }
    if backbone.count("/") == 1 and not backbone.startswith((".", "/", "s3:")):
        front["base_model"] = backbone  # a name on the hub
    results = [
        {
            "task": {"type": "image-to-image"},
            "dataset": {"name": scored.name, "type": scored.name},
            "metrics": [
                {
                    "type": metric,
                    "value": round(means[metric], 4),
                    "name": _metric_name(metric, scores),
                }
                for metric in ("lpips", "ssim")
                if metric in means
            ],
        }
        for scored in scores.sets
        if scored.result and (means := _means(scored.result))
    ]
    if results:
        front["model-index"] = [{"name": style, "results": results}]
    return front


def _metric_name(metric: str, scores: EvaluationScores) -> str:
    """Say which network measured: scores by another one do not compare."""
    return f"LPIPS by {scores.encoders['lpips']}" if metric == "lpips" else metric.upper()


def _means(result: dict[str, Any]) -> dict[str, float]:
    """Return the extractor's mean scores of one set."""
    return {
        metric: float(score["mean"])
        for metric, score in result["systems"].get("extractor", {}).items()
        if isinstance(score, dict) and "mean" in score
    }


def _write_samples(path: Path, extractor: Extractor, on_event: OnEvent) -> None:
    """Lay photographs that no training has seen over their drawings."""
    shown = {photo.name: photo for photo in bundled_photographs()}
    pictures = [read_photograph(shown[name].path) for name in _SHOWN]
    drawings = list(extractor.sketches(pictures))
    on_event("publish.samples", pictures=len(pictures))
    write_png(path, _sheet(list(zip(pictures, drawings, strict=True))))


def _sheet(pairs: Sequence[tuple[Pixels, Pixels]]) -> Pixels:
    """Lay pairs side by side, each picture over its drawing: uint8 (H, W, 3)."""
    tiles = [[_fitted(pixels) for pixels in pair] for pair in pairs]
    width = sum(top.width for top, _ in tiles) + _MARGIN_PX * (len(tiles) + 1)
    sheet = Image.new("RGB", (width, 2 * _HEIGHT_PX + 3 * _MARGIN_PX), "white")
    left = _MARGIN_PX
    for top, bottom in tiles:
        sheet.paste(top, (left, _MARGIN_PX))
        sheet.paste(bottom, (left, _HEIGHT_PX + 2 * _MARGIN_PX))
        left += top.width + _MARGIN_PX
    return np.asarray(sheet)


def _fitted(pixels: Pixels) -> Image.Image:
    picture = Image.fromarray(pixels).convert("RGB")
    width = round(picture.width * _HEIGHT_PX / picture.height)
    return picture.resize((width, _HEIGHT_PX), Image.Resampling.LANCZOS)
