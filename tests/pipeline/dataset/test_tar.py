"""Shards: plain tar files, pure functions of their samples, read with suspicion."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from pipeline.dataset.encode import EncodedPair, encode_pair
from pipeline.dataset.tar import ShardError, build_shard, list_members, sample_indices
from tests.standins.standin_teacher import StandinTeacher, make_plan


@pytest.fixture(scope="module")
def pairs() -> list[EncodedPair]:
    plan = make_plan()
    made = StandinTeacher().pairs([plan.spec(index) for index in plan.indices(1)])
    return [encode_pair(pair) for pair in made]


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
    assert [tar[m.offset : m.offset + m.size] for m in members] == contents


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


def plain_pair(index: int, size: int) -> EncodedPair:
    """Contents that no encoder made, so that no version of one can change them."""
    block = hashlib.sha256(str(index).encode()).digest()
    metadata = b'{"index":%d,"key":"%09d"}' % (index, index)
    return EncodedPair(index, (block * 40)[:size], (block * 9)[: size // 3], metadata)


@pytest.mark.parametrize(
    ("sizes", "sha256"),
    [
        ({}, "84ff92691f909a05b224e1c56abb4864f01b4f8e3c854e4bb4c7baf1d3f6d652"),
        ({0: 512}, "f9dc5cc3f09e4f33bdb7a12f8bb973b3efa798da26acbf9eec4bca775d4cd751"),
        (
            {3: 1231, 4: 1608, 9: 3493},
            "343f8320fa3366a3997b9b4832c097c10a4d1d8076ca47e0d0426118acefd17c",
        ),
        (
            dict.fromkeys(range(7), 1000),
            "2ca90aa8189467220e2d6451c8850301d79c0541fb09654f8d7cacf4d2f95631",
        ),
    ],
)
def test_shards_are_those_of_the_first_version(sizes: dict[int, int], sha256: str) -> None:
    """Whoever writes the tar: datasets are resumed and repaired to the byte across versions."""
    pairs = [plain_pair(index, size) for index, size in sizes.items()]
    assert hashlib.sha256(build_shard(pairs)).hexdigest() == sha256
