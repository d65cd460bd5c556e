"""Ends of jobs: exit codes, words, and what is worth another try."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.submission.cluster import Job
from jobs.submission.outcome import Outcome, Retries, lost_job, no_contact, outcome_of


def job(status: str, **more: Any) -> Job:
    empty: dict[str, Any] = {"message": "", "error_type": "", "exit_code": None}
    fields = {"start_ms": 0, "metadata": {}, "stop_wait_s": 0, **empty, **more}
    return Job("onesketch-teach-ink-0-1", status, **fields)


DIED = outcome_of(job("FAILED", error_type="JOB_SUPERVISOR_ACTOR_DIED"))
UNPACKED = outcome_of(job("FAILED", error_type="RUNTIME_ENV_SETUP_FAILURE"))


@pytest.mark.parametrize(
    ("ended", "code", "again"),
    [
        (job("SUCCEEDED", exit_code=0), 0, False),
        (job("STOPPED"), 143, False),
        (job("FAILED", exit_code=2), 2, False),
        (job("FAILED", exit_code=1), 1, True),
        (job("FAILED", exit_code=-9), 137, True),
        (job("FAILED", exit_code=137), 137, True),
        (job("FAILED", error_type="JOB_SUPERVISOR_ACTOR_DIED"), 1, True),
        (job("FAILED", error_type="JOB_SUPERVISOR_ACTOR_START_TIMEOUT"), 1, True),
        (job("FAILED", error_type="JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE"), 1, True),
        (job("FAILED", error_type="SOMETHING_NEW", message="a\n\nlast words\n"), 1, True),
    ],
)
def test_exit_codes_and_causes(ended: Job, code: int, again: bool) -> None:
    outcome = outcome_of(ended)
    assert outcome.code == code
    assert Retries(1).allow(outcome, progressed=False) is again
    assert "\n" not in outcome.words


def test_words_name_the_cause() -> None:
    assert "SIGKILL, as when memory runs out" in outcome_of(job("FAILED", exit_code=-9)).words
    assert "no node could take the job (no GPU)" in (
        outcome_of(
            job("FAILED", error_type="JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE", message="x\nno GPU")
        ).words
    )


def test_lost_contact_is_not_tried_again_and_a_lost_job_is() -> None:
    assert no_contact(10.0).code == 75
    assert not Retries(3).allow(no_contact(10.0), progressed=True)
    assert Retries(1).allow(lost_job("onesketch-1"), progressed=False)


def retried(limit: int, ends: list[tuple[Outcome, bool]]) -> int:
    retries = Retries(limit)
    allowed = [retries.allow(outcome, progressed) for outcome, progressed in ends]
    return allowed.index(False) if False in allowed else len(allowed)


def test_retries_count_only_without_progress() -> None:
    assert retried(2, [(DIED, False)] * 9) == 2
    assert retried(2, [(DIED, True)] * 9) == 9
    assert retried(2, [(DIED, False), (DIED, False), (DIED, True)] + [(DIED, False)] * 9) == 3 + 2
    assert retried(2, [(DIED, False), (DIED, True)] + [(DIED, False)] * 9) == 2 + 2
    assert retried(0, [(DIED, True)]) == 0


def test_files_that_cannot_be_unpacked_are_sent_once_more() -> None:
    assert retried(9, [(UNPACKED, False)] * 9) == 1
