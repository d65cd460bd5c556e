"""The Parquet index of a shard: one row per sample, so that one ranged read fetches one pair.

It is a pure function of the tar: member offsets, sizes and hashes, and whatever the samples' JSON
says.
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

# Unpacked bytes of a row, of which ours have about 600, and of a whole index, which allows for a
# million samples a shard: much more is an attack on memory.
_MAX_ROW_BYTES, _MAX_BYTES = 8192, 2**30
# Rows unpacked before their size is checked.
_ROWS_AT_ONCE = 16

# Prefix of the columns that say where a member is, by the member's suffix. "facts" is what the
# format has called the metadata since its first version.
MEMBER_COLUMNS = {
    layout.IMAGE_SUFFIX: "image",
    layout.SKETCH_SUFFIX: "sketch",
    layout.METADATA_SUFFIX: "facts",
}


def build_index(shard: int, tar: bytes, members: Sequence[Member]) -> bytes:
    """Build the index of a shard from its tar and the tar's checked table of contents.

    Raises:
        ShardError: a sample's JSON is broken, describes another sample or uses reserved columns.
    """
    rows = _rows(shard, tar, members)
    try:
        return _write(pa.Table.from_pylist(rows, schema=_schema(rows)))
    except (pa.ArrowException, UnicodeError) as error:
        raise ShardError(f"its samples' JSON does not fit into columns: {error}") from error


def read_index(data: bytes, num_rows: int) -> pa.Table:
    """Read an index that anybody may have written.

    Args:
        num_rows: the number of rows it must have.

    Raises:
        ShardError: the bytes are not a Parquet file, have another number of rows or two columns
            of the same name, or unpack to more than an index ever takes.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        names = file.schema_arrow.names
        if file.metadata.num_rows != num_rows:
            raise ShardError(
                f"expected {num_rows} rows, one for each pair, found {file.metadata.num_rows}"
            )
        if len(set(names)) != len(names):
            raise ShardError("two of its columns have the same name")
        return pa.Table.from_batches(_small_batches(file), file.schema_arrow)
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"broken index: {error}") from error


def _small_batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Read a file's rows while their size stays in bounds: compact encodings can hide any size."""
    rows = file.metadata.num_rows
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    encoded_bytes, read_bytes = sum(group.total_byte_size for group in groups), 0
    # A few rows more for what every column stores once: small indices are mostly that.
    limit = min(_MAX_ROW_BYTES * (rows + _ROWS_AT_ONCE), _MAX_BYTES)
    for batch in file.iter_batches(_ROWS_AT_ONCE) if encoded_bytes <= limit else ():
        read_bytes += batch.nbytes
        if read_bytes > limit:
            break
        yield batch
    if max(encoded_bytes, read_bytes) > limit:
        raise ShardError(
            f"unpacks to more than {_MAX_ROW_BYTES} bytes a row, or {_MAX_BYTES} in all"
        )


def read_metadata(content: bytes, index: int) -> Mapping[str, Any]:
    """Read a sample's JSON member.

    Raises:
        ShardError: the JSON is broken, describes another sample or holds values that do not fit
            into columns.
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
        raise ShardError(f"sample {key}: its JSON describes another sample")
    if not all(_fits(value) for value in metadata.values()):
        raise ShardError(f"sample {key}: its JSON may hold strings and 64-bit numbers only")
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
                raise ShardError(f"sample {rows[-1]['key']}: its JSON has reserved columns {taken}")
            rows[-1] |= metadata
    return rows


def _fits(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    return not isinstance(value, int) or value.bit_length() < 64


def _schema(rows: Sequence[Mapping[str, Any]]) -> pa.Schema:
    """List the first row's columns in their order, then any that later rows add."""
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
        raise ShardError(f"a column holds both numbers and strings ({value!r} among them)")
    return pa.float64()


def _write(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
