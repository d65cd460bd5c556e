"""The index of a shard in Parquet, one row per sample: with it one pair is one ranged read.

A pure function of the tar: member offsets, sizes and hashes, and all that the samples' JSON says.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import canonical, layout
from pipeline.shards import Member, ShardError

# A shard of a million samples stays below; more is an attack on memory.
_MAX_BYTES = 2**30

# Prefix of the columns that tell where a member lies, by the member's suffix.
MEMBER_COLUMNS = {
    layout.IMAGE_SUFFIX: "image",
    layout.SKETCH_SUFFIX: "sketch",
    layout.FACTS_SUFFIX: "facts",
}


def build_index(shard: int, tar: bytes, members: Sequence[Member]) -> bytes:
    """Write the index of a shard from its tar and the tar's checked table of contents.

    Raises:
        ShardError: a sample's JSON is broken or speaks of another sample.
    """
    rows = _rows(shard, tar, members)
    try:
        return _write(pa.Table.from_pylist(rows, schema=_schema(rows)))
    except (pa.ArrowException, UnicodeError) as error:
        raise ShardError(f"its samples' JSON fits no columns: {error}") from error


def read_index(data: bytes) -> pa.Table:
    """Read an index.

    Raises:
        ShardError: the bytes are no Parquet file, or swell to more than an index ever has.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        if sum(group.total_byte_size for group in groups) > _MAX_BYTES:
            raise ShardError(f"an index of more than {_MAX_BYTES} bytes when unpacked")
        return file.read()
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"broken index: {error}") from error


def read_facts(content: bytes, index: int) -> Mapping[str, Any]:
    """Read a sample's JSON member.

    Raises:
        ShardError: it is broken, speaks of another sample, or holds what no column can.
    """
    key = layout.sample_key(index)
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ShardError(f"sample {key}: its JSON is broken: {error}") from error
    if not isinstance(facts, dict) or facts.get("key") != key or facts.get("index") != index:
        raise ShardError(f"sample {key}: its JSON speaks of another sample")
    if not all(_fits(value) for value in facts.values()):
        raise ShardError(f"sample {key}: its JSON holds more than texts and 64-bit numbers")
    return facts


def _rows(shard: int, tar: bytes, members: Sequence[Member]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for member in members:
        content = tar[member.offset : member.offset + member.size]
        if member.suffix == layout.SUFFIXES[0]:
            rows.append({"key": layout.sample_key(member.index), "shard": shard})
        prefix = MEMBER_COLUMNS[member.suffix]
        rows[-1] |= {
            f"{prefix}_offset": member.offset,
            f"{prefix}_size": member.size,
            f"{prefix}_sha256": canonical.sha256(content),
        }
        if member.suffix == layout.FACTS_SUFFIX:
            facts = read_facts(content, member.index)
            if taken := sorted(facts.keys() & (rows[-1].keys() - {"key"})):
                raise ShardError(f"sample {rows[-1]['key']}: its JSON takes the columns {taken}")
            rows[-1] |= facts
    return rows


def _fits(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    return not isinstance(value, int) or value.bit_length() < 64


def _schema(rows: Sequence[Mapping[str, Any]]) -> pa.Schema:
    """Own columns first, in the order of the first row, then any that later rows add."""
    types: dict[str, pa.DataType] = {}
    for row in rows:
        for name, value in row.items():
            types[name] = _wider(types.get(name), value)
    return pa.schema(list(types.items()))


def _wider(known: pa.DataType | None, value: int | float | str) -> pa.DataType:
    arrow: pa.DataType = {int: pa.int64(), float: pa.float64(), str: pa.string()}[type(value)]
    if known is None or known == arrow:
        return arrow
    if pa.string() in (known, arrow):
        raise ShardError(f"a column holds both numbers and texts ({value!r} among them)")
    return pa.float64()


def _write(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
