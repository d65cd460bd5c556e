"""The plan: what it fixes, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from jobs.runtime.recipes import open_recipe
from pipeline.dataset.plan import (
    Plan,
    PlanMismatchError,
    plan_from_recipe,
    read_plan,
    write_or_check,
)
from pipeline.recipe.recipe import parse_recipe
from pipeline.storage.local import LocalStore
from pipeline.storage.store import MissingKeyError
from tests.standins.standin_teacher import make_plan


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def recipe_plan(**changes: object) -> Plan:
    data = {
        "style": "ink",
        "example": {"prompt": "a cup", "seed": 1, "drawing": "ink.png"},
        "dataset": {"samples": 100, "shard_size": 32},
        **changes,
    }
    return plan_from_recipe(parse_recipe(data, Path("/somewhere")), {"gsketch": "ab"}, {"x": "1"})


def test_shards_and_batches_cover_every_sample_once() -> None:
    plan = make_plan(samples=21, shard_size=6, batch=4)
    shards = [list(plan.indices(shard)) for shard in range(plan.num_shards)]
    assert [len(shard) for shard in shards] == [6, 6, 6, 3]
    assert sum(shards, []) == list(range(21))
    for shard, indices in enumerate(shards):
        assert sum(plan.batches(shard), []) == indices


def test_batches_do_not_depend_on_the_shard_size() -> None:
    # A sample's neighbours in a batch are those of equal index // batch, cut at the shard's end.
    assert list(make_plan(21, 6, 4).batches(1)) == [[6, 7], [8, 9, 10, 11]]


def test_a_recipe_becomes_a_plan() -> None:
    plan = recipe_plan()
    assert (plan.samples, plan.shard_size, plan.batch, plan.duration) == (100, 32, 8, 100)
    assert plan.recipe["example"]["prompt"] == "a cup"
    assert Plan.model_validate_json(plan.to_bytes()) == plan


def test_too_many_shards() -> None:
    with pytest.raises(ValidationError, match="choose a larger shard_size"):
        make_plan(samples=10**6 + 1, shard_size=1)


def test_the_first_plan_is_stored_and_the_same_goes_on(store: LocalStore) -> None:
    assert write_or_check(store, recipe_plan()) == read_plan(store) == recipe_plan()
    write_or_check(store, recipe_plan())


def test_another_plan_is_refused_with_the_differences(store: LocalStore) -> None:
    write_or_check(store, recipe_plan())
    other = recipe_plan(sampler={"steps": 20}, dataset={"samples": 200, "shard_size": 32})
    with pytest.raises(PlanMismatchError) as caught:
        write_or_check(store, other)
    message = str(caught.value)
    assert "samples: stored 100, now 200" in message
    assert "recipe.sampler.steps: stored 50, now 20" in message
    assert "batch" not in message and "another dataset.out" in message
    assert read_plan(store) == recipe_plan()


def test_changes_that_samples_do_not_depend_on_go_on(store: LocalStore) -> None:
    first = recipe_plan()
    write_or_check(store, first)
    later = recipe_plan(run="elsewhere", distill={"epochs": 3}).model_copy(
        update={"versions": {"x": "2"}}
    )
    assert write_or_check(store, later) == first, "the stored plan counts"


def test_other_weights_are_another_plan(store: LocalStore) -> None:
    write_or_check(store, recipe_plan())
    other = recipe_plan().model_copy(update={"fingerprints": {"gsketch": "cd", "vae": "ef"}})
    with pytest.raises(PlanMismatchError, match="vae: stored nothing, now 'ef'"):
        write_or_check(store, other)


def test_a_folder_with_strange_shards_is_refused(store: LocalStore) -> None:
    store.create("shards/00000.tar", b"whose?")
    with pytest.raises(PlanMismatchError, match="shards/00000.tar but no plan.json"):
        write_or_check(store, recipe_plan())
    assert store.keys("") == ["shards/00000.tar"]


def test_a_resumed_plan_shows_its_recipe_in_the_same_order(tmp_path: Path) -> None:
    store, plan = LocalStore(tmp_path), recipe_plan()
    for _ in range(2):
        assert list(write_or_check(store, plan).recipe) == list(plan.recipe)
    assert list(plan.recipe) != sorted(plan.recipe)


def test_no_dataset_and_no_plan(store: LocalStore) -> None:
    with pytest.raises(MissingKeyError, match="no dataset at"):
        read_plan(store)
    store.create("plan.json", b'{"format": "other/9"}')
    with pytest.raises(
        ValueError, match=r"not a plan of the format onesketch-dataset/1 \(format: "
    ):
        write_or_check(store, recipe_plan())


def test_a_plan_that_is_no_json_has_no_place_to_name(store: LocalStore) -> None:
    store.create("plan.json", b"{")
    with pytest.raises(ValueError, match=r"onesketch-dataset/1 \(Invalid JSON: "):
        read_plan(store)


def test_a_dataset_begun_by_the_first_version_is_resumed(tmp_path: Path) -> None:
    """The shipped style's plan, as version 0.1.0 wrote it: to the byte what today's code plans.

    Its rate was the paper's, and its sizes others, which the shipped style has left since.
    """
    written = Path(__file__).with_name("plan_of_the_first_version.json").read_bytes()
    store = LocalStore(tmp_path)
    store.create("plan.json", written)
    stored = read_plan(store)
    recipe = open_recipe("xdog", "runs/demo")
    teach = recipe.teach.model_copy(update={"learning_rate": 1e-4})
    dataset = recipe.dataset.model_copy(update={"samples": 224})
    distill = recipe.distill.model_copy(update={"epochs": 8})
    recipe = recipe.model_copy(update={"teach": teach, "dataset": dataset, "distill": distill})
    plan = plan_from_recipe(recipe, stored.fingerprints, stored.versions)
    assert plan.to_bytes() == written
    assert write_or_check(store, plan) == stored


def test_where_files_lie_does_not_bind_a_dataset(store: LocalStore) -> None:
    """Another folder of the same weights, the drawing under another name, a licence that came."""
    write_or_check(store, recipe_plan())
    moved = recipe_plan(
        backbone="./sd",
        run="elsewhere",
        dataset={"samples": 100, "shard_size": 32, "license": "cc0-1.0"},
    )
    assert write_or_check(store, moved).license == ""


def test_it_is_said_why_a_dataset_cannot_grow(store: LocalStore) -> None:
    write_or_check(store, recipe_plan())
    with pytest.raises(PlanMismatchError, match=r"samples: stored 100, now 120.*cannot grow.*also"):
        write_or_check(store, recipe_plan(dataset={"samples": 120, "shard_size": 32}))
    with pytest.raises(PlanMismatchError) as caught:
        write_or_check(store, recipe_plan(style="pencil"))
    assert "cannot grow" not in str(caught.value)
