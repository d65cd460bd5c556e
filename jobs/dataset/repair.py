"""`onesketch repair`: take away what verification faults, and generate just that again."""

from jobs.dataset.verify import EXIT_SOUND, exit_code, print_verdict
from jobs.runtime.provenance import versions
from jobs.runtime.session import Session
from jobs.runtime.teacher_factory import teacher_factory
from jobs.stages.generate import run_generate
from pipeline.dataset.plan import PlanMismatchError, plan_from_recipe, read_plan
from pipeline.storage.address import open_store
from pipeline.storage.probe import probe
from pipeline.storage.store import Store
from pipeline.upkeep.repair import remove_faulty
from pipeline.upkeep.verify import verify


def check_can_regenerate(session: Session, store: Store) -> None:
    """Raise PlanMismatchError unless this recipe and teacher are those of the dataset.

    Before anything is taken away: what cannot be made again is worth more with its faults.
    """
    stored = read_plan(store)
    fingerprint = teacher_factory(session.recipe, session.machine).fingerprint()
    found = plan_from_recipe(session.recipe, fingerprint, versions()).differences(stored)
    if found:
        raise PlanMismatchError(
            f"{store.url} was made by another recipe or teacher, which cannot repair it; nothing "
            f"was changed. Differences: {'; '.join(found)}"
        )


def run_repair(session: Session, single_writer: bool = False) -> int:
    """Verify, make again what has faults, verify again; gives the exit code of `verify`."""
    store = open_store(session.recipe.dataset.out, single_writer)
    check_can_regenerate(session, store)
    # What `generate` would refuse must come to light before anything is taken away.
    probe(store, single_writer)
    verdict = verify(store, session.events)
    print_verdict(verdict, store.url)
    if exit_code(verdict) == EXIT_SOUND:
        print("nothing to repair")
        return EXIT_SOUND
    for name in remove_faulty(store, verdict.findings):
        session.events("repair.removed", file=name)
    run_generate(session, single_writer=single_writer)
    verdict = verify(store, session.events)
    print_verdict(verdict, store.url)
    return exit_code(verdict)
