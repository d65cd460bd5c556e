"""infra/slurm on a real Slurm of one node: a job that is requeued half-way loses nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline.dataset import layout
from pipeline.storage.local import LocalStore

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
RECIPE = {
    "style": "tiny",
    "run": "run",
    "backbone": "embedded",
    "example": {
        "prompt": "a red house on grass under a blue sky",
        "seed": 50,
        "drawing": str(ROOT / "jobs" / "styles" / "xdog" / "xdog.png"),
    },
    "sampler": {"steps": 12, "guidance": 2.0, "batch": 2},
    "teach": {"iterations": 4, "diffusion_duration": 3, "timesteps": [0, 2]},
    "dataset": {"samples": 96, "shard_size": 4},
}
SHARDS = 24
MISSING = [name for name in ("slurmctld", "slurmd", "munged", "unshare") if not shutil.which(name)]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed (slurm-wlm, munge): {MISSING}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a network of one's own needs root"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    for stage in ("source", "teach"):
        onesketch(folder, stage, "tiny.yaml")
    # Made without Slurm and undisturbed.
    shutil.copytree(folder / "run", folder / "undisturbed")
    return folder


def onesketch(folder: Path, *arguments: str) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [BIN / "onesketch", *arguments], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def wait_until(holds: Callable[[], bool], within_s: float) -> None:
    until_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.5)


def test_a_requeued_job_goes_on(project: Path) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{BIN}:{os.environ['PATH']}"}
    slurm = project / "slurm"
    with subprocess.Popen(
        ["unshare", "--net", HERE / "slurm-node.sh", slurm, "sleep", "600"],
        cwd=project,
        env=env,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as node:
        try:
            requeue_half_way(project, node.pid, {**env, "SLURM_CONF": str(slurm / "slurm.conf")})
        finally:
            os.killpg(node.pid, 15)
    onesketch(project, "generate", "tiny.yaml", "--run", "undisturbed", "--workers", "2")
    assert shards(project / "run") == shards(project / "undisturbed")


def requeue_half_way(project: Path, node: int, env: dict[str, str]) -> None:
    def inside(*command: str | Path) -> str:
        return subprocess.run(
            ["nsenter", f"--net=/proc/{node}/ns/net", *command],
            cwd=project,
            env=env,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def state() -> str:
        return inside("squeue", "--noheader", "--format=%T")

    def committed() -> int:
        return len(list((project / "run" / "dataset" / "commits").glob("*.json")))

    wait_until(lambda: inside("sinfo", "--noheader", "--format=%T") == "idle", 60)
    script = ROOT / "infra" / "slurm" / "onesketch.sbatch"
    asked = ["--workers", "2", "--run", "run"]
    inside("sbatch", "--cpus-per-task=2", "--output=log", script, "generate", "tiny.yaml", *asked)
    wait_until(lambda: committed() >= 4, 240)
    # As Slurm does it before the time is up (--signal=B:TERM).
    inside("scancel", "--batch", "--signal=TERM", "1")
    wait_until(lambda: state() == "PENDING", 90)
    kept = committed()
    assert 4 <= kept < SHARDS
    # A requeued job waits for two minutes.
    inside("scontrol", "update", "jobid=1", "starttime=now")
    wait_until(lambda: state() == "", 400)
    assert "JobState=COMPLETED" in inside("scontrol", "show", "job", "1")
    log = (project / "log").read_text()
    assert "back into the queue" in log
    assert f"made by this run        {96 - 4 * kept} pairs" in log
    assert committed() == SHARDS


def shards(run: Path) -> dict[str, bytes]:
    store = LocalStore(run / "dataset")
    return {key: store.read(key) for key in store.keys(layout.SHARDS)}
