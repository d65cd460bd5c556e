"""Clusters that cannot be used: named in one line, soon, and before anything is sent."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import ray

from jobs.submission.cluster import Cluster, ClusterError
from tests.jobs.submission.conftest import Project, start_head
from tests.servers.cutting_proxy import CuttingProxy, Refusal
from tests.servers.ray_head import RayHead

VERSION = {"version": "4", "ray_version": ray.__version__, "ray_commit": "", "session_name": ""}


@contextmanager
def answers(answers: dict[str, Any], status: int = 200) -> Iterator[str]:
    """A server on loopback that gives these answers, to stand for clusters that are not here."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - its name in the standard library
            found = answers.get(self.path)
            self.send_response(status if found is not None else 404)
            self.end_headers()
            self.wfile.write(
                found.encode() if isinstance(found, str) else json.dumps(found).encode()
            )

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def refusal_of(address: str) -> str:
    begun_s = time.monotonic()
    with pytest.raises(ClusterError) as refused:
        Cluster(address).check_versions()
    assert time.monotonic() - begun_s < 15.0
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "auto",
        "localhost:8265",
        "ray://head:10001",
        "http://",
        "http://host:port",
        "http://h?a=b",
    ],
)
def test_what_is_not_a_dashboard_s_address_is_refused(address: str) -> None:
    assert "expected the dashboard's address" in refusal_of(address)


def test_passwords_in_addresses_are_refused_and_not_shown() -> None:
    text = refusal_of("https://user:canary@ray.example")
    assert "would be shown" in text and "canary" not in text


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    text = refusal_of(address)
    assert address in text and "no answer" in text


def test_somebody_who_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.submission.cluster.PROBE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = refusal_of(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "within 0 s" in text or "no answer" in text


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"/": "hello"}, 200, "no jobs API"),
        ({"/api/version": "hello"}, 200, "not as a Ray dashboard"),
        ({"/api/version": {"name": "x"}}, 200, "not as a Ray dashboard"),
        ({"/api/version": "bad gateway"}, 502, "the cluster behind it is not"),
        ({"/api/version": VERSION | {"ray_version": "2.9.3"}}, 200, "runs Ray 2.9.3"),
        (
            {
                "/api/version": VERSION,
                "/api/v0/cluster_metadata": {"data": {"pythonVersion": "3.8.18"}},
            },
            200,
            "runs Python 3.8.18",
        ),
    ],
    ids=["no ray", "no json", "other json", "gateway", "ray", "python"],
)
def test_other_servers_and_versions(said: dict[str, Any], status: int, words: str) -> None:
    with answers(said, status) as address:
        text = refusal_of(address)
    assert words in text and address in text


def test_patches_of_one_version_go_together() -> None:
    minor = ".".join(ray.__version__.split(".")[:2])
    with answers({"/api/version": VERSION | {"ray_version": f"{minor}.77"}}) as address:
        assert Cluster(address).check_versions().ray == f"{minor}.77"


@pytest.mark.ray
def test_jobs_and_versions_of_a_real_one(head: RayHead, cluster: Cluster) -> None:
    assert cluster.check_versions().python == ".".join(map(str, sys.version_info[:3]))
    until_s = time.monotonic() + 30.0
    # The dashboard answers before it has heard of its node.
    while not (found := cluster.resources()):
        assert time.monotonic() < until_s
        time.sleep(0.2)
    assert found["CPU"] == head.num_cpus
    assert cluster.job("nobody") is None
    with CuttingProxy(head.address, [Refusal(404, "GET", "/api/jobs/nobody")]) as proxy:
        # A gateway that has lost its cluster does not know the job either.
        with pytest.raises(ClusterError):
            Cluster(proxy.url).job("nobody")


@pytest.mark.ray
@pytest.mark.slow
def test_a_head_without_its_agent_is_waited_for_and_the_cause_named(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.submission.start._PATIENCE_S", 15.0)
    with socket.create_server(("", 0)) as taken:
        head = start_head(agent_port=taken.getsockname()[1])
        try:
            project.address = head.address
            with pytest.raises(ClusterError, match="--dashboard-agent-listen-port"):
                project.submit()
        finally:
            head.stop()
            shutil.rmtree(head.folder, ignore_errors=True)
    assert capsys.readouterr().err.count("its agent is not there; trying again") >= 1
    assert not project.run.exists()


@pytest.mark.ray
@pytest.mark.slow
def test_a_head_that_is_lost_takes_the_job_along_and_a_new_one_gets_it_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.submission.submit._FIRST_PAUSE_S", 0.5)
    head = start_head()
    try:
        # The new head has another port, as behind a service whose name stays.
        with CuttingProxy(head.address) as proxy:
            project.address = proxy.url
            over = threading.Event()
            replacing = threading.Thread(target=replace_head, args=(head, proxy, project, over))
            replacing.start()
            assert project.submit("STAGE_WAITS=1") == 0
            over.set()
            replacing.join()
    finally:
        head.stop()
        shutil.rmtree(head.folder, ignore_errors=True)
    assert project.turns == 2
    assert "no contact, trying again" in project.err
    assert "its head was restarted" in project.err


def replace_head(
    head: RayHead, proxy: CuttingProxy, project: Project, over: threading.Event
) -> None:
    """Kill a head while its job is at work, and start another one, which ends with this thread."""
    while not (project.run / "turns").exists():
        time.sleep(0.1)
    head.kill()
    time.sleep(1.0)
    head.start()
    proxy.target = head.address
    (project.run / "go").touch()
    over.wait()


@pytest.mark.ray
@pytest.mark.slow
def test_a_head_with_a_token(project: Project) -> None:
    token = "canary-token-of-the-dashboard-0123456789"
    head = start_head({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token})
    try:
        project.address = head.address
        ends = [
            run_with_token(project, mode)
            for mode in (
                {"RAY_AUTH_MODE": "disabled"},
                {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another-token-0123456789-0123456789"},
                {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token},
            )
        ]
        assert [code for code, _ in ends] == [2, 2, 0], ends
        assert "(HTTP 401)" in ends[0][1] and "(HTTP 403)" in ends[1][1]
        assert all(len(text.splitlines()) == 1 for _, text in ends[:2]), ends
        shown = "".join(text for _, text in ends).encode()
        files = [path for path in head.folder.rglob("*") if path.is_file()]
        assert len(files) > 20
        assert token.encode() not in shown + b"".join(path.read_bytes() for path in files)
    finally:
        head.stop()
        shutil.rmtree(head.folder, ignore_errors=True)


def run_with_token(project: Project, variables: dict[str, str]) -> tuple[int, str]:
    """Submit in a process of its own: Ray reads its token once."""
    done = subprocess.run(
        [sys.executable, "-c", "from jobs.cli.main import app; app()", *project.command()],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr
