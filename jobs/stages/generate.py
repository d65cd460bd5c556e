"""`onesketch generate`: the dataset, shard by shard, on Ray actors."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from jobs.nodes.cluster import check_store_of_nodes, share_cluster
from jobs.nodes.ray_session import ray_runtime
from jobs.nodes.teacher_factory import TeacherFactory, teacher_factory
from jobs.runtime.provenance import versions
from jobs.runtime.session import Session
from jobs.stages.run_summary import Tally, summary_table
from pipeline.dataset.commit import committed_shards
from pipeline.dataset.plan import Plan, check_plan, plan_from_recipe
from pipeline.events import OnEvent
from pipeline.generation.ray_actors import generate
from pipeline.generation.scheduling import Policy
from pipeline.generation.summary import Summary
from pipeline.publishing.finish import manifest_of_complete
from pipeline.recipe.workers import WorkerRange
from pipeline.storage.address import open_store
from pipeline.storage.probe import check_reachable
from pipeline.storage.store import StorageError, Store


@dataclass(frozen=True)
class Fleet:
    """How many workers make the dataset, and with what.

    Attributes:
        workers: Ray actors.
        gpus_per_worker: also a fraction; where the cluster has GPUs.
        grace_s: how long running shards may go on after SIGTERM.
        single_writer: vouch that no other run writes there, for stores that cannot guard names.
        price: of a worker and hour, in any money, for the record of the run; 0: not known.
    """

    workers: WorkerRange = field(default_factory=WorkerRange)
    gpus_per_worker: float = 1.0
    grace_s: float = Policy.grace_s
    single_writer: bool = False
    price: float = 0.0


def run_generate(session: Session, fleet: Fleet | None = None) -> None:
    """Write what is missing of the dataset."""
    recipe, fleet = session.recipe, fleet or Fleet()
    with session.events.stage("generate"):
        store = open_store(recipe.dataset.out, fleet.single_writer)
        factory = teacher_factory(session)
        check_reachable(store)
        plan = plan_from_recipe(recipe, factory.fingerprint(), versions())
        # Where another dataset lies, Ray need not be started first.
        stored = check_plan(store, plan)
        if stored and stored.license != recipe.dataset.license:
            session.events(
                "generate.license",
                stated=stored.license or "none",
                recipe=recipe.dataset.license or "none",
                kept="the stated one, since the dataset is begun; its README.md may be edited",
            )
        finished = manifest_of_complete(store, stored) if stored else None
        if finished is not None:
            pairs = finished.counts.committed
            session.events("generate.ready", dataset=recipe.dataset.out, pairs=pairs, made=0)
            return
        tally = Tally(session.events)
        try:
            summary = _make_missing(session, fleet, plan, store, factory, tally)
        except KeyboardInterrupt:
            with suppress(StorageError):
                done = committed_shards(store)
                kept = sum(len(plan.indices(shard)) for shard in done)
                session.events("generate.stopped", kept=kept, of=plan.samples, what="pairs")
                stopped = tally.summary(plan.samples, kept, plan.num_shards)
                _record(session, fleet, "stopped", stopped)
            raise
    _record(session, fleet, "finished", summary)
    session.events.console.print(summary_table(summary))
    session.events(
        "generate.ready",
        dataset=recipe.dataset.out,
        pairs=summary.committed,
        made=summary.pairs_made,
    )


def _record(
    session: Session, fleet: Fleet, end: Literal["finished", "stopped"], summary: Summary
) -> None:
    """Add a run to those that have worked on the dataset."""
    at = {end: datetime.now(UTC).isoformat(timespec="seconds")}
    paid = {"money": fleet.price * summary.worker_hours} if fleet.price else {}
    session.place.add_generation(at | summary.to_dict() | paid)


def _make_missing(
    session: Session,
    fleet: Fleet,
    plan: Plan,
    store: Store,
    factory: TeacherFactory,
    on_event: OnEvent,
) -> Summary:
    """Make the shards that a plan still lacks, on Ray."""
    with ray_runtime(session.asked):
        share = share_cluster(session.asked, fleet.workers, fleet.gpus_per_worker)
        check_store_of_nodes(store, share)
        session.events("generate.workers", workers=share.workers, gpus_per_worker=share.gpus)
        return generate(
            plan,
            store,
            replace(factory, device=share.device),
            workers=share.workers,
            gpus_per_worker=share.gpus,
            on_event=on_event,
            policy=Policy(grace_s=fleet.grace_s),
        )
