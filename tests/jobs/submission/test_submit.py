"""Submissions to a real cluster: one job each, followed to its end, tried again by cause."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
import requests

from jobs.submission.cluster import Cluster
from jobs.submission.manage import run_attach, run_jobs, run_stop
from tests.jobs.submission.conftest import CANARIES, Project
from tests.servers.cutting_proxy import CuttingProxy, Refusal
from tests.servers.ray_head import RayHead

pytestmark = pytest.mark.ray
PATIENCE_S = 60.0


def wait_for(job_id: str, cluster: Cluster, status: str) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while (job := cluster.job(job_id)) is None or job.status != status:
        assert time.monotonic() < until_s, job
        time.sleep(0.2)


def wait_for_turn(project: Project, turns: int = 1) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not (project.run / "turns").exists() or project.turns < turns:
        assert time.monotonic() < until_s
        time.sleep(0.1)


def start_command(project: Project, *variables: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", "from jobs.cli.main import app; app()"]
    return subprocess.Popen(
        [*program, *project.command(*variables)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def id_of(project: Project) -> str:
    found = re.search(r"job +(onesketch-\S+)", project.err)
    assert found, project.err
    return found[1]


def numbered_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("line ")]


def kill_supervisor(project: Project) -> None:
    """Kill -9 the Ray actor above the shell that runs the stage."""
    stage = next(
        process
        for process in psutil.process_iter(["cmdline"])
        if str(project.run) in (process.info["cmdline"] or ())
        and process.pid != os.getpid()
        and "generate" in process.info["cmdline"]
        and "--address" not in process.info["cmdline"]
    )
    above = next(p for p in stage.parents() if "JobSupervisor" in " ".join(p.cmdline()))
    above.kill()


def test_a_submission_is_followed_to_its_end_and_done_once(
    submitted: Project, cluster: Cluster
) -> None:
    assert submitted.submit("STAGE_LINES=300", "STAGE_LIST=1") == 0
    assert numbered_lines(submitted.out) == [f"line {n:06d}" for n in range(300)]
    # What lies beside them stays here.
    assert "\nfiles drawing.png prompts.txt recipe.yaml\n" in submitted.out
    assert f"generate recipe.yaml --run {submitted.run}\n" in submitted.out
    assert re.search(r"onesketch-generate-ink-[0-9a-f]{8}-1 succeeded", submitted.err)
    assert submitted.submit() == 0
    assert "has succeeded already" in submitted.err
    assert submitted.out == ""
    assert submitted.turns == 1
    assert submitted.submit(again=True) == 0
    assert id_of(submitted).endswith("-2")
    run_jobs(submitted.address)
    table = submitted.capsys.readouterr().out
    row = next(line for line in table.splitlines() if id_of(submitted) in line)
    assert row.split()[1:4] == ["generate", "ink", "SUCCEEDED"]


def test_a_person_s_mistake_on_the_cluster_is_not_tried_again(submitted: Project) -> None:
    assert submitted.submit("STAGE_EXITS=2,0") == 2
    assert submitted.turns == 1
    # What ended otherwise than well may be submitted again.
    assert submitted.submit("STAGE_EXITS=2,0") == 0
    assert id_of(submitted).endswith("-2")


@pytest.mark.slow
def test_only_tries_without_progress_count(
    submitted: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.submission.submit._FIRST_PAUSE_S", 0.1)
    submitted.write_plan()
    # Killed thrice; the first two tries commit a shard each, so that one retry is left after them.
    variables = ("STAGE_EXITS=-9,-9,-9,0", "STAGE_SHARDS=1,1,0")
    assert submitted.submit(*variables, retries=1) == 0
    assert submitted.turns == 4
    assert submitted.err.count("it had progress") == 2
    assert submitted.err.count("try 1 of 1") == 1


@pytest.mark.slow
def test_retries_run_out(submitted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.submission.submit._FIRST_PAUSE_S", 0.1)
    assert submitted.submit("STAGE_EXITS=-9,7", retries=1) == 7
    assert submitted.turns == 2
    assert "ended by SIGKILL" in submitted.err
    assert "exit code 7" in submitted.err


@pytest.mark.slow
def test_a_dead_supervisor_is_named_and_the_job_tried_again(
    submitted: Project, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.submission.submit._FIRST_PAUSE_S", 0.1)
    command = start_command(submitted, "STAGE_WAITS=1")
    wait_for_turn(submitted)
    kill_supervisor(submitted)
    wait_for_turn(submitted, 2)
    (submitted.run / "go").touch()
    out, err = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 0, err
    assert "the process that watches the job died" in err
    assert "-2 succeeded" in err


def test_ctrl_c_detaches_and_stop_drains(submitted: Project, cluster: Cluster) -> None:
    submitted.write_plan()
    command = start_command(submitted, "STAGE_WAITS=1", "STAGE_DRAIN_S=1")
    wait_for_turn(submitted)
    begun_s = time.monotonic()
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=PATIENCE_S)
    assert time.monotonic() - begun_s < 5.0
    assert command.returncode == 130, err
    assert "detached; the job goes on." in err
    attach, stop = re.findall(r"onesketch (?:attach|stop) (\S+) --address", err)
    assert attach == stop
    assert f"onesketch status {submitted.run}/dataset" in err
    wait_for(stop, cluster, "RUNNING")
    assert run_stop(stop, submitted.address) == 0
    out, err = submitted.capsys.readouterr()
    assert "drained" in out
    # What was shown before it was asked to stop is not shown again.
    assert "turn 1" not in out
    assert "1 of 10 are committed" in err
    assert "within 1 min 20 s" in err
    # Whoever comes later learns how it ended; stopped is not a reason to try again.
    assert run_attach(stop, submitted.address) == 143
    assert "turn 1" in submitted.capsys.readouterr().out
    assert run_stop(stop, submitted.address) == 0
    assert "over already: STOPPED" in submitted.capsys.readouterr().err


def test_two_submissions_at_once_are_one_job(submitted: Project, cluster: Cluster) -> None:
    commands = [start_command(submitted, "STAGE_WAITS=1", "STAGE_LINES=20") for _ in range(2)]
    wait_for_turn(submitted)
    time.sleep(2.0)
    (submitted.run / "go").touch()
    shown = [command.communicate(timeout=PATIENCE_S) for command in commands]
    assert [command.returncode for command in commands] == [0, 0], shown
    assert submitted.turns == 1
    # Both have followed it.
    for out, _ in shown:
        assert numbered_lines(out) == [f"line {n:06d}" for n in range(20)]
    assert sum("attaching" in err for _, err in shown) <= 1


@pytest.mark.parametrize("quietly", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_cut_stream_costs_no_line_and_decides_nothing(
    submitted: Project, monkeypatch: pytest.MonkeyPatch, quietly: bool
) -> None:
    monkeypatch.setattr("jobs.submission.log_stream._FIRST_PAUSE_S", 0.1)
    refusals = [Refusal(502, "GET", r"/api/jobs/onesk\S+[0-9]$", times=2, skip=1)]
    with CuttingProxy(submitted.address, refusals, cut_after_s=0.7, quietly=quietly) as proxy:
        submitted.address = proxy.url
        code = submitted.submit("STAGE_LINES=200", "STAGE_PAUSE_S=0.02", "STAGE_EXITS=2")
        streams = proxy.count("GET", "/logs/tail")
    assert code == 2
    assert numbered_lines(submitted.out) == [f"line {n:06d}" for n in range(200)]
    assert streams > 2
    assert "no contact, trying again" in submitted.err
    assert "in contact again" in submitted.err


def test_a_lost_answer_makes_no_second_job(submitted: Project, cluster: Cluster) -> None:
    before = len(cluster.jobs())
    with CuttingProxy(submitted.address, [Refusal(0, "POST", "/api/jobs/$")]) as proxy:
        submitted.address = proxy.url
        assert submitted.submit() == 0
        assert proxy.count("POST", "/api/jobs/$") == 1
    assert "the answer to the submission was lost" in submitted.err
    assert len(cluster.jobs()) == before + 1


@pytest.mark.slow
def test_a_proxy_that_takes_no_upload_is_named(submitted: Project, cluster: Cluster) -> None:
    before = len(cluster.jobs())
    # New bytes: what the cluster has already is not sent again.
    (submitted.folder / "drawing.png").write_bytes(os.urandom(1000))
    with CuttingProxy(submitted.address, [Refusal(413, "PUT", "/api/packages/")]) as proxy:
        submitted.address = proxy.url
        with pytest.raises(ValueError, match="takes no request of this size"):
            submitted.submit()
    assert len(cluster.jobs()) == before


@pytest.mark.slow
def test_lost_contact_ends_with_the_words_to_attach_again(
    submitted: Project, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.submission.submit.PATIENCE_S", 2.0)
    with CuttingProxy(submitted.address) as proxy:
        submitted.address = proxy.url
        assert submitted.submit("STAGE_WAITS=1", detach=True) == 0
        wait_for_turn(submitted)
        proxy.refusals.append(Refusal(503, "GET", r"/api/jobs/onesk\S+[0-9]$", times=10**6))
        assert submitted.submit() == 75
    assert "out of reach" in submitted.err
    assert f"onesketch attach {id_of(submitted)} --address" in submitted.err
    assert cluster.job(id_of(submitted)).status == "RUNNING"
    (submitted.run / "go").touch()
    wait_for(id_of(submitted), cluster, "SUCCEEDED")


@pytest.mark.slow
def test_in_a_pod_of_kuberay_the_id_is_the_operator_s(
    submitted: Project, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", submitted.address.removeprefix("http://"))
    monkeypatch.setenv("RAY_JOB_SUBMISSION_ID", f"ink-{submitted.folder.parent.name}-x7k2p")
    # Its retries are the operator's.
    assert submitted.submit("STAGE_EXITS=-9,0", address="", in_cluster=True, retries=3) == 137
    assert submitted.turns == 1
    # A pod that is restarted attaches.
    assert submitted.submit("STAGE_EXITS=-9,0", address="", in_cluster=True) == 137
    assert submitted.turns == 1
    assert f"ink-{submitted.folder.parent.name}-x7k2p" in submitted.err


def test_a_dry_run_sends_nothing(submitted: Project, cluster: Cluster) -> None:
    before = len(cluster.jobs())
    with CuttingProxy(submitted.address) as proxy:
        submitted.address = proxy.url
        assert submitted.submit("MODE=quick", dry_run=True) == 0
        assert {method for method, _ in proxy.seen} == {"GET"}
    shown = json.loads(submitted.out)
    assert shown["entrypoint"] == f"onesketch generate recipe.yaml --run {submitted.run}"
    assert shown["runtime_env"]["env_vars"] == {"RAY_JOB_STOP_WAIT_TIME_S": "80", "MODE": "quick"}
    assert shown["submission_id"].startswith("onesketch-generate-ink-")
    assert re.search(r"9 bytes  drawing.png", submitted.err)
    assert len(cluster.jobs()) == before
    assert not submitted.run.exists()


def test_nothing_secret_comes_to_light(
    head: RayHead, submitted: Project, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    assert submitted.submit("STAGE_LINES=1") == 0
    answers = [
        requests.get(f"{head.address}{path}", timeout=30).text
        for path in (
            "/api/jobs/",
            f"/api/jobs/{id_of(submitted)}",
            f"/api/jobs/{id_of(submitted)}/logs",
            "/api/v0/jobs?detail=true",
            "/api/v0/runtime_envs?detail=true",
            "/api/v0/actors?detail=true",
            "/api/v0/workers?detail=true",
            "/api/cluster_status",
            "/nodes?view=summary",
        )
    ]
    files = {
        str(path): path.read_bytes()
        for path in head.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != "onesketch"
    }
    assert len(files) > 20
    seen = {f"answer {n}": text.encode() for n, text in enumerate(answers)} | files
    for value in CANARIES.values():
        assert [where for where, text in seen.items() if value.encode() in text] == []
    # The search would find what is there.
    assert any(b"onesketch-generate-ink" in text for text in files.values())
    with pytest.raises(ValueError, match="--env NOTE holds the value of your variable SERVICE_TOK"):
        submitted.submit(f"NOTE=x{CANARIES['SERVICE_TOKEN']}")
