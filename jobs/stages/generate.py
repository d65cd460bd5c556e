"""`onesketch generate`: the dataset, shard by shard, on Ray actors."""

from jobs.runtime.provenance import versions
from jobs.runtime.ray_session import ray_runtime
from jobs.runtime.ray_tasks import choose_workers
from jobs.runtime.session import Session
from jobs.runtime.teacher_factory import teacher_factory
from jobs.stages.run_summary import add_summary, summary_table
from pipeline.dataset import layout
from pipeline.dataset.plan import Plan, plan_from_recipe, write_or_check
from pipeline.generation.ray_actors import generate
from pipeline.generation.scheduling import Policy
from pipeline.storage.address import open_store
from pipeline.storage.probe import check_reachable


def refuse_other_plan(out: str, plan: Plan) -> None:
    """Raise PlanMismatchError where another dataset lies, before Ray is started for nothing."""
    store = open_store(out)
    if store.exists(layout.PLAN):
        write_or_check(store, plan)


def run_generate(session: Session, workers: int = 0, single_writer: bool = False) -> None:
    """Write what is missing of the dataset; 0 workers chooses by the machine.

    single_writer vouches that no other run writes there, for stores that cannot guard names.
    """
    recipe, machine = session.recipe, session.machine
    factory = teacher_factory(recipe, machine)
    with session.events.stage("generate"):
        check_reachable(open_store(recipe.dataset.out))
        plan = plan_from_recipe(recipe, factory.fingerprint(), versions())
        refuse_other_plan(recipe.dataset.out, plan)
        with ray_runtime(machine):
            summary = generate(
                plan,
                recipe.dataset.out,
                factory,
                workers=choose_workers(workers, machine),
                gpus_per_worker=1.0 if machine.num_gpus else 0.0,
                on_event=session.events,
                policy=Policy(single_writer=single_writer),
            )
    add_summary(session.folder.generation, summary)
    session.events.console.print(summary_table(summary))
    session.events("generate.ready", dataset=recipe.dataset.out, pairs=summary.committed)
