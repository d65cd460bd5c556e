"""The index of a shard in Parquet, one row per sample: with it one pair is one ranged read.

A pure function of the tar: member offsets, sizes and hashes, and all that the samples' JSON says.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import canonical
from pipeline.dataset import layout
from pipeline.dataset.tar import Member, ShardError

# Bytes of a row, unpacked: ours have some 600; much more is an attack on memory, and so is more in
# all than a shard of a million samples has.
_MAX_ROW_BYTES, _MAX_BYTES = 8192, 2**30
# So few rows are unpacked before their size is looked at.
_ROWS_AT_ONCE = 16

# Prefix of the columns that tell where a member lies, by the member's suffix.
MEMBER_COLUMNS = {
    layout.IMAGE_SUFFIX: "image",
    layout.SKETCH_SUFFIX: "sketch",
    layout.METADATA_SUFFIX: "facts",
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


def read_index(data: bytes, num_rows: int) -> pa.Table:
    """Read an index that others may have written.

    Args:
        num_rows: how many rows it must have.

    Raises:
        ShardError: the bytes are no Parquet file, have another number of rows or two columns of a
            name, or swell to more than an index ever has.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        names = file.schema_arrow.names
        if file.metadata.num_rows != num_rows:
            raise ShardError(
                f"expected {num_rows} rows, one for each of its pairs, found "
                f"{file.metadata.num_rows}"
            )
        if len(set(names)) != len(names):
            raise ShardError("two of its columns have one name")
        return pa.Table.from_batches(_small_batches(file), file.schema_arrow)
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"broken index: {error}") from error


def _small_batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Read a file's rows as long as they are of a row's size: encodings can hide any other."""
    rows = file.metadata.num_rows
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    encoded_bytes, read_bytes = sum(group.total_byte_size for group in groups), 0
    # Some more for what each column has once: small indices are mostly that.
    limit = min(_MAX_ROW_BYTES * (rows + _ROWS_AT_ONCE), _MAX_BYTES)
    for batch in file.iter_batches(_ROWS_AT_ONCE) if encoded_bytes <= limit else ():
        read_bytes += batch.nbytes
        if read_bytes > limit:
            break
        yield batch
    if max(encoded_bytes, read_bytes) > limit:
        raise ShardError(
            f"more than {_MAX_ROW_BYTES} bytes a row, or {_MAX_BYTES} in all, when unpacked"
        )


def read_metadata(content: bytes, index: int) -> Mapping[str, Any]:
    """Read a sample's JSON member.

    Raises:
        ShardError: it is broken, speaks of another sample, or holds what no column can.
    """
    key = layout.sample_key(index)
    try:
        metadata = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ShardError(f"sample {key}: its JSON is broken: {error}") from error
    if (
        not isinstance(metadata, dict)
        or metadata.get("key") != key
        or metadata.get("index") != index
    ):
        raise ShardError(f"sample {key}: its JSON speaks of another sample")
    if not all(_fits(value) for value in metadata.values()):
        raise ShardError(f"sample {key}: its JSON holds more than texts and 64-bit numbers")
    return metadata


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
        if member.suffix == layout.METADATA_SUFFIX:
            metadata = read_metadata(content, member.index)
            if taken := sorted(metadata.keys() & (rows[-1].keys() - {"key"})):
                raise ShardError(f"sample {rows[-1]['key']}: its JSON takes the columns {taken}")
            rows[-1] |= metadata
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
