"""A cluster's jobs API over HTTP: every call has a deadline and every refusal a cause.

Ray's own client does the talking, because it packs and uploads what a job needs; it has no time
limits, and the environment can lead it elsewhere than its caller says.
"""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ray
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from jobs.submission.deadline import within

Result = TypeVar("Result")

PROBE_S = 10.0
CALL_S = 30.0
# 90 MiB through a line of 3 Mbit/s.
UPLOAD_S = 300.0
# Ray's client would follow these in place of the address that it is given.
_LEAD_ELSEWHERE = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_TOKEN_HELP = (
    "RAY_AUTH_MODE=token with RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN, or ~/.ray/auth_token)"
)
# Of Ray's client: names of packages and codes of connections, which tell people nothing.
_TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
_EXPECTED = "expected the dashboard's address, such as http://HOST:8265"
_OLD_AGENTS_TEXT = "Failed to get head node agent"
_NO_AGENT_TEXT = "No available agent"
_UNKNOWN_TEXT = "does not exist"
_TAKEN_TEXT = "already exists"


class ClusterError(ValueError):
    """A cluster did not do what it was asked; one line with address, cause and remedy.

    Attributes:
        status: of HTTP; 0 without an answer.
        text: what the cluster answered.
    """

    def __init__(self, message: str, status: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.text = text

    @property
    def is_taken(self) -> bool:
        """Whether the job's id is in use already."""
        return _TAKEN_TEXT in self.text

    @property
    def has_no_agent(self) -> bool:
        """Whether the head's agent, which starts jobs, is not there (yet)."""
        return _NO_AGENT_TEXT in self.text or _OLD_AGENTS_TEXT in self.text

    @property
    def may_have_worked(self) -> bool:
        """Whether the request may have been carried out: its answer is missing or a gateway's."""
        return self.status in (0, 502, 503, 504)


@dataclass(frozen=True)
class Job:
    """A job as the cluster describes it.

    Attributes:
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        error_type: of Ray, such as JOB_SUPERVISOR_ACTOR_DIED; "" without one.
        exit_code: of the driver; None while it runs and where it was not seen to end.
        start_ms: when it was started, since 1970.
        stop_wait_s: how long Ray waits between SIGTERM and SIGKILL; 0: not said.
    """

    id: str
    status: str
    message: str
    error_type: str
    exit_code: int | None
    start_ms: int
    metadata: Mapping[str, str]
    stop_wait_s: int

    @property
    def is_over(self) -> bool:
        """Whether its status is the last one."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


@dataclass(frozen=True)
class Versions:
    """What runs on the cluster; "" where it does not say."""

    ray: str
    python: str


class Cluster:
    """The jobs of the cluster at an address.

    Raises:
        ClusterError: from every method, if the cluster does not answer in time or refuses.
    """

    def __init__(self, address: str) -> None:
        self.address = _dashboard_url(address)
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        with _hidden(_LEAD_ELSEWHERE):
            self._client: Any = self._call(lambda: _Client(self.address), PROBE_S)

    def check_versions(self) -> Versions:
        """Return what runs there; refuse another Ray or Python than here, up to the minor one."""
        found = Versions(
            self._decoded(self._answer("GET", "/api/version")).get("ray_version", ""),
            self._optional("/api/v0/cluster_metadata").get("data", {}).get("pythonVersion", ""),
        )
        own = Versions(ray.__version__, platform.python_version())
        for name, theirs, ours in (
            ("Ray", found.ray, own.ray),
            ("Python", found.python, own.python),
        ):
            if theirs and _minor(theirs) != _minor(ours):
                raise ClusterError(
                    f"{self.address} runs {name} {theirs}, and here it is {ours}: expected "
                    f"{name} {_minor(theirs)} here too (install it, or use the image of the "
                    "cluster)"
                )
        return found

    def resources(self) -> dict[str, float]:
        """Return what the living nodes offer in all, such as {"CPU": 16.0, "GPU": 1.0}."""
        answer = self._optional("/api/v0/nodes?limit=10000&detail=true")
        rows = answer.get("data", {}).get("result", {}).get("result", [])
        total: dict[str, float] = {}
        for row in rows:
            if row.get("state") == "ALIVE":
                for name, amount in (row.get("resources_total") or {}).items():
                    total[name] = total.get(name, 0.0) + amount
        return total

    def submit(self, job_id: str, **request: Any) -> None:
        """Upload what a request's working_dir holds, and start its job.

        Args:
            request: entrypoint, runtime_env and metadata as Ray's client takes them.
        """
        self._call(lambda: self._client.submit_job(submission_id=job_id, **request), UPLOAD_S)

    def job(self, job_id: str) -> Job | None:
        """Return a job; None if the cluster has none of this id."""
        answer = self._answer("GET", f"/api/jobs/{job_id}")
        # A gateway without its cluster says 404 too.
        if answer.status_code == 404 and _UNKNOWN_TEXT in answer.text:
            return None
        return _job(self._decoded(answer))

    def jobs(self) -> list[Job]:
        """Return the jobs that were ever submitted, the oldest first."""
        found = self._decoded(self._answer("GET", "/api/jobs/"))
        jobs = [_job(entry) for entry in found if entry.get("submission_id")]
        return sorted(jobs, key=lambda job: (job.start_ms, job.id))

    def stop(self, job_id: str) -> None:
        """Ask for a job to be stopped, which takes a while."""
        self._decoded(self._answer("POST", f"/api/jobs/{job_id}/stop"))

    def log(self, job_id: str) -> str:
        """Return the log of a job as far as it is written."""
        answer = self._answer("GET", f"/api/jobs/{job_id}/logs")
        return str(self._decoded(answer)["logs"])

    def tail(self, job_id: str) -> Any:
        """Return an asynchronous iterator over the log's text from its start on, as it grows.

        It may end or break at any time; `is_over` of the job decides, never this.
        """
        return self._client.tail_job_logs(job_id)

    def _optional(self, path: str) -> dict[str, Any]:
        """Return what other versions of Ray may not have."""
        answer = self._answer("GET", path)
        found = self._decoded(answer) if answer.status_code == 200 else {}
        return found if isinstance(found, dict) else {}

    def _answer(self, method: str, path: str) -> requests.Response:
        return self._call(lambda: self._client.send(method, path), CALL_S)

    def _decoded(self, answer: requests.Response) -> Any:
        if answer.status_code != 200:
            raise _refusal(self.address, answer.status_code, answer.text)
        try:
            return answer.json()
        except ValueError as error:
            raise _explained(self.address, error) from error

    def _call(self, call: Callable[[], Result], limit_s: float) -> Result:
        try:
            return within(limit_s, call)
        except TimeoutError as error:
            raise ClusterError(
                f"{self.address} does not answer within {limit_s:.0f} s: check the address and "
                "whether the network (VPN, tunnel, firewall) lets you through"
            ) from error
        except (AuthenticationError, OSError, RuntimeError, ValueError, KeyError) as error:
            raise _explained(self.address, error) from error


class _Client(JobSubmissionClient):
    """Ray's client with time limits on its sockets, so that no thread waits for ever."""

    def send(self, method: str, path: str) -> requests.Response:
        """Send a request without a body."""
        return self._do_request(method, path)

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        # The first limit bounds sending too, so that an upload needs more.
        limits = (UPLOAD_S if method == "PUT" else PROBE_S, UPLOAD_S)
        return super()._do_request(method, endpoint, **{"timeout": limits, **options})


def _dashboard_url(address: str) -> str:
    """Check an address and return it without a slash at its end.

    Raises:
        ClusterError: it is not http://HOST:PORT or https://HOST, with or without a path.
    """
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise ClusterError(
            f"the address holds a user or password, which would be shown: use {_TOKEN_HELP}"
        )
    try:
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise ClusterError(f"--address {address!r}: {_EXPECTED}")
    return address.rstrip("/")


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Take variables out of the environment for a while."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _explained(address: str, error: Exception) -> ClusterError:
    """Turn what a request can end with into one line."""
    if isinstance(error, AuthenticationError):
        return _refusal(address, 403 if "failed" in str(error) else 401, "")
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _refusal(address, error.response.status_code, error.response.text)
    if isinstance(error, json.JSONDecodeError | KeyError):
        return ClusterError(
            f"{address} answers, but not as a Ray dashboard does: {_EXPECTED}", status=200
        )
    if isinstance(error, requests.exceptions.SSLError):
        return ClusterError(
            f"{address} has a certificate that this machine does not trust: set "
            "REQUESTS_CA_BUNDLE to the file of your authority"
        )
    if isinstance(error, OSError):  # All of requests' errors are.
        return ClusterError(
            f"no answer from {address}: check that the head is up, that the port is the "
            "dashboard's (8265), and that the network (VPN, tunnel) lets you through"
        )
    return _refusal(address, *_status_and_text(str(error)))


def _status_and_text(message: str) -> tuple[int, str]:
    """Read what Ray's client makes of a refusal: "Request failed with status code 500: TEXT"."""
    _, found, rest = message.partition("status code ")
    status, _, text = rest.partition(": ")
    if found and status.isdigit():
        return int(status), text
    return (404, message) if "404" in message else (0, message)


def _refusal(address: str, status: int, text: str) -> ClusterError:
    causes = {
        401: f"{address} wants a token and got none: set {_TOKEN_HELP}",
        403: f"{address} does not take this token: correct {_TOKEN_HELP}",
        404: f"{address} answers, but has no jobs API: {_EXPECTED}",
        413: f"what stands before {address} takes no request of this size: raise its limit "
        "(of an nginx ingress: proxy-body-size), or submit from inside the cluster's network",
    }
    if status in causes:
        return ClusterError(f"{causes[status]} (HTTP {status})", status, text)
    if status in (502, 503, 504):
        cause = "what stands before the cluster is up, and the cluster behind it is not; try later"
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        cause = lines[-1][:300] if lines else "it does not say why"
    return ClusterError(f"{address} answers {status or 'nothing'}: {cause}", status, text)


def _job(data: Mapping[str, Any]) -> Job:
    variables = (data.get("runtime_env") or {}).get("env_vars") or {}
    wait = str(variables.get("RAY_JOB_STOP_WAIT_TIME_S", ""))
    return Job(
        id=data["submission_id"] or "",
        status=data["status"],
        message=data.get("message") or "",
        error_type=data.get("error_type") or "",
        exit_code=data.get("driver_exit_code"),
        start_ms=data.get("start_time") or 0,
        metadata=data.get("metadata") or {},
        stop_wait_s=int(wait) if wait.isdigit() else 0,
    )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
