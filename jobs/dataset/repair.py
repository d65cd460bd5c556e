"""`onesketch repair`: remove what verification finds faulty, and generate just that again."""

from __future__ import annotations

from jobs.dataset.verify import EXIT_SOUND, exit_code, print_verdict
from jobs.nodes.teacher_factory import teacher_factory
from jobs.runtime.provenance import versions
from jobs.runtime.session import Session
from jobs.stages.generate import Fleet, run_generate
from pipeline.dataset.plan import PlanMismatchError, plan_from_recipe, read_plan
from pipeline.storage.address import open_store
from pipeline.storage.probe import probe
from pipeline.storage.store import Store
from pipeline.upkeep.repair import remove_faulty
from pipeline.upkeep.verify import verify


def run_repair(session: Session, single_writer: bool = False) -> int:
    """Verify, make again what is faulty, verify again; return the exit code of `verify`.

    Args:
        single_writer: as `generate` has it.

    Raises:
        PlanMismatchError: the dataset is of another recipe or teacher; nothing was changed.
        StorageError: the store fails.
    """
    store = open_store(session.recipe.dataset.out, single_writer)
    _check_can_regenerate(session, store)
    # What `generate` would refuse must come to light before anything is removed.
    probe(store)
    verdict = verify(store, session.events)
    print_verdict(verdict, store.url)
    if exit_code(verdict) == EXIT_SOUND:
        print("nothing to repair")
        return EXIT_SOUND
    for name in remove_faulty(store, verdict.findings):
        session.events("repair.removed", file=name)
    run_generate(session, Fleet(single_writer=single_writer))
    verdict = verify(store, session.events)
    print_verdict(verdict, store.url)
    return exit_code(verdict)


def _check_can_regenerate(session: Session, store: Store) -> None:
    """Refuse to repair a dataset of another recipe or teacher.

    Before anything is removed: what cannot be made again is worth more with its faults.
    """
    stored = read_plan(store)
    fingerprint = teacher_factory(session).fingerprint()
    found = plan_from_recipe(session.recipe, fingerprint, versions()).differences(stored)
    if found:
        raise PlanMismatchError(
            f"{store.url} was made by another recipe or teacher, so this one cannot repair it; "
            f"nothing was changed. Differences: {'; '.join(found)}"
        )
