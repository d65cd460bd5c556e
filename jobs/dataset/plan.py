"""`onesketch plan`: what a dataset will take, measured on a few of its batches; a dry run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from jobs.nodes.cluster import Share
from jobs.nodes.node_task import run_where_models_are
from jobs.nodes.teacher_factory import TeacherFactory, teacher_factory
from jobs.pages.answers import print_json
from jobs.pages.durations import in_words
from jobs.pages.tables import counted, print_table
from jobs.runtime.devices import Machine
from jobs.runtime.provenance import processor, versions
from jobs.runtime.session import Session
from pipeline.dataset import layout
from pipeline.dataset.commit import committed_shards
from pipeline.dataset.plan import Plan, plan_from_recipe, read_plan
from pipeline.generation.estimate import Estimate, Measurements, Trial, estimate, run_trial
from pipeline.generation.scheduling import Policy
from pipeline.recipe.workers import WorkerRange
from pipeline.render import readable_size
from pipeline.storage.address import open_store
from pipeline.storage.probe import check_reachable
from pipeline.storage.store import StorageError
from pipeline.teachers.teacher import Teacher

_TRIAL_BATCHES = 4
_TRIAL_BUDGET_S = 60.0
_SECONDS_PER_HOUR = 3600


def run_plan(session: Session, price: float, workers: WorkerRange, as_json: bool = False) -> None:
    """Time a few batches of a recipe's dataset and print what all of it will take.

    The store is read, to see what is there already, and never written.

    Args:
        price: of one worker and hour, in any money; 0: not known.
        workers: how many will be at work; `auto`: by the machine, or by the cluster.
        as_json: for programs.
    """
    recipe = session.recipe
    factory = teacher_factory(session)
    with session.events.stage("plan"):
        plan = plan_from_recipe(recipe, factory.fingerprint(), versions())
        there, done = _look_at_store(recipe.dataset.out, plan)
        if len(done) == plan.num_shards:
            if as_json:
                print_json(_plan_fields(plan, recipe.dataset.out, len(done)) | {"pairs": 0})
                return
            print(
                f"{recipe.dataset.out}: all {plan.samples:,} pairs are there; nothing is left to do"
            )
            return
        timed = run_where_models_are(_Timing(plan), session)
    trial, used = timed.trial, workers.most or timed.workers
    found = estimate(plan, trial, used, done)
    if as_json:
        fields = _plan_fields(plan, recipe.dataset.out, len(done)) | asdict(found)
        margins = {"time_margin": trial.pace_s.margin, "size_margin": trial.pair_bytes.margin}
        paid = {"price": found.paid_h * price} if price else {}
        print_json(fields | margins | {"workers": used} | paid)
        return
    unit = "GPU" if timed.on_gpu else "worker"
    print_table(
        [
            ("dataset", recipe.dataset.out),
            ("planned", f"{plan.samples:,} pairs in {plan.num_shards:,} shards"),
            ("already there", there),
            *_estimate_rows(found, trial, used, unit),
            *_price_row(found, price, unit),
        ]
    )
    print(f"\n{_trial_text(timed)}")


def _plan_fields(plan: Plan, out: str, done: int) -> dict[str, Any]:
    return {
        "dataset": out,
        "planned_pairs": plan.samples,
        "planned_shards": plan.num_shards,
        "shards_there": done,
    }


def _look_at_store(out: str, plan: Plan) -> tuple[str, list[int]]:
    """Say what the store holds at the dataset's address, and which shards are done."""
    store = open_store(out)
    try:
        check_reachable(store)  # Asking for one object does not tell whether the bucket exists.
        if not store.exists(layout.PLAN):
            return "nothing", []
        differences = read_plan(store).differences(plan)
        done = [shard for shard in committed_shards(store) if shard < plan.num_shards]
    except StorageError as error:
        return f"unknown: {error}", []
    if differences:
        return "a dataset of another plan, which generate will refuse to continue", []
    return f"{counted(len(done), 'shard')}; what follows is for the rest", done


@dataclass(frozen=True)
class _Timed:
    """What a trial found, and on what: the machine in words, and how many workers there are."""

    trial: Trial
    machine: str
    on_gpu: bool
    workers: int


@dataclass(frozen=True)
class _Timing:
    plan: Plan

    def __call__(self, session: Session, share: Share | None) -> _Timed:
        """Time batches of the plan on this node."""
        machine = session.machine
        return _Timed(
            _time_batches(teacher_factory(session), self.plan, machine),
            _machine_text(machine),
            machine.num_gpus > 0,
            share.workers if share else machine.num_gpus or machine.num_cpus,
        )


def _time_batches(factory: TeacherFactory, plan: Plan, machine: Machine) -> Trial:
    """Time batches on as many processor threads as a worker has."""
    threads = torch.get_num_threads()

    def load() -> Teacher:
        return factory()

    if not machine.num_gpus:
        torch.set_num_threads(max(int(Policy().cpus_per_worker), 1))
    try:
        return run_trial(plan, load, _TRIAL_BATCHES, _TRIAL_BUDGET_S)
    finally:
        torch.set_num_threads(threads)


def _estimate_rows(found: Estimate, trial: Trial, workers: int, unit: str) -> list[tuple[str, str]]:
    """Say what is left to do, with the margin that the trial's spread leaves."""
    pace, size = trial.pace_s, trial.pair_bytes
    return [
        ("size", f"{readable_size(round(found.size_bytes))} {_margin_text(size)}"),
        (f"{unit}-hours", f"{found.busy_h:.3g} {_margin_text(pace)}"),
        (
            f"time with {counted(workers, 'worker')}",
            f"{in_words(found.wall_h * _SECONDS_PER_HOUR)} {_margin_text(pace)}",
        ),
    ]


def _price_row(found: Estimate, price: float, unit: str) -> list[tuple[str, str]]:
    """Say what it costs when all workers are paid from start to end."""
    if not price:
        return [("price", "unknown: give --price, what one worker costs an hour")]
    paid = f"{found.paid_h:.3g} paid {unit}-hours at {price:g}, all workers from start to end"
    return [("price", f"{found.paid_h * price:,.2f} ({paid})")]


def _margin_text(measured: Measurements) -> str:
    """Write a margin; a single measurement has none."""
    if len(measured.values) < 2:
        return "(one measurement: spread unknown)"
    return f"± {measured.margin:.1%}"


def _machine_text(machine: Machine) -> str:
    return f"{machine.device} ({processor()})"


def _trial_text(found: _Timed) -> str:
    """Say what the estimate is based on."""
    trial = found.trial
    sampling, encoding, size = trial.sampling_s, trial.encoding_s, trial.pair_bytes
    timed = "1 batch" if len(sampling.values) == 1 else f"{len(sampling.values)} batches"
    return "\n".join(
        [
            f"Estimated from {timed} spread over the dataset, on {found.machine}:",
            f"  sampling {sampling.mean:.3g} s a pair (standard deviation {sampling.deviation:.2g} "
            f"over the batches), encoding {encoding.mean:.2g} s beside it",
            f"  {readable_size(round(size.mean))} a pair (standard deviation "
            f"{readable_size(round(size.deviation))} over {len(size.values)} pairs)",
            f"  {in_words(trial.load_s)} for a worker to load the teacher and warm up",
            "± is two standard errors of the mean. Workers are taken to be as fast as this machine "
            "with one of them at work,\nand the store to keep up with them; work that is lost and "
            "repeated is not counted.",
        ]
    )
