"""Datasets as anybody may have written them: whole, broken, hostile."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import canonical
from pipeline.dataset.manifest import ManifestError
from pipeline.filters import FilterError
from pipeline.reading.dataset import PublishedDataset, RefusedError
from pipeline.storage.store import StorageError
from tests.standins.hostile_shards import Bomb, as_tar, flipped, members_of, png_bomb
from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan

SHARD = "shards/00001.tar"  # samples 8 to 15


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "dataset"
    return Path(write_dataset(folder, samples=20, shard_size=8))


@pytest.fixture
def dataset(whole: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "dataset"))


def open_dataset(folder: Path) -> PublishedDataset:
    return PublishedDataset.open(str(folder), folder.parent / "cache")


def members_of_shard(folder: Path) -> list[tuple[str, bytes]]:
    return members_of((folder / SHARD).read_bytes())


def replace_shard(folder: Path, data: bytes) -> None:
    """Put other bytes in the place of a shard, with a manifest that vouches for them."""
    (folder / SHARD).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][1]["tar"] |= {"sha256": canonical.sha256(data), "size": len(data)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_pairs_are_the_teachers(dataset: Path) -> None:
    published, plan = open_dataset(dataset), make_plan(20, 8)
    assert published.sizes == (8, 8, 4)
    for shard, position, index in [(0, 0, 0), (1, 7, 15), (2, 3, 19)]:
        image, sketch = published.pair(shard, position)
        (expected,) = StandinTeacher().pairs([plan.spec(index)])
        np.testing.assert_array_equal(image, expected.image)
        np.testing.assert_array_equal(sketch, expected.sketch)


def test_an_unfinished_dataset_is_refused(dataset: Path) -> None:
    (dataset / "manifest.json").unlink()
    with pytest.raises(ManifestError, match="not finished"):
        open_dataset(dataset)


@pytest.mark.parametrize("damage", ["flip", "cut", "cut at a block"])
def test_damage_is_found_before_anything_is_decoded(dataset: Path, damage: str) -> None:
    data = (dataset / SHARD).read_bytes()
    end = len(data) // 2 // 512 * 512 + (7 if damage == "cut" else 0)
    (dataset / SHARD).write_bytes(flipped(data) if damage == "flip" else data[:end])
    with pytest.raises(RefusedError, match=r"shards/00001\.tar: (its SHA-256|expected \d+ bytes)"):
        open_dataset(dataset).pair(1, 0)


def test_a_missing_shard_is_named(dataset: Path) -> None:
    (dataset / SHARD).unlink()
    with pytest.raises(StorageError, match=r"shards/00001\.tar"):
        open_dataset(dataset).pair(1, 0)


def test_a_change_after_the_check_is_found(dataset: Path) -> None:
    published = open_dataset(dataset)
    published.pair(1, 0)
    data = bytearray((dataset / SHARD).read_bytes())
    data[600:700] = bytes(100)
    (dataset / SHARD).write_bytes(data)
    with pytest.raises(RefusedError, match="changed since the shard was checked"):
        published.pair(1, 0)


@pytest.mark.parametrize(
    "case",
    ["pickle", "traversal", "absolute", "link", "short", "foreign", "twice", "no end", "rubbish"],
)
def test_hostile_shards_are_refused_by_name_although_the_manifest_vouches(
    dataset: Path, case: str, tmp_path: Path
) -> None:
    members = members_of_shard(dataset)
    trace = tmp_path / "trace"
    evil = pickle.dumps(Bomb(trace))
    data = {
        "pickle": lambda: as_tar([*members, ("000000016.pkl", evil)]),
        "traversal": lambda: as_tar([("../../000000008.json", evil), *members[1:]]),
        "absolute": lambda: as_tar([(f"/{members[0][0]}", evil), *members[1:]]),
        "link": lambda: as_tar(members, type=tarfile.SYMTYPE, linkname="/etc/hostname"),
        "short": lambda: as_tar(members[:-3]),
        "foreign": lambda: as_tar(
            [*members[:-3], *((n.replace("000000015", "000000099"), c) for n, c in members[-3:])]
        ),
        "twice": lambda: as_tar([*members[:3], *members[:-3]]),
        "no end": lambda: as_tar(members)[:-10240],
        "rubbish": lambda: evil * 50,
    }[case]()
    replace_shard(dataset, data)
    published = open_dataset(dataset)
    with pytest.raises(RefusedError, match=r"shards/00001\.tar"):
        published.pair(1, 0)
    published.pair(0, 0)  # the others can still be read
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png_bomb(), "60000 x 60000|exceeds limit"),
        (png_bomb(32, (b"pHYs", b"abc")), "not a valid PNG.*pHYs"),
        (png_bomb(32, (b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26)))), "not a valid PNG"),
        (b"GIF89a" + bytes(40), "not a valid PNG"),
        (pickle.dumps([1]), "not a valid PNG"),
        (b"", "not a valid PNG"),
    ],
)
def test_hostile_pictures_are_refused_by_name(dataset: Path, content: bytes, message: str) -> None:
    members = [
        (name, content if name == "000000009.sketch.png" else old)
        for name, old in members_of_shard(dataset)
    ]
    replace_shard(dataset, as_tar(members))
    published = open_dataset(dataset)
    published.pair(1, 0)
    with pytest.raises(RefusedError, match=rf"sample 000000009.*({message})"):
        published.pair(1, 1)


def test_pairs_of_two_sizes_are_refused(dataset: Path, tmp_path: Path) -> None:
    larger = write_dataset(tmp_path / "larger", samples=20, shard_size=8, side=40)
    sketches = dict(members_of_shard(Path(larger)))
    members = [
        (name, sketches[name] if name.endswith("png") else old)
        for name, old in members_of_shard(dataset)
    ]
    replace_shard(dataset, as_tar(members))
    with pytest.raises(RefusedError, match="image of 32 x 32 pixels, sketch of 40 x 40"):
        open_dataset(dataset).pair(1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"tar": {"name": "../secret.tar", "sha256": "0" * 64, "size": 1}},
        {"tar": {"name": "shards/../../00001.tar", "sha256": "0" * 64, "size": 1}},
        {"index": {"name": "../../etc/hosts", "sha256": "0" * 64, "size": 1}},
        {"tar": {"name": f"shards/{'9' * 5000}.tar", "sha256": "0" * 64, "size": 1}},
        {"tar": {"name": SHARD, "sha256": "../../home", "size": 10**6}},
        {"tar": {"name": SHARD, "sha256": "0" * 64, "size": -1}},
        {"index": {"name": "index/00001.parquet", "sha256": "A" * 64, "size": 1}},
        {"pairs": 9},
        {"pairs": -1},
        {"first": 3},
        {"last": 10**6},
    ],
)
def test_an_impossible_manifest_is_refused(dataset: Path, change: dict[str, object]) -> None:
    manifest = json.loads((dataset / "manifest.json").read_text())
    manifest["shards"][1] |= change
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RefusedError, match=r"manifest\.json"):
        open_dataset(dataset)


def test_no_broken_tar_escapes_as_another_error(dataset: Path) -> None:
    """Flips in the headers, vouched for by the manifest, are refused or harmless."""
    data = (dataset / SHARD).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(data)
        for place in random.integers(0, 512, 3):
            broken[place] = random.integers(256)
        # With a correct checksum the tar reader believes the header.
        broken[148:156] = b" " * 8
        broken[148:156] = b"%06o\0 " % sum(broken[:512])
        replace_shard(dataset, bytes(broken))
        try:
            open_dataset(dataset).pair(1, 0)
        except RefusedError as refusal:
            assert SHARD in str(refusal)


def test_a_filter_selects_pairs_by_the_index(dataset: Path, tmp_path: Path) -> None:
    where = "cdst_step >= 6 and cdst_step != 12 and ink_coverage > 0"
    published = PublishedDataset.open(str(dataset), tmp_path, where)
    assert published.sizes == (2, 7, 4)
    (expected,) = StandinTeacher().pairs([make_plan(20, 8).spec(13)])
    np.testing.assert_array_equal(published.pair(1, 4)[1], expected.sketch)
    stored = [pair.index for shard in range(3) for pair in published.stored_pairs(shard)]
    assert stored == [6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("cdst_stap < 3", r"no column 'cdst_stap'; did you mean 'cdst_step'\?"),
        ("cdst_step > 99", "matches none of the 20 pairs"),
        ("cdst_step >", "cannot be read"),
    ],
)
def test_filters_that_do_not_fit_are_refused_at_once(
    dataset: Path, tmp_path: Path, where: str, message: str
) -> None:
    with pytest.raises(FilterError, match=message):
        PublishedDataset.open(str(dataset), tmp_path, where)


def parquet(columns: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def replace_index(folder: Path, data: bytes) -> None:
    """Put other bytes in the place of an index, with a manifest that vouches for them."""
    (folder / "index/00001.parquet").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][1]["index"] |= {"sha256": canonical.sha256(data), "size": len(data)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"index": list(range(8, 16)), "cdst_step": ["x" * 10**6] * 8}, "bytes a row"),
        ({"index": [8] * 8, "cdst_step": range(8)}, "rising order, once each"),
        ({"index": range(8), "cdst_step": range(8)}, "8 to 15 in rising order"),
        ({"index": [[8]] * 8, "cdst_step": range(8)}, "no column of integers"),
        ({"index": [*range(8, 15), None], "cdst_step": range(8)}, "has missing values"),
        ({"index": range(8, 16), "cdst_step": [[1]] * 8}, "index/00001"),
    ],
    ids=["bomb", "doubled", "others", "lists", "gaps", "types"],
)
def test_hostile_indices_are_refused_by_name(
    dataset: Path, tmp_path: Path, columns: dict[str, Sequence[object]], message: str
) -> None:
    # A string that all rows share is stored once: small in the file, large in memory.
    replace_index(dataset, parquet({name: list(values) for name, values in columns.items()}))
    with pytest.raises(RefusedError, match=message) as caught:
        PublishedDataset.open(str(dataset), tmp_path, "cdst_step > 3")
    assert "index/00001.parquet" in str(caught.value)


def test_a_path_in_the_place_of_a_hash_is_refused(dataset: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.tar"
    precious.write_bytes(b"a file of the reader's own")
    manifest = json.loads((dataset / "manifest.json").read_text())
    manifest["shards"][1]["tar"]["sha256"] = str(precious.with_suffix(""))
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RefusedError, match="hashes or samples of shards.00001.tar"):
        open_dataset(dataset)
    assert precious.exists()


def test_the_contents_of_some_shards_only_are_remembered(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.reading.dataset._KEPT_SHARDS", 1)
    published = open_dataset(dataset)
    first = published.pair(0, 0)[0]
    for shard in (1, 2):
        published.pair(shard, 0)
    assert len(published._contents) == 1
    np.testing.assert_array_equal(published.pair(0, 0)[0], first)


@pytest.mark.parametrize("damage", ["flip", "rows", "rubbish"])
def test_an_index_that_a_filter_needs_is_checked_too(
    dataset: Path, tmp_path: Path, damage: str
) -> None:
    index = dataset / "index/00001.parquet"
    data = {
        "flip": lambda: index.read_bytes()[:-1] + b"x",
        "rows": (dataset / "index/00002.parquet").read_bytes,
        "rubbish": lambda: b"PAR1" + pickle.dumps(Bomb(tmp_path / "trace")) + b"PAR1",
    }[damage]()
    if damage == "flip":
        index.write_bytes(data)
    else:
        replace_index(dataset, data)
    with pytest.raises(RefusedError, match=r"index/00001\.parquet: (its SHA|expected 8|broken)"):
        PublishedDataset.open(str(dataset), tmp_path, "cdst_step > 3")
    assert not (tmp_path / "trace").exists()


def test_an_index_that_lists_other_samples_is_refused(dataset: Path, tmp_path: Path) -> None:
    # The last of eight samples is missing from the tar, the first from the index.
    replace_shard(dataset, as_tar(members_of_shard(dataset)[:-3], mtime=0, mode=0o644))
    rows = pq.read_table(dataset / "index/00001.parquet").slice(1)
    replace_index(dataset, parquet({name: rows[name] for name in rows.column_names}))
    manifest = json.loads((dataset / "manifest.json").read_text())
    manifest["shards"][1]["pairs"] = 7
    manifest["counts"]["committed"] = 19
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    published = PublishedDataset.open(str(dataset), tmp_path, "cdst_step >= 3")
    with pytest.raises(
        RefusedError, match=r"00001\.tar: sample 15 is in its index but missing from the tar"
    ):
        published.pair(1, 0)
