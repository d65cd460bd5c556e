"""`onesketch source`: the image to draw over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.nodes.cluster import Share
from jobs.nodes.models import Models
from jobs.nodes.node_task import run_where_models_are
from jobs.runtime.session import Session
from pipeline.diffusion.backbone import backbone_folder, fingerprint_folder, load_backbone
from pipeline.diffusion.example import (
    IMAGE_FILE,
    check_same_source,
    make_source,
    write_source,
)
from pipeline.images.read import read_photograph
from pipeline.images.resize import resized
from pipeline.images.write import write_png


def run_source(session: Session) -> None:
    """Make the example's image from prompt and seed; one that is there already is kept.

    Raises:
        ExampleError: another image is there, which somebody may have drawn over.
    """
    recipe = session.recipe
    with session.events.stage("source"):
        session.place.fetch("source")
        check_same_source(session.folder.source, recipe)
        run_where_models_are(_SourceImage(Models.of(recipe)), session)
    session.events(
        "source.ready", image=f"{recipe.run}/source/{IMAGE_FILE}", drawing=recipe.drawing_path
    )


def write_enlarged(session: Session, scale: int) -> Path:
    """Write the source image enlarged into the working directory, to draw over; return where.

    Raises:
        ValueError: another picture is there, which somebody may have drawn over.
    """
    session.place.fetch("source")  # Another node may have made it.
    image = read_photograph(session.folder.source / IMAGE_FILE)
    height, width = image.shape[:2]
    path = Path(f"{session.recipe.style}-x{scale}.png")
    larger = resized(image, scale * height, scale * width)
    if not path.exists():
        write_png(path, larger)
    elif not np.array_equal(read_photograph(path), larger):
        raise ValueError(
            f"{path} is there already, and stays: it is another picture, or has been drawn over. "
            "Move it away for a new one"
        )
    return path


@dataclass(frozen=True)
class _SourceImage:
    models: Models

    def __call__(self, session: Session, share: Share | None) -> None:
        """Sample it with the backbone of this node."""
        machine, recipe = session.machine, session.recipe
        location = self.models.find("backbone", session.cache)
        session.place.fetch("source")
        folder = session.folder.source
        if check_same_source(folder, recipe, fingerprint_folder(backbone_folder(location))):
            return
        backbone = load_backbone(location, machine.device, machine.dtype)
        source = make_source(backbone, recipe.example, recipe.sampler)
        write_source(source, folder)
        session.place.publish("source")
