"""The index of a shard: a function of its tar, read with suspicion."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.dataset.encode import EncodedPair, encode_pair
from pipeline.dataset.index import build_index, read_index
from pipeline.dataset.tar import ShardError, build_shard, list_members
from tests.standins.standin_teacher import StandinTeacher, make_plan


@pytest.fixture(scope="module")
def pairs() -> list[EncodedPair]:
    plan = make_plan()
    made = StandinTeacher().pairs([plan.spec(index) for index in plan.indices(1)])
    return [encode_pair(pair) for pair in made]


@pytest.fixture(scope="module")
def tar(pairs: list[EncodedPair]) -> bytes:
    return build_shard(pairs)


def test_the_index_says_where_everything_is(tar: bytes, pairs: list[EncodedPair]) -> None:
    rows = read_index(build_index(1, tar, list_members(tar)), 8).to_pylist()
    assert [row["index"] for row in rows] == list(range(8, 16))
    for row, pair in zip(rows, pairs, strict=True):
        start, size = row["sketch_offset"], row["sketch_size"]
        assert tar[start : start + size] == pair.sketch
        assert row["shard"] == 1 and row["key"] == f"{pair.index:09d}"
        assert row["alpha"] + row["beta"] == 1 and 0 < row["ink_coverage"] < 1
        assert row["cdst_step"] == pair.index and len(row["noise_seed"]) == 16


def test_the_index_is_a_function_of_the_tar(tar: bytes) -> None:
    members = list_members(tar)
    assert build_index(1, tar, members) == build_index(1, tar, members)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (b"{", "JSON is broken"),
        (b"[" * 100_000, "JSON is broken"),
        (b'{"key": "000000008", "index": 8, "x": "\\ud800"}', "does not fit into columns"),
        (
            b'{"key": "000000008", "index": 8, "image_offset": 0}',
            r"reserved columns \['image_o",
        ),
        (b'{"key": "000000009", "index": 9}', "another sample"),
        (b'{"key": "000000008", "index": 8, "x": [1]}', "64-bit numbers only"),
        (
            b'{"key": "000000008", "index": 8, "x": 99999999999999999999}',
            "64-bit numbers only",
        ),
    ],
)
def test_invalid_json_is_refused(pairs: list[EncodedPair], metadata: bytes, words: str) -> None:
    tar = build_shard([EncodedPair(8, pairs[0].image, pairs[0].sketch, metadata)])
    with pytest.raises(ShardError, match=words):
        build_index(1, tar, list_members(tar))


def test_columns_that_only_some_samples_have(pairs: list[EncodedPair]) -> None:
    metadata = b'{"key": "000000008", "index": 8, "score": 1}'
    late = b'{"key": "000000009", "index": 9, "score": 0.5, "note": "late"}'
    made = [
        EncodedPair(8 + n, pairs[n].image, pairs[n].sketch, content)
        for n, content in enumerate((metadata, late))
    ]
    tar = build_shard(made)
    table = read_index(build_index(1, tar, list_members(tar)), 2)
    assert table["note"].to_pylist() == [None, "late"]
    np.testing.assert_array_equal(table["score"].to_numpy(), [1.0, 0.5])


def test_a_broken_index_is_refused() -> None:
    with pytest.raises(ShardError, match="broken index"):
        read_index(b"PAR1 not really PAR1", 8)
