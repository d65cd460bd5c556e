"""A distillation that is killed for good goes on from its checkpoint to the same weights."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.recipe.recipe import Distill
from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan
from tests.standins.tiny_encoders import write_perceptual
from training.checkpoint import CHECKPOINT
from training.distillation.loop import distill
from training.distillation.spec import DistillationSpec, Execution

ROOT = Path(__file__).parents[2]
PATIENCE_S = 900
ALONE = """
import pickle, sys
from pathlib import Path
import torch
from training.distillation.loop import distill
torch.set_num_threads(1)
spec, execution = pickle.loads(Path(sys.argv[1]).read_bytes())
distill(spec, Path(sys.argv[2]), execution, lambda name, **fields: None)
"""
ON_RAY = """
import pickle, sys
from pathlib import Path
import ray
from training.distillation.ray_train import distill_on_ray
def show(name, **fields):
    if name == "distill.rank":
        print("rank", fields["pid"], flush=True)
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
spec, execution = pickle.loads(Path(sys.argv[1]).read_bytes())
distill_on_ray(spec, Path(sys.argv[2]), execution, show)
"""


def wait_for_the_end_of(pid: int) -> None:
    """Ray ends the ranks of a driver that is gone, but not at once."""
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    "script",
    [ALONE, pytest.param(ON_RAY, marks=[pytest.mark.ray, pytest.mark.faults])],
    ids=["alone", "ray"],
)
def test_kill_minus_9_and_again(tmp_path: Path, script: str) -> None:
    (example,) = StandinTeacher().pairs([make_plan(seed=99).spec(0)])
    settings = Distill(preset="small", epochs=12, batch=4, true_pair_every=4, workers=1)
    spec = DistillationSpec(
        settings,
        (write_dataset(tmp_path / "dataset", 12),),
        example.image,
        example.sketch,
        str(write_perceptual(tmp_path / "features")),
    )
    execution = Execution(record_every=5, checkpoint_every_s=0, threads=1)
    (tmp_path / "spec.pickle").write_bytes(pickle.dumps((spec, execution)))
    command = [sys.executable, "-c", script, str(tmp_path / "spec.pickle"), str(tmp_path / "a")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    if script is ON_RAY:
        rank = next(int(line.split()[1]) for line in process.stdout if line.startswith("rank "))
    deadline = time.monotonic() + PATIENCE_S
    while not (tmp_path / "a" / CHECKPOINT).is_file():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    if script is ON_RAY:
        wait_for_the_end_of(rank)
    if (tmp_path / "a" / "config.json").is_file():
        pytest.skip("it was done before the signal came")

    events = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    distill(spec, tmp_path / "a", execution, lambda name, **fields: events.append(name))
    distill(spec, tmp_path / "b", execution, lambda name, **fields: None)
    torch.set_num_threads(threads)
    assert events[0] == "distill.resumed"
    ours, theirs = (load_file(tmp_path / run / "model.safetensors") for run in "ab")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    lines = [
        json.loads(line)["iteration"]
        for line in (tmp_path / "a" / "history.jsonl").read_text().splitlines()
    ]
    assert lines == list(range(48))
