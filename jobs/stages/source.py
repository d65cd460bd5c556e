"""`onesketch source`: the image to draw over."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.nodes.cluster import Share
from jobs.nodes.models import Models
from jobs.nodes.node_task import run_where_models_are
from jobs.runtime.session import Session
from pipeline.diffusion.backbone import load_backbone
from pipeline.diffusion.example import IMAGE_FILE, make_source, write_source


def run_source(session: Session) -> None:
    """Make the example's image from prompt and seed, and keep what it was made from."""
    recipe = session.recipe
    with session.events.stage("source"):
        run_where_models_are(_SourceImage(Models.of(recipe)), session)
    session.events(
        "source.ready", image=f"{recipe.run}/source/{IMAGE_FILE}", drawing=recipe.drawing_path
    )


@dataclass(frozen=True)
class _SourceImage:
    models: Models

    def __call__(self, session: Session, share: Share | None) -> None:
        """Sample it with the backbone of this node."""
        machine, recipe = session.machine, session.recipe
        location = self.models.find("backbone", session.cache)
        backbone = load_backbone(location, machine.device, machine.dtype)
        source = make_source(backbone, recipe.example, recipe.sampler)
        write_source(source, session.folder.source)
        session.place.publish("source")
