"""How a job ended: in words, as an exit code, and whether it is worth another try."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from jobs.submission.cluster import Job

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_MISTAKE = 2
EXIT_NO_CONTACT = 75  # EX_TEMPFAIL of sysexits.h
_SHELL_SIGNALS = 128
EXIT_STOPPED = _SHELL_SIGNALS + signal.SIGTERM
# Ray's causes, in words; the rest is shown as it is.
_CAUSES = {
    "RUNTIME_ENV_SETUP_FAILURE": "the uploaded files could not be unpacked on the node",
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT": "the job was not started in time",
    "JOB_SUPERVISOR_ACTOR_START_FAILURE": "the process that starts the job did not start",
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE": "no node could take the job",
    "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE": "the process that watches the job failed",
    "JOB_SUPERVISOR_ACTOR_DIED": "the process that watches the job died, or its node did",
    "JOB_ENTRYPOINT_COMMAND_START_ERROR": "the command could not be started",
}
_ONCE = "RUNTIME_ENV_SETUP_FAILURE"


@dataclass(frozen=True)
class Outcome:
    """The end of a job.

    Attributes:
        code: the exit code that tells of it.
        words: the same for people, in one line.
        cause: what retries are counted by; "" where trying again does not help.
    """

    code: int
    words: str
    cause: str = ""


def no_contact(minutes: float) -> Outcome:
    """Return the end of following a job that may go on all the same."""
    return Outcome(
        EXIT_NO_CONTACT, f"has been out of reach for {minutes:.0f} minutes; it may go on"
    )


def outcome_of(job: Job) -> Outcome:
    """Read the end of a job that is over."""
    if job.status == "SUCCEEDED":
        return Outcome(EXIT_OK, "succeeded")
    if job.status == "STOPPED":
        return Outcome(EXIT_STOPPED, "was stopped")
    if job.exit_code is not None:
        return _outcome_of_driver(job.exit_code)
    detail = _last_line(job.message)
    words = _CAUSES.get(job.error_type, "failed")
    return Outcome(
        EXIT_FAILED, f"failed: {words}" + (f" ({detail})" if detail else ""), job.error_type or "?"
    )


def lost_job(job_id: str) -> Outcome:
    """Return the end of a job that its cluster does not know any more."""
    return Outcome(
        EXIT_FAILED,
        f"is gone: the cluster does not know {job_id} any more, because its head was restarted",
        "HEAD_RESTARTED",
    )


@dataclass
class Retries:
    """How often a submission may still be tried again.

    Attributes:
        limit: tries without progress in between.
        used: those since the last progress.
    """

    limit: int
    used: int = 0
    environments: int = 0

    def allow(self, outcome: Outcome, progressed: bool) -> bool:
        """Tell whether to try again after an end, and count it.

        Args:
            progressed: a shard was committed since the last try, so that it was not in vain.
        """
        if not outcome.cause:
            return False
        if outcome.cause == _ONCE:
            self.environments += 1
            return self.environments == 1 and self.limit > 0
        self.used = 0 if progressed else self.used + 1
        return self.limit > 0 and self.used <= self.limit


def _outcome_of_driver(code: int) -> Outcome:
    """Read the command's own exit code; a negative one is a signal's."""
    if code == EXIT_MISTAKE:
        # Trying again would not help: it is what a person has to correct.
        return Outcome(code, "failed: a mistake that its last line names (exit code 2)")
    number = -code if code < 0 else code - _SHELL_SIGNALS
    if number in set(signal.Signals):
        # A shell in between turns signal 9 into 137.
        name = signal.Signals(number).name
        reason = ", as when memory runs out" if number == signal.SIGKILL else ""
        words = f"failed: its command was ended by {name}{reason}"
        return Outcome(_SHELL_SIGNALS + number, words, name)
    return Outcome(code, f"failed: its command ended with exit code {code}", f"EXIT_{code}")


def _last_line(message: str) -> str:
    lines = [line for line in re.split(r"[\r\n]+", message) if line.strip()]
    return lines[-1].strip()[:300] if lines else ""
