"""`onesketch demo`: the six commands in order on one recipe, and the page about them."""

from jobs.distill import run_distill
from jobs.evaluate import Measurement, run_evaluate
from jobs.extract import run_extract
from jobs.generate import run_generate
from jobs.photographs import BUNDLED
from jobs.ray_runtime import ray_runtime
from jobs.report import write_report
from jobs.session import Session
from jobs.source import run_source
from jobs.teach import run_teach


def extract_bundled(session: Session) -> None:
    """Draw the bundled photographs."""
    folder = session.folder
    with session.events.stage("extract"):
        run_extract(folder.extractor, [BUNDLED], folder.drawings, session.machine, session.events)


def evaluate_run(session: Session) -> None:
    """Score teacher and extractor on what neither has seen."""
    folder = session.folder
    measurement = Measurement(perceptual=session.recipe.teach.perceptual)
    with session.events.stage("evaluate"):
        run_evaluate(
            folder.extractor,
            folder.evaluation,
            measurement,
            session.recipe,
            session.machine,
            session.events,
        )


def run_demo(session: Session) -> None:
    """Go the whole way; what an earlier attempt finished is not done again."""
    run_source(session)
    run_teach(session)
    # One Ray for both: its start takes longer than some stages.
    with ray_runtime(session.machine):
        run_generate(session)
        run_distill(session)
    extract_bundled(session)
    evaluate_run(session)
    page = write_report(session.recipe, session.folder)
    session.events("report.ready", page=str(page))
