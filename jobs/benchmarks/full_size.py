"""Benchmark `full-size`: `generate` at Stable Diffusion's size, and for what its sampling waits."""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from jobs.benchmarks import full_size_model
from jobs.benchmarks.measure import Effort, Measured, Score
from jobs.benchmarks.pictures import plan_for
from jobs.benchmarks.sketchers import UntaughtFactory
from jobs.devices import Machine, choose_machine
from jobs.provenance import processor
from jobs.ray_runtime import ray_runtime
from pipeline.recipe import Sampler
from pipeline.scheduling import Policy
from pipeline.summary import Summary
from pipeline.workers import generate

# A processor makes about one pair a minute, a GPU some hundred: shards that fit a coffee break.
CPU_SHARDS, CPU_SHARD_SIZE, CPU_BATCH = 3, 2, 1
GPU_SHARDS, GPU_SHARD_SIZE, GPU_BATCH = 4, 128, 16
STEPS = 50


def measure_full_size(effort: Effort) -> Measured:
    """Generate some shards with one worker, once; to `effort.far` where that is given.

    Takes random weights of Stable Diffusion 1.4's shapes unless `effort.backbone` names others.
    """
    machine = choose_machine("auto")
    with ExitStack() as stack:
        temp = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onesketch-bench-")))
        factory = _factory(effort, machine, temp)
        shards, size = (CPU_SHARDS, CPU_SHARD_SIZE)
        if machine.num_gpus:
            shards, size = (GPU_SHARDS, GPU_SHARD_SIZE)
        batch = factory.sampler.batch
        size = batch if effort.tiny else size
        plan = plan_for(shards * size, size, batch, factory.fingerprint)
        stack.enter_context(ray_runtime(machine))
        summary = generate(
            plan,
            effort.far or str(temp / "dataset"),
            factory,
            workers=1,
            gpus_per_worker=1.0 if machine.num_gpus else 0.0,
            on_event=lambda *_, **__: None,
            policy=Policy(cpus_per_worker=machine.num_cpus),
        )
    return Measured(
        workload=f"{plan.samples} pairs in {shards} shards, {factory.sampler.steps} steps with "
        f"guidance, batches of {batch}, {factory.dtype} on {machine.device} ({processor()}); "
        f"one worker with all cores, to {'S3' if effort.far else 'a local folder'}; "
        f"{'weights of ' + effort.backbone if effort.backbone else 'random weights'}",
        peer="none: a job that is limited by sampling alone does not wait",
        scores=(
            Score(
                "share of time that the sampling thread waits",
                (summary.waiting_share,),
                0.03,
                at_least=False,
                unit="",
            ),
        ),
        facts=_facts(summary),
    )


def _factory(effort: Effort, machine: Machine, temp: Path) -> UntaughtFactory:
    if effort.tiny:
        return UntaughtFactory.embedded(effort)
    backbone = effort.backbone or str(full_size_model.build(temp / "model"))
    batch = GPU_BATCH if machine.num_gpus else CPU_BATCH
    # On processors bfloat16, too: those that multiply it in hardware are several times as fast.
    dtype = machine.dtype if machine.num_gpus else torch.bfloat16
    return replace(
        UntaughtFactory.embedded(effort),
        backbone=backbone,
        sampler=Sampler(steps=STEPS, batch=batch),
        device=machine.device,
        dtype=dtype,
    )


def _facts(summary: Summary) -> dict[str, float]:
    return {
        "sampling_s_a_pair": summary.sampling_s / summary.pairs_made,
        "waiting_s": summary.waiting_s,
        "kB_a_pair": summary.bytes_made / summary.pairs_made / 1e3,
    }
