"""The commands about datasets as people type them: what they print, leave and end in."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto import mock_aws
from PIL import Image
from typer.testing import CliRunner, Result

from jobs.cli.main import app
from jobs.dataset.preview import spread_specs
from jobs.nodes.teacher_factory import teacher_factory
from jobs.runtime.recipes import open_recipe
from jobs.runtime.session import open_session
from pipeline.dataset import layout
from pipeline.dataset.plan import plan_from_recipe, write_or_check
from pipeline.generation.worker import ShardMaker
from pipeline.publishing.finish import complete
from pipeline.publishing.heartbeats import record_ready, record_shard
from pipeline.recipe.recipe import parse_recipe
from pipeline.storage.address import open_store
from tests.standins.hostile_shards import TAR, flipped, spoil
from tests.standins.published_blobs import write_dataset


def onesketch(*arguments: object) -> Result:
    """Run the command in this process; an unexpected error fails the test with its traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_dataset(tmp_path_factory.mktemp("sound") / "dataset"))


@pytest.fixture
def dataset(sound: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "dataset"))


@pytest.fixture
def bucket(sound: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The dataset in a bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="bucket")
        near, far = open_store(str(sound)), open_store("s3://bucket/blobs")
        for key in near.keys(""):
            far.create(key, near.read(key))
        yield far.url


def test_status_of_a_finished_dataset_and_of_none(sound: Path, tmp_path: Path) -> None:
    words = onesketch("status", sound).stdout.split()
    assert {"finished", "blobs", "(100.0%)"} <= set(words) and "left" not in words
    nothing = onesketch("status", tmp_path / "nowhere")
    assert nothing.exit_code == 2 and "no dataset at" in nothing.stderr


def test_status_names_what_is_broken(dataset: Path) -> None:
    (dataset / layout.MANIFEST).write_text("not JSON")
    broken = onesketch("status", dataset)
    assert broken.exit_code == 2 and f"{dataset}/manifest.json" in broken.stderr
    (dataset / layout.MANIFEST).unlink()
    waiting = onesketch("status", dataset).stdout
    assert "write the manifest" in waiting and "pairs/s" not in waiting
    # Records are not read for a status; verify reads all of them.
    (dataset / layout.commit_key(2)).write_text("{}")
    assert onesketch("status", dataset).stdout == waiting
    broken = onesketch("verify", dataset)
    assert broken.exit_code != 0 and "commits/00002.json" in broken.output


def test_status_of_a_run_under_way(dataset: Path) -> None:
    (dataset / layout.MANIFEST).unlink()
    (dataset / layout.commit_key(2)).unlink()
    store, now_s = open_store(str(dataset)), time.time()
    for worker in ("node-a-1", "node-b-2"):
        record_ready(store, worker)
    record_shard(store, "node-a-1", 0)
    record_shard(store, "node-b-2", 1)
    ages_s = {
        "commits/00000.json": 30,
        "commits/00001.json": 20,
        "workers/node-a-1.ready": 110,
        "workers/node-a-1.00000": 100,
        "workers/node-b-2.ready": 80,
        "workers/node-b-2.00001": 20,
    }
    for name, ago_s in ages_s.items():
        os.utime(dataset / name, (now_s - ago_s, now_s - ago_s))
    lines = onesketch("status", dataset).stdout.splitlines()
    text = "\n".join(lines)
    assert "16 of 22 (72.7%)" in text and "under way; the last shard came 2" in text
    assert "0.8 pairs/s" in text and "7.5 s at this rate" in text
    (first,) = [line for line in lines if line.startswith("node-a-1")]
    (second,) = [line for line in lines if line.startswith("node-b-2")]
    assert "10.0 s" in first and "silent: gone?" in first
    assert "1 min 00 s" in second and "silent" not in second


def test_verify_ends_in_0_for_sound_1_for_incomplete(dataset: Path) -> None:
    assert onesketch("verify", dataset).exit_code == 0
    (dataset / layout.index_key(1)).unlink()
    result = onesketch("verify", dataset)
    assert result.exit_code == 1
    assert "index/00001.parquet" in result.stdout and "is incomplete: 1 fault;" in result.stdout


@pytest.mark.parametrize("how", ["flipped", "cut", "pickle", "traversal", "bomb"])
def test_spoilt_shards_are_refused_by_name_with_exit_code_2(
    dataset: Path, tmp_path: Path, how: str
) -> None:
    trace = tmp_path / "trace"
    spoil(dataset, how, trace)
    verdict = onesketch("verify", dataset)
    assert verdict.exit_code == 2 and "is not to be trusted" in verdict.stdout
    (fault,) = [line for line in verdict.stdout.splitlines() if line.startswith("fault")]
    assert TAR in fault and ("000000009" in fault) == (how == "bomb")
    for form in ("imagefolder", "huggingface"):
        export = onesketch("export", dataset, "--out", tmp_path / form, "--form", form)
        assert export.exit_code == 2 and export.stderr.count("onesketch: ") == 1
        assert TAR in export.stderr.splitlines()[-1]
    assert not trace.exists()


def test_remarks_beyond_some_are_counted(dataset: Path) -> None:
    for number in range(25):
        (dataset / f"stray-{number:02d}.txt").touch()
    result = onesketch("verify", dataset)
    assert result.exit_code == 0 and "... and 5 more remarks" in result.stdout
    assert "25 remarks for people to judge" in result.stdout


def test_gc_lists_and_then_removes(dataset: Path) -> None:
    orphan = dataset / "shards" / ".00001.tar.12-0123456789abcdef.tmp"
    orphan.write_bytes(b"half")
    assert "nothing to clear away" in onesketch("gc", dataset).stdout
    listed = onesketch("gc", dataset, "--min-age-h", "0").stdout
    assert orphan.name in listed and "nothing was removed" in listed and orphan.exists()
    removed = onesketch("gc", dataset, "--min-age-h", "0", "--delete").stdout
    assert "removed 1 file," in removed and not orphan.exists()
    assert onesketch("verify", dataset).exit_code == 0


def test_export_with_a_filter(sound: Path, tmp_path: Path) -> None:
    result = onesketch("export", sound, "--out", tmp_path / "out", "--where", "cdst_step < 5")
    assert "5 of 22 pairs as imagefolder" in result.stdout
    assert len(list((tmp_path / "out" / "sketches").iterdir())) == 5
    wrong = onesketch("export", sound, "--out", tmp_path / "no", "--where", "cdst_stop < 5")
    assert wrong.exit_code == 2 and "did you mean 'cdst_step'? the columns are key" in wrong.stderr
    assert "image_offset" not in wrong.stderr and not (tmp_path / "no").exists()


def test_all_of_them_work_on_buckets(bucket: str, tmp_path: Path) -> None:
    assert "finished" in onesketch("status", bucket).stdout
    assert onesketch("verify", bucket).exit_code == 0
    where = ("--where", "cdst_step >= 20")
    exported = onesketch("export", bucket, "--out", tmp_path / "out", *where)
    assert "2 of 22 pairs" in exported.stdout, exported.stderr
    assert not (tmp_path / "out" / ".cache").exists()
    open_store(bucket).create("probe/0123", b"left")
    assert "probe/0123" in onesketch("gc", bucket, "--min-age-h", "0").stdout
    open_store(bucket).delete(layout.shard_key(2))
    assert onesketch("verify", bucket).exit_code == 1


@pytest.fixture
def taught(project: Path) -> Path:
    """A project of which the teacher is ready."""
    assert onesketch("source", "recipe.yaml").exit_code == 0
    onesketch("style", "xdog", "run/source/image.png", "--out", "drawing.png")
    assert onesketch("teach", "recipe.yaml").exit_code == 0
    return project


def test_plan_and_preview_write_no_dataset_and_repair_changes_no_other(taught: Path) -> None:
    result = onesketch("plan", "recipe.yaml", "--price", "2", "--workers", "2", "--device", "cpu")
    text = result.stdout
    assert result.exit_code == 0 and "4 pairs in 2 shards" in text
    for words in ("already there        nothing", "time with 2 workers", "paid worker-hours at 2"):
        assert words in text
    assert "standard deviation" in text and "Estimated from 1 batch " in text
    sheet = onesketch("preview", "recipe.yaml", "--pairs", "3", "--device", "cpu")
    assert sheet.exit_code == 0 and "look at it before a long job" in sheet.stdout
    assert np.asarray(Image.open("run/preview.png")).std() > 10
    assert not Path("run/dataset").exists()

    path = Path(write_dataset(Path("run/dataset"))) / TAR
    path.write_bytes(flipped(path.read_bytes()))
    repaired = onesketch("repair", "recipe.yaml", "--device", "cpu")
    assert repaired.exit_code == 2 and "nothing was changed" in repaired.stderr
    assert path.exists() and Path("run/dataset/manifest.json").exists()


@pytest.mark.parametrize(
    ("samples", "count", "expected"),
    [(100, 4, [0, 33, 66, 99]), (9, 3, [0, 4, 8]), (3, 16, [0, 1, 2]), (1, 16, [0])],
)
def test_a_preview_is_spread_evenly(
    tiny_settings: dict[str, Any], samples: int, count: int, expected: list[int]
) -> None:
    data = tiny_settings | {"dataset": {"samples": samples}, "sampler": {"batch": 8}}
    recipe = parse_recipe(data | {"teach": {}}, Path())
    assert [spec.index for spec in spread_specs(recipe, count)] == expected


@pytest.mark.ray
def test_repair_makes_again_just_what_has_faults(
    taught: Path, local_ray: None, one_thread: None
) -> None:
    recipe = open_recipe("recipe.yaml")
    with open_session("recipe.yaml", device="cpu") as session:
        factory = teacher_factory(session)
    store = open_store(recipe.dataset.out)
    plan = write_or_check(store, plan_from_recipe(recipe, factory.fingerprint(), {}))
    maker = ShardMaker(plan, store, factory)
    for shard in range(plan.num_shards):
        maker.sample(shard, frozenset(), begun=False)
        maker.publish(shard)
    complete(store, plan)
    before = {key: store.read(key) for key in store.keys("")}
    path = Path(recipe.dataset.out) / TAR
    untouched = (Path(recipe.dataset.out) / layout.shard_key(0)).stat().st_mtime_ns
    path.write_bytes(flipped(path.read_bytes()))
    result = onesketch("repair", "recipe.yaml", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert "is not to be trusted: 1 fault;" in result.stdout and "is sound" in result.stdout
    assert (Path(recipe.dataset.out) / layout.shard_key(0)).stat().st_mtime_ns == untouched
    assert {key: store.read(key) for key in store.keys("")} == before
    assert "nothing to repair" in onesketch("repair", "recipe.yaml", "--device", "cpu").stdout


def test_answers_for_programs(dataset: Path, tmp_path: Path) -> None:
    status = json.loads(onesketch("status", dataset, "--json").stdout)
    assert (status["finished"], status["missing"], status["dataset"]) == (True, [], str(dataset))
    assert status["size_bytes"] == sum(f.stat().st_size for f in (dataset / "shards").iterdir())
    sound = onesketch("verify", dataset, "--json")
    assert json.loads(sound.stdout)["sound"] is True and sound.exit_code == 0
    stray = dataset / "shards" / "77777.tar"
    stray.write_bytes(b"left behind")
    os.utime(stray, (0, 0))
    garbage = json.loads(onesketch("gc", dataset, "--json").stdout)
    assert [file["key"] for file in garbage["files"]] == ["shards/77777.tar"]
    assert garbage["removed"] is False and stray.exists()
    assert json.loads(onesketch("gc", dataset, "--json", "--delete").stdout)["removed"] is True
    assert not stray.exists()


def test_a_shard_that_went_away_is_named(dataset: Path) -> None:
    (dataset / "shards" / "00001.tar").unlink()
    result = onesketch("status", dataset)
    assert "missing  shards/00001.tar: `onesketch repair RECIPE` makes them again" in result.stdout
    assert json.loads(onesketch("status", dataset, "--json").stdout)["missing"] == [1]
    broken = onesketch("verify", dataset, "--json")
    verdict = json.loads(broken.stdout)
    assert verdict["exit_code"] == broken.exit_code == 1
    assert {finding["file"] for finding in verdict["findings"]} == {"shards/00001.tar"}
