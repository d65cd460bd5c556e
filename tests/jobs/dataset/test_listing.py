"""What `onesketch list` finds, in folders and in a bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli.main import app
from jobs.dataset.listing import PARTS
from pipeline.dataset.plan import write_or_check
from pipeline.diffusion.example import RECORD_FILE
from pipeline.publishing.publish import publish
from pipeline.storage.address import open_store
from tests.standins.published_blobs import encode_shard, write_dataset
from tests.standins.standin_teacher import make_plan
from training.extraction.extractor_folder import CONFIG
from training.oneshot.record import RECORD


def run_list(address: str, *options: str) -> str:
    done = CliRunner().invoke(app, ["list", address, *options])
    assert done.exit_code == 0, done.output
    return str(done.stdout)


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.s3)])
def styles(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A run with a finished dataset, one without, and a dataset of its own that is begun."""
    root = str(tmp_path / "styles")
    if request.param == "bucket":
        root = f"s3://{request.getfixturevalue('bucket')}/styles"
    write_dataset(f"{root}/ink/dataset")
    store = open_store(root)
    for part, last in PARTS.items():
        store.create(f"ink/{part}/{last}", b"{}")
    store.create("xdog/source/source.json", b"{}")
    store.create("xdog/teacher/checkpoint.pt", b"")
    store.create("notes/read.me", b"")
    begun = open_store(f"{root}/more/blobs")
    plan = make_plan(license=None, dataset={"samples": 22, "license": "cc-by-4.0"})
    write_or_check(begun, plan)
    publish(begun, plan, 0, encode_shard(plan, 0))
    return root


def test_runs_and_datasets_are_found(styles: str) -> None:
    listed = [" ".join(line.split()) for line in run_list(styles).splitlines()]
    assert listed == [
        "address what style pairs state",
        f"{styles}/ink run source, teacher, extractor",
        f"{styles}/ink/dataset dataset blobs 22 finished",
        f"{styles}/more/blobs dataset blobs 22 1 of 3 shards, cc-by-4.0",
        f"{styles}/xdog run source",
    ]
    answer = json.loads(run_list(styles, "--json"))
    assert [run["parts"] for run in answer["runs"]] == [[*PARTS], ["source"]]
    assert [dataset["shards_done"] for dataset in answer["datasets"]] == [3, 1]


def test_a_dataset_s_own_address_lists_it(styles: str) -> None:
    assert run_list(f"{styles}/ink/dataset/").split()[-2:] == ["22", "finished"]


def test_where_nothing_is_that_is_said(styles: str) -> None:
    assert "no run and no dataset" in run_list(f"{styles}/notes")


def test_parts_end_with_the_files_that_their_stages_write_last() -> None:
    assert list(PARTS.values()) == [RECORD_FILE, RECORD, CONFIG]
