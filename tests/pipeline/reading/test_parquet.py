"""Parquet files of pairs: one schema for all of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.reading.dataset import PublishedPair, RefusedError
from pipeline.reading.parquet import write_pairs


def pair(index: int, **metadata: int | float | str) -> PublishedPair:
    return PublishedPair(index, b"image", b"sketch", {"index": index, **metadata})


def test_later_files_have_the_first_ones_schema(tmp_path: Path) -> None:
    schema = write_pairs(tmp_path / "0.parquet", [pair(0, alpha=0.5, note="a")], None)
    assert write_pairs(tmp_path / "1.parquet", [pair(8, note="b")], schema) is schema
    table = pq.read_table(tmp_path / "1.parquet")
    assert table.column_names == ["image", "sketch", "index", "alpha", "note"]
    assert table.to_pylist() == [
        {
            "image": {"bytes": b"image", "path": "000000008.webp"},
            "sketch": {"bytes": b"sketch", "path": "000000008.png"},
            "index": 8,
            "alpha": None,
            "note": "b",
        }
    ]
    assert table.schema.field("alpha").type == pa.float64()


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"beta": 0.5}, "columns that the first pair does not have: beta"),
        ({"alpha": "half"}, "1.parquet: metadata does not fit the schema"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    tmp_path: Path, metadata: dict[str, float | str], words: str
) -> None:
    schema = write_pairs(tmp_path / "0.parquet", [pair(0, alpha=0.5)], None)
    with pytest.raises(RefusedError, match=words):
        write_pairs(tmp_path / "1.parquet", [pair(8, **metadata)], schema)
