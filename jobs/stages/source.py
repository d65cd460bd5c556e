"""`onesketch source`: the image to draw over."""

from __future__ import annotations

from jobs.runtime.session import Session
from jobs.runtime.weights import locate_backbone
from pipeline.diffusion.backbone import load_backbone
from pipeline.diffusion.example import IMAGE_FILE, make_source, write_source


def run_source(session: Session) -> None:
    """Make the example's image from prompt and seed, and keep what it was made from."""
    recipe, machine = session.recipe, session.machine
    with session.events.stage("source"):
        backbone = load_backbone(locate_backbone(recipe.backbone), machine.device, machine.dtype)
        source = make_source(backbone, recipe.example, recipe.sampler)
        write_source(source, session.folder.source)
    session.events(
        "source.ready", image=str(session.folder.source / IMAGE_FILE), drawing=recipe.drawing_path
    )
