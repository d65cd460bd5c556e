"""Shards and their index: plain tar, pure functions, suspicious readers."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from pipeline.dataset.encode import EncodedPair, encode
from pipeline.dataset.index import build_index, read_index
from pipeline.dataset.tar import ShardError, build_shard, list_members, sample_indices
from tests.standins.standin_teacher import StandinTeacher, make_plan


@pytest.fixture(scope="module")
def pairs() -> list[EncodedPair]:
    plan = make_plan()
    made = StandinTeacher().pairs([plan.spec(index) for index in plan.indices(1)])
    return [encode(pair) for pair in made]


@pytest.fixture(scope="module")
def tar(pairs: list[EncodedPair]) -> bytes:
    return build_shard(pairs)


def hostile(name: str, content: bytes = b"{}", kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as file:
        header = tarfile.TarInfo(name)
        header.size, header.type, header.linkname = len(content), kind, "/etc/passwd"
        file.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def test_the_tar_is_plain_and_carries_no_trace_of_who_made_it(
    tar: bytes, pairs: list[EncodedPair]
) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar)) as file:
        members = file.getmembers()
    assert [member.name for member in members[:4]] == [
        "000000008.image.webp",
        "000000008.sketch.png",
        "000000008.json",
        "000000009.image.webp",
    ]
    assert len(members) == 3 * len(pairs)
    for member in members:
        assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
        assert member.uname == member.gname == "" and member.isreg()
    assert tar[257:263] == b"ustar\0"


def test_equal_pairs_give_equal_bytes(tar: bytes, pairs: list[EncodedPair]) -> None:
    assert build_shard(pairs) == tar


def test_the_tar_is_the_one_that_tarfile_writes(tar: bytes, pairs: list[EncodedPair]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for pair in pairs:
            for suffix, content in pair.members:
                header = tarfile.TarInfo(f"{pair.index:09d}.{suffix}")
                header.size = len(content)
                file.addfile(header, io.BytesIO(content))
    assert tar == buffer.getvalue()


def test_order_is_by_index(pairs: list[EncodedPair]) -> None:
    with pytest.raises(ValueError, match="rising index"):
        build_shard(pairs[::-1])
    with pytest.raises(ValueError, match="rising index"):
        build_shard(pairs[:1] * 2)


def test_members_lie_where_the_table_of_contents_says(tar: bytes, pairs: list[EncodedPair]) -> None:
    members = list_members(tar)
    assert sample_indices(members) == [pair.index for pair in pairs]
    contents = [content for pair in pairs for _, content in pair.members]
    assert [tar[each.offset : each.offset + each.size] for each in members] == contents


def test_a_shard_may_be_empty() -> None:
    assert list_members(build_shard([])) == []


def test_every_cut_is_seen(tar: bytes) -> None:
    for length in range(512, len(tar), 512):
        with pytest.raises(ShardError):
            list_members(tar[:length])


def pax(record: bytes) -> bytes:
    """A tar with an extended header, before a member that has nothing else against it."""
    extension = hostile("000000001.json", record, tarfile.XHDTYPE)
    return extension[:1024] + hostile("000000001.json")


@pytest.mark.parametrize(
    "data",
    [
        pax(b"30 size=-9999999999999999999\n"),
        pax(b"30 GNU.sparse.map=1,2,x\nx=\xff\n"),
        hostile("000000001.json", kind=tarfile.GNUTYPE_SPARSE),
        hostile("000000001.json", b"a" * 600, tarfile.GNUTYPE_LONGNAME),
        hostile("../../000000001.json"),
        hostile("/000000001.json"),
        hostile("000000001.pkl"),
        hostile("000000001.json", b"", tarfile.SYMTYPE),
        hostile("000000001.json"),
        b"no tar at all",
        b"",
    ],
    ids=[
        "pax size",
        "pax sparse",
        "sparse",
        "long",
        "path",
        "absolute",
        "pickle",
        "link",
        "lonely",
        "text",
        "nothing",
    ],
)
def test_strange_shards_are_refused(data: bytes) -> None:
    with pytest.raises(ShardError):
        list_members(data)


def test_samples_out_of_order_are_refused(pairs: list[EncodedPair]) -> None:
    first, second = build_shard(pairs[:1]), build_shard(pairs[1:2])
    swapped = second[: list_end(second)] + first
    with pytest.raises(ShardError, match="rising order"):
        list_members(swapped + bytes(-len(swapped) % tarfile.RECORDSIZE))


def list_end(tar: bytes) -> int:
    last = list_members(tar)[-1]
    return last.offset + -(-last.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def test_the_index_tells_everything(tar: bytes, pairs: list[EncodedPair]) -> None:
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
    ("facts", "words"),
    [
        (b"{", "JSON is broken"),
        (b"[" * 100_000, "JSON is broken"),
        (b'{"key": "000000008", "index": 8, "x": "\\ud800"}', "fits no columns"),
        (b'{"key": "000000008", "index": 8, "image_offset": 0}', r"takes the columns \['image_o"),
        (b'{"key": "000000009", "index": 9}', "another sample"),
        (b'{"key": "000000008", "index": 8, "x": [1]}', "more than texts"),
        (b'{"key": "000000008", "index": 8, "x": 99999999999999999999}', "more than texts"),
    ],
)
def test_the_index_refuses_strange_json(
    pairs: list[EncodedPair], metadata: bytes, words: str
) -> None:
    tar = build_shard([EncodedPair(8, pairs[0].image, pairs[0].sketch, metadata)])
    with pytest.raises(ShardError, match=words):
        build_index(1, tar, list_members(tar))


def test_columns_that_only_some_samples_have(pairs: list[EncodedPair]) -> None:
    metadata = b'{"key": "000000008", "index": 8, "score": 1}'
    late = b'{"key": "000000009", "index": 9, "score": 0.5, "note": "late"}'
    made = [
        EncodedPair(8 + n, pairs[n].image, pairs[n].sketch, each)
        for n, each in enumerate((metadata, late))
    ]
    tar = build_shard(made)
    table = read_index(build_index(1, tar, list_members(tar)), 2)
    assert table["note"].to_pylist() == [None, "late"]
    np.testing.assert_array_equal(table["score"].to_numpy(), [1.0, 0.5])


def test_a_broken_index_is_refused() -> None:
    with pytest.raises(ShardError, match="broken index"):
        read_index(b"PAR1 not really PAR1", 8)
