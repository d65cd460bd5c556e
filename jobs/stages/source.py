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
        location = session.cache.local_path(locate_backbone(recipe.backbone))
        backbone = load_backbone(location, machine.device, machine.dtype)
        source = make_source(backbone, recipe.example, recipe.sampler)
        write_source(source, session.folder.source)
        session.place.publish("source")
    session.events(
        "source.ready", image=f"{recipe.run}/source/{IMAGE_FILE}", drawing=recipe.drawing_path
    )
