"""`onesketch demo`: the six commands in order on one recipe, and the page about them."""

from __future__ import annotations

from jobs.evaluation.evaluate import Measurement, run_evaluate
from jobs.extract.extract import ExtractOptions, run_extract
from jobs.nodes.ray_session import ray_runtime
from jobs.report.report import write_report
from jobs.runtime.session import Session
from jobs.stages.distill import run_distill
from jobs.stages.generate import run_generate
from jobs.stages.source import run_source
from jobs.stages.teach import run_teach
from pipeline.images.find import BUNDLED


def run_demo(session: Session) -> None:
    """Run every stage in order; teach, generate and distill resume."""
    run_source(session)
    run_teach(session)
    # One Ray for both: its start takes longer than some stages.
    with ray_runtime(session.asked):
        run_generate(session)
        run_distill(session)
    _extract_bundled(session)
    _evaluate(session)
    page = write_report(session)
    session.events("report.ready", page=str(page))


def _extract_bundled(session: Session) -> None:
    """Draw the bundled photographs."""
    folder = session.folder
    with session.events.stage("extract"):
        # Those of an extractor before this one are replaced: the folder is the demo's own.
        options = ExtractOptions(again=True)
        run_extract(
            folder.extractor, [BUNDLED], folder.drawings, session.machine, session.events, options
        )


def _evaluate(session: Session) -> None:
    """Score teacher and extractor on what neither has seen."""
    folder = session.folder
    measurement = Measurement(perceptual=session.recipe.teach.perceptual)
    with session.events.stage("evaluate"):
        run_evaluate(
            folder.extractor,
            folder.evaluation,
            measurement,
            session,
            session.machine,
            session.events,
        )
