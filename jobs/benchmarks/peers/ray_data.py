"""The peer of `generate`: Ray Data's `map_batches` over a pool of actors, and `write_webdataset`.

As its users write it: the rows are sample numbers, an actor makes and encodes a batch of them, and
each block of rows becomes a tar.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import ray

from pipeline.dataset import layout
from pipeline.dataset.encode import encode_pair
from pipeline.dataset.plan import Plan
from pipeline.teachers.teacher import Teacher


class BatchMaker:
    """The actor: loads its teacher once, then makes batches."""

    def __init__(self, plan: Plan, teacher_factory: Callable[[], Teacher]) -> None:
        self.plan, self.teacher = plan, teacher_factory()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Make the pairs of a batch; return a column for each member of a shard."""
        specs = [self.plan.spec(int(index)) for index in batch["id"]]
        pairs = [encode_pair(pair) for pair in self.teacher.pairs(specs)]
        columns: dict[str, list[Any]] = {"__key__": []}
        for pair in pairs:
            columns["__key__"].append(layout.sample_key(pair.index))
            for suffix, content in pair.members:
                columns.setdefault(suffix, []).append(content)
        return columns


def make_with_ray_data(
    plan: Plan, folder: str, teacher_factory: Callable[[], Teacher], workers: int
) -> None:
    """Make a plan's pairs and write them as tars; Ray must be initialised."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    samples = ray.data.range(plan.samples, override_num_blocks=plan.num_shards)
    pairs = samples.map_batches(
        BatchMaker,
        fn_constructor_args=(plan, teacher_factory),
        batch_size=plan.batch,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    # The members are bytes already.
    pairs.write_webdataset(folder, min_rows_per_file=plan.shard_size, encoder=None)
