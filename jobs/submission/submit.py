"""`onesketch submit`: a stage of a run as a job of a cluster, started once and followed to its end.

What is wrong here, there, or with the store is found before anything is sent.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from jobs.pages.durations import in_words
from jobs.pages.tables import counted
from jobs.runtime.interrupts import Terminated
from jobs.submission.cluster import Cluster, ClusterError, Versions
from jobs.submission.follow import PATIENCE_S, Screen, follow_job
from jobs.submission.outcome import EXIT_FAILED, EXIT_NO_CONTACT, EXIT_OK, EXIT_STOPPED, Retries
from jobs.submission.request import Asked, Request, RequestError, build_request
from jobs.submission.run_store import (
    Shards,
    check_plan_at,
    check_store,
    estimate_rest,
    look_at_shards,
)
from jobs.submission.start import earlier_jobs, start_job
from pipeline.recipe.workers import worker_range
from pipeline.render import readable_size

Result = TypeVar("Result")

EXIT_DETACHED = 130
_SECONDS_PER_HOUR = 3600.0
# Before another try; it doubles up to the last.
_FIRST_PAUSE_S, _LAST_PAUSE_S = 5.0, 60.0
_POD_ADDRESS, _POD_JOB = "RAY_DASHBOARD_ADDRESS", "RAY_JOB_SUBMISSION_ID"


@dataclass(frozen=True)
class Conditions:
    """How a submission is made.

    Attributes:
        address: of the cluster's dashboard.
        retries: tries without progress in between, after the first.
        price: of a worker and hour; 0: not known.
        dry_run: show the request, and send nothing.
        yes: do not ask.
        detach: do not follow.
        again: also where the same submission has succeeded before.
        in_cluster: KubeRay's submitter pod: address and id come from its variables, retries are
            the operator's, and only a job's end ends this.
    """

    address: str = ""
    retries: int = 3
    price: float = 0.0
    dry_run: bool = False
    yes: bool = False
    detach: bool = False
    again: bool = False
    in_cluster: bool = False


def run_submit(asked: Asked, conditions: Conditions) -> int:
    """Submit a command, or attach to its job, and follow it.

    Returns:
        The exit code: the driver's; 143 if it was stopped, 75 if contact was lost, 130 if detached.

    Raises:
        ValueError: a person's mistake, found before anything was sent.
    """
    request = build_request(asked)
    pod_id = ""
    if conditions.in_cluster:
        address, pod_id = _variables_of_pod()
    else:
        address = conditions.address
    cluster = Cluster(address)
    _say_cluster(cluster, cluster.check_versions())
    submission = _Submission(cluster, request, conditions, pod_id)
    done = submission.find()
    if done is not None:
        return done
    if not submission.is_under_way:
        _check_stores(request, asked)
        _say_request(request)
        if request.kind.makes_pairs:
            _say_estimate(request, asked, conditions.price)
        if conditions.dry_run:
            shown = request.arguments("(the files above)") | {"submission_id": submission.job_id}
            print(json.dumps(shown, indent=2))
            return EXIT_OK
        if request.kind.makes_pairs and not conditions.yes and not _agreed():
            say("nothing was submitted")
            return EXIT_FAILED
    elif conditions.dry_run:
        return EXIT_OK
    return submission.run()


def say(line: str) -> None:
    """Show people a line, apart from the job's log."""
    print(line, file=sys.stderr, flush=True)


def screen() -> Screen:
    """Return this terminal: the log to stdout, our own lines to stderr."""

    def show(text: str) -> None:
        if text:
            print(text, end="", flush=True)

    return Screen(show, say)


def say_detached(cluster: Cluster, job_id: str, dataset: str) -> None:
    """Say how to come back to a job that goes on."""
    place = f"{job_id} --address {cluster.address}"
    say("detached; the job goes on.")
    say(f"  attach:   onesketch attach {place}")
    say(f"  stop:     onesketch stop {place}")
    say(f"  progress: onesketch status {dataset or 'DATASET'}")


def detached_code(error: KeyboardInterrupt) -> int:
    """Return the exit code of one who left: by Ctrl-C, or by SIGTERM."""
    return EXIT_STOPPED if isinstance(error, Terminated) else EXIT_DETACHED


class _Submission:
    """One submission's jobs on one cluster, one after the other."""

    def __init__(
        self, cluster: Cluster, request: Request, conditions: Conditions, pod_id: str
    ) -> None:
        self.cluster = cluster
        self.request = request
        self.conditions = conditions
        self.pod_id = pod_id
        self.job_id = pod_id
        self.is_under_way = False

    def find(self) -> int | None:
        """Choose the job's id; an exit code where there is nothing to do."""
        if self.pod_id:
            self.is_under_way = self.cluster.job(self.pod_id) is not None
            return None
        earlier = earlier_jobs(self.request.prefix, self.cluster.jobs())
        if earlier.alive is not None:
            self.job_id, self.is_under_way = earlier.alive.id, True
            say(f"job        {self.job_id} is under way already: attaching to it")
            return None
        if earlier.finished is not None and not self.conditions.again:
            say(f"job        {earlier.finished.id} has succeeded already: nothing is left to do")
            say("           (--again submits it anew; `onesketch status` reads the store)")
            return EXIT_OK
        self.job_id, self.is_under_way = earlier.next_id, False
        return None

    def run(self) -> int:
        """Start the job unless it is under way, and follow it through its retries."""
        conditions, retries = self.conditions, Retries(self.conditions.retries)
        try:
            while True:
                before = look_at_shards(self.request.dataset)
                if not self.is_under_way:
                    self._start()
                if conditions.detach:
                    say_detached(self.cluster, self.job_id, self.request.dataset)
                    return EXIT_OK
                patience_s = float("inf") if conditions.in_cluster else PATIENCE_S
                outcome = follow_job(self.cluster, self.job_id, screen(), patience_s=patience_s)
                say(f"job        {self.job_id} {outcome.words}")
                if outcome.code == EXIT_NO_CONTACT:
                    say_detached(self.cluster, self.job_id, self.request.dataset)
                progressed = _progressed(before, look_at_shards(self.request.dataset))
                if conditions.in_cluster or not retries.allow(outcome, progressed):
                    return outcome.code
                self._choose_next(retries)
        except KeyboardInterrupt as error:
            say_detached(self.cluster, self.job_id, self.request.dataset)
            return detached_code(error)

    def _start(self) -> None:
        if start_job(self.cluster, self.job_id, self.request, say):
            say(f"job        {self.job_id} submitted")
        else:
            say(f"job        {self.job_id} was submitted by somebody else meanwhile: attaching")
        self.is_under_way = True

    def _choose_next(self, retries: Retries) -> None:
        """Wait a while, and choose the next id, or the job that somebody else has started."""
        pause_s = min(_FIRST_PAUSE_S * 2 ** max(retries.used - 1, 0), _LAST_PAUSE_S)
        counted_as = f"try {retries.used} of {retries.limit}" if retries.used else "it had progress"
        say(f"           trying again in {pause_s:.0f} s ({counted_as})")
        time.sleep(pause_s)
        earlier = earlier_jobs(self.request.prefix, _patiently(self.cluster.jobs))
        alive = earlier.alive
        self.is_under_way = alive is not None
        self.job_id = alive.id if alive is not None else earlier.next_id


def _patiently(call: Callable[[], Result]) -> Result:
    """Ask a cluster that may be on its way up again."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except ClusterError:
            if time.monotonic() > until_s:
                raise
            time.sleep(_FIRST_PAUSE_S)


def _variables_of_pod() -> tuple[str, str]:
    """Return address and job id as KubeRay's submitter pod has them."""
    address, job_id = os.environ.get(_POD_ADDRESS, ""), os.environ.get(_POD_JOB, "")
    if not address or not job_id:
        raise RequestError(
            f"--in-cluster is for KubeRay's submitter pod, which has {_POD_ADDRESS} and {_POD_JOB} "
            "in its environment; elsewhere give --address"
        )
    return (address if "://" in address else f"http://{address}"), job_id


def _check_stores(request: Request, asked: Asked) -> None:
    for address in dict.fromkeys((request.run, request.dataset)):
        if address.startswith("s3:"):
            check_store(address, asked.single_writer)
    if request.kind.makes_pairs and request.dataset.startswith("s3:"):
        check_plan_at(request.dataset, request.recipe)


def _say_cluster(cluster: Cluster, versions: Versions) -> None:
    offered = cluster.resources()
    python = f"Python {versions.python}" if versions.python else "Python unknown"
    say(
        f"cluster    {cluster.address}   Ray {versions.ray}, {python}, "
        f"{counted(int(offered.get('CPU', 0)), 'core')} and "
        f"{counted(int(offered.get('GPU', 0)), 'GPU')} up"
    )


def _say_request(request: Request) -> None:
    upload = request.upload
    say(
        f"request    {counted(len(upload.files), 'file')}, {readable_size(upload.size_bytes)}; "
        f"environment {', '.join(request.variables)}; no secrets"
    )
    for file in upload.files:
        say(f"           {file.size_bytes:>12,} bytes  {file.name}")
    say(f"run        {request.run}")


def _say_estimate(request: Request, asked: Asked, price: float) -> None:
    found = estimate_rest(request.run, request.dataset, request.recipe)
    left = f"{found.pairs_left:,} pairs to make"
    if found.worker_hours is None:
        say(f"estimate   not measured: {left}; `onesketch plan` measures a few batches")
        return
    workers = worker_range(asked.workers).most
    time_text = ""
    if workers:
        hours = found.worker_hours / workers
        time_text = f", {in_words(hours * _SECONDS_PER_HOUR)} with {counted(workers, 'worker')}"
    money = f"{found.worker_hours * price:,.2f} at {price:g}" if price else "not priced (--price)"
    say(
        f"estimate   {found.worker_hours:.3g} worker-hours{time_text}: {left}, at the pace of "
        f"{found.measured_pairs:,} pairs that this run has made; {money}"
    )


def _agreed() -> bool:
    """Ask on a terminal; without one there is nobody to ask."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        say("           not asked, because there is no terminal")
        return True
    print("submit it? [y/n] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _progressed(before: Shards | str, after: Shards | str) -> bool:
    """Tell whether shards were committed; without an answer they were not."""
    if isinstance(before, Shards) and isinstance(after, Shards):
        return after.committed > before.committed
    return False
