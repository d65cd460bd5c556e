"""`onesketch all`: from the drawing to the extractor as one job that resumes by stage."""

from __future__ import annotations

from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.session import Session
from jobs.stages.distill import run_distill
from jobs.stages.generate import Fleet, run_generate
from jobs.stages.source import run_source
from jobs.stages.teach import run_teach
from pipeline.diffusion.example import RECORD_FILE


def run_all(session: Session, fleet: Fleet) -> None:
    """Teach, generate, distill; what is finished is only checked."""
    session.place.fetch("source")
    if not (session.folder.source / RECORD_FILE).is_file():
        run_source(session)
    # One Ray for all: its start takes longer than some stages.
    with ray_runtime(session.asked):
        run_teach(session)
        run_generate(session, fleet)
        run_distill(session)
