"""Names of files: from numbers to names and back, and nothing else."""

from __future__ import annotations

import pytest

from pipeline.dataset import layout


def test_names_of_a_shard_and_a_sample() -> None:
    assert layout.shard_key(7) == "shards/00007.tar"
    assert layout.index_key(7) == "index/00007.parquet"
    assert layout.committed_shard(layout.commit_key(7)) == 7
    assert layout.quarantined_sample(layout.quarantine_key(1234)) == 1234
    for suffix in layout.SUFFIXES:
        assert layout.member_address(f"{layout.sample_key(12)}.{suffix}") == (12, suffix)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "commits/7.json",
        "commits/00007.json.tmp",
        "./commits/00007.json",
        "commits/0000\u0667.json",  # an Arabic seven
        "quarantine/000000012.json\n",
        "../000000012.json",
        "000000012.txt",
        "000000012.image.webp/x",
    ],
)
def test_other_names_are_not_understood(name: str) -> None:
    assert layout.committed_shard(name) is None
    assert layout.quarantined_sample(name) is None
    assert layout.member_address(name) is None
