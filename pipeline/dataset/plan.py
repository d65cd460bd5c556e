"""The plan: what a dataset is, fixed before its first sample (docs/design.md, "Sample addressing").

Sample i depends on (plan, i) and on nothing else. Batches are part of that: which samples share a
batch can move the last bit of a float, so each shard is cut into the same batches on every worker.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.record import Record, first_error_text
from pipeline.pair import SampleSpec
from pipeline.recipe.recipe import Recipe
from pipeline.storage.store import Created, MissingKeyError, Store

FORMAT: Final = "onesketch-dataset/1"

# The keys that samples do not depend on: a dataset can be resumed after they change.
_FREE_KEYS = (
    "recipe.run",
    "recipe.distill.",
    "recipe.dataset.out",
    "recipe.dataset.license",
    # Where files lie; what is in them counts, and is among the fingerprints.
    "recipe.backbone",
    "recipe.example.drawing",
    "recipe.teach.clip",
    "recipe.teach.perceptual",
    "recipe.teach.prompts",
    "versions.",
)

Count = Annotated[int, Field(gt=0)]


class PlanMismatchError(ValueError):
    """A dataset of another plan lies there; the message lists the differences."""


class Plan(Record):
    """Everything that the samples of one dataset depend on.

    `duration` is S of DiffSketch's equation 5; `fingerprints` maps each artefact of the teacher to
    its SHA-256; `versions` notes the software of the first run, and does not bind later ones.
    """

    format: Literal["onesketch-dataset/1"] = FORMAT
    style: str
    samples: Annotated[int, Field(gt=0, le=layout.MAX_SAMPLES)]
    shard_size: Count
    seed: Annotated[int, Field(ge=0)]
    batch: Count
    duration: Count
    recipe: dict[str, Any]
    fingerprints: dict[str, str]
    versions: dict[str, str]

    @model_validator(mode="after")
    def _few_enough_shards(self) -> Self:
        if self.num_shards > layout.MAX_SHARDS:
            raise ValueError(
                f"{self.samples} samples in shards of {self.shard_size} are {self.num_shards} "
                f"shards; at most {layout.MAX_SHARDS} can be named: choose a larger shard_size"
            )
        return self

    @property
    def num_shards(self) -> int:
        """Return the number of shards; the last one may be shorter."""
        return math.ceil(self.samples / self.shard_size)

    def indices(self, shard: int) -> range:
        """Return the samples of one shard."""
        start = shard * self.shard_size
        return range(start, min(start + self.shard_size, self.samples))

    def batches(self, shard: int) -> Iterator[list[int]]:
        """Yield the samples of one shard in the batches that they are always made in."""
        for _, batch in groupby(self.indices(shard), key=lambda index: index // self.batch):
            yield list(batch)

    def spec(self, index: int) -> SampleSpec:
        """Return the address of one sample, for the teacher."""
        return SampleSpec(index=index, seed=self.seed, duration=self.duration)

    @property
    def license(self) -> str:
        """Return what the pairs may be used under, "" where the recipe states nothing."""
        return str(self.recipe.get("dataset", {}).get("license", ""))

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the plan as it is stored."""
        return canonical.sha256(self.to_bytes())

    def differences(self, stored: Plan) -> list[str]:
        """List, one line each, what sets this plan apart from the one that is stored."""
        ours, theirs = (dict(_flatten(plan.model_dump(mode="json"))) for plan in (self, stored))
        keys = [key for key in sorted(ours | theirs) if not key.startswith(_FREE_KEYS)]
        return [
            f"{key}: stored {_show(theirs, key)}, now {_show(ours, key)}"
            for key in keys
            if ours.get(key) != theirs.get(key)
        ]


def plan_from_recipe(
    recipe: Recipe, fingerprints: Mapping[str, str], versions: Mapping[str, str]
) -> Plan:
    """Fix a recipe's dataset.

    Args:
        fingerprints: SHA-256 of every artefact that the teacher reads.
        versions: of the software at work.

    Raises:
        ValueError: the samples do not fit into the names that shards can have.
    """
    return Plan(
        style=recipe.style,
        samples=recipe.dataset.samples,
        shard_size=recipe.dataset.shard_size,
        seed=recipe.dataset.seed,
        batch=recipe.sampler.batch,
        # The dataset's S is its number of samples, not the S of teaching (DiffSketch 4.4).
        duration=recipe.dataset.samples,
        recipe=recipe.resolved(),
        fingerprints=dict(fingerprints),
        versions=dict(versions),
    )


def read_plan(store: Store) -> Plan:
    """Read a dataset's plan.

    Raises:
        MissingKeyError: there is no dataset.
        ValueError: the file is not a plan of this format.
    """
    try:
        return Plan.model_validate_json(store.read(layout.PLAN))
    except MissingKeyError as error:
        raise MissingKeyError(
            f"no dataset at {store.url}: expected a place that `onesketch generate` has written "
            f"to, found no {layout.PLAN}"
        ) from error
    except ValidationError as error:
        raise ValueError(
            f"{store.url}/{layout.PLAN} is not a plan of the format {FORMAT} "
            f"({first_error_text(error)}); read it with the version of onesketch that wrote it"
        ) from error


def write_or_check(store: Store, plan: Plan) -> Plan:
    """Store the plan of a new dataset, or check that a begun one follows the same; return it.

    Raises:
        PlanMismatchError: another dataset lies there.
    """
    stored = check_plan(store, plan)
    if stored is not None:
        return stored
    if store.create(layout.PLAN, plan.to_bytes()) is not Created.OTHER:
        return plan
    # Another driver has just begun it.
    return check_plan(store, plan) or plan


def check_plan(store: Store, plan: Plan) -> Plan | None:
    """Check that a dataset that is begun follows a plan; return the stored one, None without any.

    Raises:
        PlanMismatchError: another dataset lies there.
    """
    if not store.exists(layout.PLAN):
        strays = store.keys(layout.SHARDS) + store.keys(layout.COMMITS)
        if strays:
            raise PlanMismatchError(
                f"{store.url} holds {strays[0]} but no {layout.PLAN}, so that it cannot be "
                "resumed; choose an empty place for dataset.out"
            )
        return None
    stored = read_plan(store)
    differences = plan.differences(stored)
    if differences:
        raise PlanMismatchError(
            f"{store.url} holds a dataset of another plan; choose another dataset.out, put the "
            "recipe back, or make it anew by `onesketch generate --again`. Differences: "
            + "; ".join(differences)
            + _why_fixed(plan, stored)
        )
    # An equal one has the recipe's keys in the order in which the card is to show them.
    return plan if stored == plan else stored


def _why_fixed(plan: Plan, stored: Plan) -> str:
    """Say why a dataset cannot grow, to people who try."""
    if plan.samples == stored.samples:
        return ""
    return (
        ". A dataset cannot grow: how far each sample lies from the example depends on how many "
        "there are. Make more under another dataset.out and dataset.seed, and name that place in "
        "distill.also"
    )


def _flatten(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flatten(item, f"{key}.{name}" if key else name)
    else:
        yield key, value


def _show(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "nothing"
