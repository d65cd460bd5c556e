"""Starting a job, or finding that it was started: the same submission never runs twice at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobs.submission.cluster import Cluster, ClusterError, Job
from jobs.submission.request import Request

Say = Callable[[str], None]

# How long a head may take to have its agent, and a lost answer to be cleared up.
_PATIENCE_S = 120.0
_SAY_EVERY_S = 10.0
_PAUSE_S = 2.0


@dataclass(frozen=True)
class Earlier:
    """The jobs that a submission had so far, the latest last."""

    prefix: str
    jobs: Sequence[Job]

    @property
    def alive(self) -> Job | None:
        """The one that is not over."""
        return next((job for job in reversed(self.jobs) if not job.is_over), None)

    @property
    def finished(self) -> Job | None:
        """The latest one, if it succeeded."""
        return self.jobs[-1] if self.jobs and self.jobs[-1].status == "SUCCEEDED" else None

    @property
    def next_id(self) -> str:
        """The id that no job has had."""
        latest = max((_number(job.id, self.prefix) for job in self.jobs), default=0)
        return f"{self.prefix}-{latest + 1}"


def earlier_jobs(prefix: str, jobs: Sequence[Job]) -> Earlier:
    """Choose the jobs of one submission from all of a cluster."""
    own = [job for job in jobs if _number(job.id, prefix)]
    return Earlier(prefix, sorted(own, key=lambda job: _number(job.id, prefix)))


def start_job(cluster: Cluster, job_id: str, request: Request, say: Say) -> bool:
    """Start a job; False if one of this id was there already.

    Args:
        say: shows people a line.

    Raises:
        ClusterError: the cluster refuses, or starts no jobs, or cannot be asked for too long.
    """
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        begun_s = time.monotonic()
        try:
            with request.upload.staged() as folder:
                cluster.submit(job_id, **request.arguments(folder))
            return True
        except ClusterError as error:
            if error.is_taken:
                return False
            if not (error.has_no_agent or error.may_have_worked):
                raise
            if time.monotonic() > until_s:
                raise _given_up(cluster, error) from error
            if error.has_no_agent:
                say("the head starts no jobs yet: its agent is not there; trying again")
                time.sleep(max(_SAY_EVERY_S - (time.monotonic() - begun_s), 0))
                continue
        # The answer is lost, and the job may be there.
        say("the answer to the submission was lost; asking whether the job is there")
        if _is_there(cluster, job_id, until_s):
            return True


def _is_there(cluster: Cluster, job_id: str, until_s: float) -> bool:
    """Ask for a job until there is an answer."""
    while True:
        time.sleep(_PAUSE_S)
        try:
            return cluster.job(job_id) is not None
        except ClusterError:
            if time.monotonic() > until_s:
                raise


def _given_up(cluster: Cluster, error: ClusterError) -> ClusterError:
    if not error.has_no_agent:
        return error
    return ClusterError(
        f"{cluster.address} has had no agent that starts jobs for {_PATIENCE_S:.0f} s: on the head "
        "another program (a second Ray) may hold the agent's port (start the head with a free "
        "--dashboard-agent-listen-port), or processes or memory have run out; its "
        "dashboard_agent.log tells",
        error.status,
        error.text,
    )


def _number(job_id: str, prefix: str) -> int:
    """Return the number at an id's end; 0 for the ids of other submissions."""
    start, _, number = job_id.rpartition("-")
    return int(number) if start == prefix and number.isdecimal() else 0
