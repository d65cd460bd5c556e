"""What the run's store says to the one who submits: whether it can be used, how far the work is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.submission.deadline import within
from pipeline.dataset import layout
from pipeline.dataset.commit import committed_shards
from pipeline.dataset.plan import PlanMismatchError, plan_from_recipe, read_plan
from pipeline.recipe.recipe import Recipe
from pipeline.storage.address import open_store
from pipeline.storage.probe import check_reachable, probe
from pipeline.storage.store import MissingKeyError, StorageError

# boto3 tries for minutes where there is no network; people wait for an answer.
_LOOK_S = 20.0
_SECONDS_PER_HOUR = 3600.0
_GENERATION_FILE, _GENERATION = "generation.json", "generation/"


@dataclass(frozen=True)
class Shards:
    """How many shards of a dataset are committed, of how many; None: no plan is there yet."""

    committed: int
    planned: int | None

    def __str__(self) -> str:
        return str(self.committed) if self.planned is None else f"{self.committed}/{self.planned}"


def check_store(address: str, single_writer: bool = False) -> None:
    """Refuse a store that is not there, cannot be written, or does not guard names.

    Raises:
        StorageError: the bucket does not exist, or refuses, or has no guard.
    """
    store = open_store(address, single_writer)
    check_reachable(store)
    probe(store)


def check_plan_at(dataset: str, recipe: Recipe) -> None:
    """Refuse a dataset that was begun under another recipe.

    The teacher's weights are compared on the cluster; what this recipe says is compared here.

    Raises:
        PlanMismatchError: it was; the differences are in the message.
    """
    try:
        stored = read_plan(open_store(dataset))
    except MissingKeyError:
        return
    own = plan_from_recipe(recipe, stored.fingerprints, stored.versions)
    if differences := own.differences(stored):
        raise PlanMismatchError(
            f"{dataset} holds a dataset of another plan: give another --run, or put the recipe "
            "back. Differences: " + "; ".join(differences)
        )


def look_at_shards(dataset: str) -> Shards | str:
    """Count a dataset's shards, or say in a few words why they cannot be counted from here."""
    try:
        return within(_LOOK_S, lambda: _count_shards(dataset))
    except TimeoutError:
        return f"unknown: the store does not answer within {_LOOK_S:.0f} s"
    except (StorageError, ValueError) as error:
        return f"unknown: {error}"


def _count_shards(dataset: str) -> Shards:
    if not dataset.startswith("s3:") and not Path(dataset).is_dir():
        raise StorageError(f"{dataset} is a folder that is not seen from here")
    store = open_store(dataset)
    check_reachable(store)
    if not store.exists(layout.PLAN):
        return Shards(0, None)
    return Shards(len(committed_shards(store)), read_plan(store).num_shards)


@dataclass(frozen=True)
class Estimate:
    """What is left of a dataset, by the pace of its earlier runs.

    Attributes:
        worker_hours: None where no run has told its pace yet.
        measured_pairs: how many pairs the pace is from.
    """

    pairs_left: int
    worker_hours: float | None
    measured_pairs: int


def estimate_rest(run: str, dataset: str, recipe: Recipe) -> Estimate:
    """Estimate what is left to do, from the run's own records.

    Raises:
        StorageError: the store fails.
    """
    shards, left = look_at_shards(dataset), recipe.dataset.samples
    if isinstance(shards, Shards):
        # All are of one size but the last.
        left -= min(shards.committed * recipe.dataset.shard_size, left)
    runs = _generation_records(run)
    pairs = sum(int(record.get("pairs_made", 0)) for record in runs)
    busy_s = sum(float(record.get("sampling_s", 0.0)) for record in runs)
    busy_s += sum(float(record.get("waiting_s", 0.0)) for record in runs)
    if not pairs:
        return Estimate(left, None, 0)
    return Estimate(left, left * busy_s / pairs / _SECONDS_PER_HOUR, pairs)


def _generation_records(run: str) -> list[dict[str, Any]]:
    """Read what each run of `generate` recorded: in one file of a folder, or an object each."""
    store = open_store(run)
    keys = [_GENERATION_FILE] if store.exists(_GENERATION_FILE) else store.keys(_GENERATION)
    return [record for key in keys for record in json.loads(store.read(key))["runs"]]
