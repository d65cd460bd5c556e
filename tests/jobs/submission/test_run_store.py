"""What a run's store tells before anything is sent: on a real object store."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml

from jobs.submission.run_store import (
    Shards,
    check_plan_at,
    check_store,
    estimate_rest,
    look_at_shards,
)
from jobs.submission.submit import Conditions, run_submit
from pipeline.dataset import layout
from pipeline.dataset.plan import PlanMismatchError, plan_from_recipe, write_or_check
from pipeline.recipe.recipe import load_recipe
from pipeline.storage.address import open_store
from pipeline.storage.store import StorageError
from tests.jobs.submission.conftest import Project
from tests.servers.ray_head import RayHead

pytestmark = pytest.mark.s3


def begin(project: Project, dataset: str, shards: int) -> None:
    store = open_store(dataset)
    write_or_check(store, plan_from_recipe(load_recipe(project.recipe), {"net": "0"}, {}))
    for shard in range(shards):
        store.create(layout.commit_key(shard), b"{}")


def test_stores_that_cannot_be_written_are_refused(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_store(f"s3://{bucket}/run")
    assert open_store(f"s3://{bucket}/run").keys("") == []
    with pytest.raises(StorageError, match="the bucket does not exist"):
        check_store("s3://nobody-has-made-this/run")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorageError, match="key"):
        check_store(f"s3://{bucket}/run")


def test_a_dataset_of_another_plan_is_refused(
    project: Project, bucket: str, settings: dict[str, Any]
) -> None:
    dataset = f"s3://{bucket}/run/dataset"
    check_plan_at(dataset, load_recipe(project.recipe))
    begin(project, dataset, shards=0)
    # The teacher is compared on the cluster, and distilling does not change the pairs.
    settings["distill"] = {"epochs": 3}
    project.recipe.write_text(yaml.safe_dump(settings))
    check_plan_at(dataset, load_recipe(project.recipe))
    settings["dataset"]["seed"] = 7
    project.recipe.write_text(yaml.safe_dump(settings))
    with pytest.raises(PlanMismatchError, match="another plan.*seed: stored 0, now 7"):
        check_plan_at(dataset, load_recipe(project.recipe))


def test_shards_are_counted(project: Project, bucket: str) -> None:
    dataset = f"s3://{bucket}/run/dataset"
    assert look_at_shards(dataset) == Shards(0, None)
    begin(project, dataset, shards=3)
    assert look_at_shards(dataset) == Shards(3, 10)
    assert str(look_at_shards(dataset)) == "3/10"


def test_why_they_cannot_be_counted_is_said(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not seen from here" in str(look_at_shards("/nowhere/dataset"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    assert "credentials" in str(look_at_shards(f"s3://{bucket}/run/dataset"))


def test_nobody_waits_long_for_a_store(monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    monkeypatch.setattr("jobs.submission.run_store._LOOK_S", 0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.77:9")
    begun_s = time.monotonic()
    assert str(look_at_shards(f"s3://{bucket}/dataset")).startswith("unknown")
    assert time.monotonic() - begun_s < 5.0


@pytest.mark.parametrize("at", ["generation.json", "generation/20261126-a.json"])
def test_what_is_left_is_estimated_from_the_run_s_own_pace(
    project: Project, bucket: str, at: str
) -> None:
    run, dataset = f"s3://{bucket}/run", f"s3://{bucket}/run/dataset"
    recipe = load_recipe(project.recipe)
    assert estimate_rest(run, dataset, recipe).worker_hours is None
    begin(project, dataset, shards=3)
    records = [
        {"pairs_made": 8, "sampling_s": 700.0, "waiting_s": 20.0},
        {"pairs_made": 4, "sampling_s": 350.0, "waiting_s": 10.0},
    ]
    open_store(run).create(at, json.dumps({"runs": records}).encode())
    found = estimate_rest(run, dataset, recipe)
    # 90 s a pair for 28 pairs.
    assert (found.pairs_left, found.measured_pairs) == (28, 12)
    assert found.worker_hours == pytest.approx(28 * 90 / 3600)


@pytest.mark.ray
def test_a_submission_finds_out_before_anything_is_sent(
    submitted: Project, head: RayHead, bucket: str, settings: dict[str, Any]
) -> None:
    run = f"s3://{bucket}/run"
    begin(submitted, f"{run}/dataset", shards=2)
    record = {"pairs_made": 8, "sampling_s": 720.0, "waiting_s": 0.0}
    open_store(run).create("generation/a.json", json.dumps({"runs": [record]}).encode())
    asked = submitted.asked(run=run, workers="4", shared_folder=False)
    assert submitted.submit(asked=asked, dry_run=True, price=2.0) == 0
    assert "0.8 worker-hours, 12 min 00 s with 4 workers: 32 pairs" in submitted.err
    assert "1.60 at 2" in submitted.err
    settings["dataset"]["seed"] = 7
    submitted.recipe.write_text(yaml.safe_dump(settings))
    with pytest.raises(PlanMismatchError, match="another plan"):
        run_submit(asked, Conditions(head.address))
    away = submitted.asked(run="s3://nobody-has-made-this/run", shared_folder=False)
    with pytest.raises(StorageError, match="the bucket does not exist"):
        run_submit(away, Conditions(head.address))
