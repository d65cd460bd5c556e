"""Following a job to its end: the status decides, the log is shown beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from jobs.submission.cluster import Cluster, ClusterError, Job
from jobs.submission.log_stream import LogStream
from jobs.submission.outcome import Outcome, lost_job, no_contact, outcome_of

PATIENCE_S = 600.0
_POLL_S = 1.0
_SECONDS_PER_MINUTE = 60.0
_STATES = {
    "PENDING": "waits for its files and for a place to run",
    "RUNNING": "runs",
}


@dataclass(frozen=True)
class Screen:
    """Where a job's log and our own lines are shown."""

    show: Callable[[str], None]
    say: Callable[[str], None]


def follow_job(
    cluster: Cluster,
    job_id: str,
    screen: Screen,
    skip: int = 0,
    patience_s: float = PATIENCE_S,
) -> Outcome:
    """Show a job's log until the job is over, and return how it ended.

    Args:
        skip: characters of the log that are not shown.
        patience_s: without any answer from the cluster, before it is given up.
    """
    contact_s, lost, state = time.monotonic(), False, ""
    with LogStream(lambda: cluster.tail(job_id), skip) as stream:
        while True:
            until_s = time.monotonic() + _POLL_S
            while (wait_s := until_s - time.monotonic()) > 0:
                screen.show(stream.read(wait_s))
            try:
                job = cluster.job(job_id)
            except ClusterError as error:
                silent_s = time.monotonic() - contact_s
                if silent_s > patience_s:
                    return no_contact(silent_s / _SECONDS_PER_MINUTE)
                if not lost:
                    screen.say(f"no contact, trying again: {error}")
                lost = True
                continue
            if lost:
                screen.say("in contact again")
            contact_s, lost = time.monotonic(), False
            if job is None:
                return lost_job(job_id)
            if job.is_over:
                _show_rest(cluster, job, stream, screen)
                return outcome_of(job)
            if job.status != state:
                state = job.status
                screen.say(f"job        {job_id} {_STATES.get(state, state)}")


def _show_rest(cluster: Cluster, job: Job, stream: LogStream, screen: Screen) -> None:
    """Show what of the log did not come over the stream: it may have been cut before the end."""
    screen.show(stream.read(0.0))
    try:
        screen.show(stream.rest_of(cluster.log(job.id)))
    except ClusterError as error:
        screen.show(stream.rest_of(""))
        screen.say(f"the last lines of the log may be missing: {error}")
