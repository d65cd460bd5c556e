"""`onesketch generate`: the dataset, shard by shard, on Ray actors."""

from __future__ import annotations

from jobs.runtime.provenance import versions
from jobs.runtime.ray_session import ray_runtime
from jobs.runtime.ray_tasks import choose_workers
from jobs.runtime.session import Session
from jobs.runtime.teacher_factory import teacher_factory
from jobs.stages.run_summary import add_summary, summary_table
from pipeline.dataset.plan import check_plan, plan_from_recipe
from pipeline.generation.ray_actors import generate
from pipeline.storage.address import open_store
from pipeline.storage.probe import check_reachable


def run_generate(session: Session, workers: int = 0, single_writer: bool = False) -> None:
    """Write what is missing of the dataset.

    Args:
        workers: Ray actors; 0 chooses by the machine.
        single_writer: vouch that no other run writes there, for stores that cannot guard names.
    """
    recipe, machine = session.recipe, session.machine
    factory = teacher_factory(recipe, machine)
    store = open_store(recipe.dataset.out, single_writer)
    with session.events.stage("generate"):
        check_reachable(store)
        plan = plan_from_recipe(recipe, factory.fingerprint(), versions())
        # Where another dataset lies, Ray need not be started first.
        check_plan(store, plan)
        with ray_runtime(machine):
            summary = generate(
                plan,
                store,
                factory,
                workers=choose_workers(workers, machine),
                gpus_per_worker=1.0 if machine.num_gpus else 0.0,
                on_event=session.events,
            )
    add_summary(session.folder.generation, summary)
    session.events.console.print(summary_table(summary))
    session.events("generate.ready", dataset=recipe.dataset.out, pairs=summary.committed)
