"""`onesketch attach`, `stop` and `jobs`: what is done with jobs that were submitted."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from jobs.pages.answers import print_json
from jobs.pages.durations import in_words
from jobs.pages.tables import print_table
from jobs.submission.cluster import Cluster, Job
from jobs.submission.follow import follow_job
from jobs.submission.outcome import EXIT_NO_CONTACT, EXIT_OK
from jobs.submission.request import RequestError
from jobs.submission.run_store import Shards, look_at_shards
from jobs.submission.submit import detached_code, say, say_detached, screen

_MARK = "onesketch."
_LOOKS = 8


def run_attach(job_id: str, address: str) -> int:
    """Follow a job that was submitted; returns its exit code as `run_submit` does."""
    cluster = Cluster(address)
    job = _find(cluster, job_id)
    try:
        outcome = follow_job(cluster, job_id, screen())
    except KeyboardInterrupt as error:
        say_detached(cluster, job_id, _dataset_of(job))
        return detached_code(error)
    say(f"job        {job_id} {outcome.words}")
    if outcome.code == EXIT_NO_CONTACT:
        say_detached(cluster, job_id, _dataset_of(job))
    return outcome.code


def run_stop(job_id: str, address: str) -> int:
    """Ask a job to stop, and follow until it has; 0 once it is over."""
    cluster = Cluster(address)
    job = _find(cluster, job_id)
    if job.is_over:
        say(f"job        {job_id} is over already: {job.status}")
        return EXIT_OK
    # What it has told so far is not told again.
    told = len(cluster.log(job_id))
    cluster.stop(job_id)
    wait = f" within {in_words(job.stop_wait_s)}" if job.stop_wait_s else ""
    say(f"job        {job_id} is asked to stop; it ends what is in flight{wait}")
    try:
        outcome = follow_job(cluster, job_id, screen(), skip=told)
    except KeyboardInterrupt as error:
        say("it goes on stopping without being watched")
        return detached_code(error)
    say(f"job        {job_id} {outcome.words}")
    if outcome.code == EXIT_NO_CONTACT:
        return outcome.code
    _say_shards(_dataset_of(job))
    return EXIT_OK


def run_jobs(address: str, as_json: bool = False) -> None:
    """Print the jobs that this tool has submitted, the latest first; as JSON for programs."""
    cluster = Cluster(address)
    found = [job for job in reversed(cluster.jobs()) if f"{_MARK}command" in job.metadata]
    if as_json:
        looked = _look_at_all(_dataset_of(job) for job in found)
        listed = [_fields(job, looked[_dataset_of(job)]) for job in found]
        print_json({"cluster": cluster.address, "jobs": listed})
        return
    if not found:
        print(f"no jobs of onesketch at {cluster.address}")
        return
    shards = _look_at_all(_dataset_of(job) for job in found)
    header = ("job", "command", "style", "status", "started", "shards")
    print_table([header, *(_row(job, shards[_dataset_of(job)]) for job in found)])
    for dataset, seen in shards.items():
        if isinstance(seen, str):
            say(f"shards of {dataset}: {seen}")


def _find(cluster: Cluster, job_id: str) -> Job:
    job = cluster.job(job_id)
    if job is None:
        raise RequestError(
            f"no job {job_id!r} at {cluster.address}: `onesketch jobs --address "
            f"{cluster.address}` lists those that are there"
        )
    return job


def _dataset_of(job: Job) -> str:
    return job.metadata.get(f"{_MARK}dataset", "")


def _say_shards(dataset: str) -> None:
    if not dataset:
        return
    seen = look_at_shards(dataset)
    if isinstance(seen, str):
        say(f"shards     {seen}")
    elif seen.planned is None:
        say(f"shards     none is committed in {dataset}")
    else:
        say(f"shards     {seen.committed} of {seen.planned} are committed in {dataset}")


def _look_at_all(datasets: Iterable[str]) -> dict[str, Shards | str]:
    names = list(dict.fromkeys(datasets))
    with ThreadPoolExecutor(_LOOKS) as pool:
        return dict(zip(names, pool.map(look_at_shards, names), strict=True))


def _fields(job: Job, shards: Shards | str) -> dict[str, Any]:
    seen = shards if isinstance(shards, Shards) else None
    return {
        "id": job.id,
        "command": job.metadata.get(f"{_MARK}command", ""),
        "style": job.metadata.get(f"{_MARK}style", ""),
        "dataset": _dataset_of(job),
        "status": job.status,
        "started_s": job.start_ms / 1000,
        "shards_committed": seen and seen.committed,
        "shards_planned": seen and seen.planned,
    }


def _row(job: Job, shards: Shards | str) -> tuple[str, ...]:
    started = datetime.fromtimestamp(job.start_ms / 1000, UTC)
    return (
        job.id,
        job.metadata.get(f"{_MARK}command", ""),
        job.metadata.get(f"{_MARK}style", ""),
        job.status,
        f"{started:%Y-%m-%d %H:%M} UTC",
        str(shards) if isinstance(shards, Shards) else "?",
    )
