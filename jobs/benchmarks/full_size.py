"""Benchmark `full-size`: `generate` at Stable Diffusion's size, and for what its sampling waits."""

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from jobs.benchmarks.measure import Effort, Measured, Score, check_empty, ignore
from jobs.benchmarks.standins import full_size_model
from jobs.benchmarks.standins.pictures import plan_for
from jobs.benchmarks.standins.sketchers import UntaughtFactory
from jobs.runtime.devices import Machine, choose_machine
from jobs.runtime.ray_session import ray_runtime
from pipeline.dataset.plan import Plan
from pipeline.generation.ray_actors import generate
from pipeline.generation.scheduling import Policy
from pipeline.generation.summary import Summary
from pipeline.recipe import Sampling

# Shards of a few minutes each: two cores take minutes for a pair, a GPU a fraction of a second.
CPU_SHARDS, CPU_SHARD_SIZE, CPU_BATCH = 3, 1, 1
GPU_SHARDS, GPU_SHARD_SIZE, GPU_BATCH = 4, 128, 16
STEPS = 50


def measure_full_size(effort: Effort) -> Measured:
    """Generate some shards with one worker, once; to `effort.far` where that is given.

    Takes random weights of Stable Diffusion 1.4's shapes unless `effort.backbone` names others.
    """
    machine = choose_machine("auto")
    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        out = effort.far or str(Path(temp) / "dataset")
        check_empty(out)
        factory = _factory(effort, machine, Path(temp))
        plan = _plan(effort, machine, factory)
        with ray_runtime(machine):
            summary = _generate(plan, out, factory, machine)
    share = Score(
        "share of time that the sampling thread waits",
        (summary.waiting_share,),
        0.03,
        at_least=False,
        unit="",
    )
    return Measured(
        workload=f"{plan.samples} pairs in {plan.num_shards} shards, "
        f"{factory.sampling.steps} steps with guidance, batches of {plan.batch}, "
        f"{factory.dtype} on {machine.device}; one worker "
        f"with all cores, to {'S3' if effort.far else 'a local folder'}; "
        f"{'weights of ' + effort.backbone if effort.backbone else 'random weights'}",
        peer="none: a job that is limited by sampling alone does not wait",
        scores=(share,),
        metadata={
            "sampling_s_a_pair": summary.sampling_s / summary.pairs_made,
            "waiting_s": summary.waiting_s,
            "kB_a_pair": summary.bytes_made / summary.pairs_made / 1e3,
        },
    )


def _plan(effort: Effort, machine: Machine, factory: UntaughtFactory) -> Plan:
    shards, size = (CPU_SHARDS, CPU_SHARD_SIZE)
    if machine.num_gpus:
        shards, size = (GPU_SHARDS, GPU_SHARD_SIZE)
    batch = factory.sampling.batch
    size = batch if effort.tiny else size
    return plan_for(shards * size, size, batch, factory.fingerprint)


def _generate(plan: Plan, out: str, factory: UntaughtFactory, machine: Machine) -> Summary:
    return generate(
        plan,
        out,
        factory,
        workers=1,
        gpus_per_worker=1.0 if machine.num_gpus else 0.0,
        on_event=ignore,
        policy=Policy(cpus_per_worker=machine.num_cpus),
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
        sampling=Sampling(steps=STEPS, batch=batch),
        device=machine.device,
        dtype=dtype,
    )
