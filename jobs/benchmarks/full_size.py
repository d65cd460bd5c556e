"""Benchmark `full-size`: `generate` at Stable Diffusion's size, and what its sampling waits for."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from jobs.benchmarks.measure import BenchmarkResult, BenchmarkScore, Effort, check_empty
from jobs.benchmarks.standins import full_size_model
from jobs.benchmarks.standins.pictures import plan_for
from jobs.benchmarks.standins.sketchers import UntaughtFactory
from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.devices import Machine, choose_machine
from pipeline.dataset.plan import Plan
from pipeline.events import ignore
from pipeline.generation.ray_actors import generate
from pipeline.generation.scheduling import Policy
from pipeline.generation.summary import Summary
from pipeline.recipe.recipe import Sampling
from pipeline.storage.address import open_store

# Shards of a few minutes each: two cores take minutes for a pair, a GPU a fraction of a second.
_CPU_SHARDS, _CPU_SHARD_SIZE, _CPU_BATCH = 3, 1, 1
_GPU_SHARDS, _GPU_SHARD_SIZE, _GPU_BATCH = 4, 128, 16
_STEPS = 50


def measure_full_size(effort: Effort) -> BenchmarkResult:
    """Generate some shards with one worker, once; to `effort.far` where that is given.

    Takes random weights of Stable Diffusion 1.4's shapes unless `effort.backbone` names others.
    """
    machine = choose_machine(effort.device)
    with tempfile.TemporaryDirectory(prefix="onesketch-bench-") as temp:
        out = effort.far or str(Path(temp) / "dataset")
        check_empty(out)
        factory = _factory(effort, machine, Path(temp))
        plan = _plan(effort, machine, factory)
        with ray_runtime(machine):
            summary = _generate(plan, out, factory, machine)
    share = BenchmarkScore(
        "share of time that the sampling thread waits",
        (summary.waiting_share,),
        0.03,
        at_least=False,
        unit="",
    )
    return BenchmarkResult(
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
    shards, size = (_CPU_SHARDS, _CPU_SHARD_SIZE)
    if machine.num_gpus:
        shards, size = (_GPU_SHARDS, _GPU_SHARD_SIZE)
    batch = factory.sampling.batch
    size = batch if effort.tiny else size
    return plan_for(shards * size, size, batch, factory.fingerprint)


def _generate(plan: Plan, out: str, factory: UntaughtFactory, machine: Machine) -> Summary:
    return generate(
        plan,
        open_store(out),
        factory,
        workers=1,
        gpus_per_worker=1.0 if machine.num_gpus else 0.0,
        on_event=ignore,
        policy=Policy(cpus_per_worker=machine.num_cpus),
    )


def _factory(effort: Effort, machine: Machine, temp: Path) -> UntaughtFactory:
    if effort.tiny:
        return UntaughtFactory.embedded(tiny=True)
    backbone = effort.backbone or str(full_size_model.build(temp / "model"))
    batch = _GPU_BATCH if machine.num_gpus else _CPU_BATCH
    # On processors bfloat16, too: those that multiply it in hardware are much faster with it.
    dtype = machine.dtype if machine.num_gpus else torch.bfloat16
    return replace(
        UntaughtFactory.embedded(),
        backbone=backbone,
        sampling=Sampling(steps=_STEPS, batch=batch),
        device=machine.device,
        dtype=dtype,
    )
