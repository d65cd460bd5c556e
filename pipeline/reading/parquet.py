"""Pairs as Parquet with the pictures inside: the form in which Hugging Face's hub keeps datasets.

The files' schema tells `datasets.load_dataset(folder)` that `image` and `sketch` are pictures; all
other columns are the samples' metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dataset import layout
from pipeline.reading.dataset import PublishedPair, RefusedError

# Small, so that reading one picture does not read hundreds.
_ROWS_PER_GROUP = 64
_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_TYPES: dict[type, tuple[pa.DataType, str]] = {
    int: (pa.int64(), "int64"),
    float: (pa.float64(), "float64"),
    str: (pa.string(), "string"),
}
_PICTURES = ("image", "sketch")


def schema_of(metadata: Mapping[str, Any]) -> pa.Schema:
    """Return the columns for pairs with such metadata, and how `datasets` shows them."""
    columns = {
        name: _TYPES[type(value)] for name, value in metadata.items() if name not in _PICTURES
    }
    features: dict[str, Any] = {name: {"_type": "Image"} for name in _PICTURES}
    features |= {name: {"dtype": dtype, "_type": "Value"} for name, (_, dtype) in columns.items()}
    fields = [(name, _PICTURE) for name in _PICTURES]
    fields += [(name, arrow) for name, (arrow, _) in columns.items()]
    for_datasets = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(fields, metadata=for_datasets)


def write_pairs(path: Path, pairs: Iterable[PublishedPair], schema: pa.Schema | None) -> pa.Schema:
    """Write pairs as a Parquet file.

    Args:
        schema: of the file; by default that of the first pair.

    Returns:
        The schema of the file, for the next one.

    Raises:
        RefusedError: a pair's metadata does not fit the schema.
    """
    rows = [_row(pair) for pair in pairs]
    schema = schema or schema_of(rows[0])
    try:
        table = pa.Table.from_pylist(_checked_rows(rows, schema), schema=schema)
    except (pa.ArrowException, UnicodeError) as error:
        raise RefusedError(f"{path.name}: metadata does not fit the schema: {error}") from error
    # Pictures are compressed already.
    pq.write_table(table, path, row_group_size=_ROWS_PER_GROUP, compression="none")
    return schema


def _row(pair: PublishedPair) -> dict[str, Any]:
    key = layout.sample_key(pair.index)
    return {
        "image": {"bytes": pair.image, "path": f"{key}.webp"},
        "sketch": {"bytes": pair.sketch, "path": f"{key}.png"},
        **{name: value for name, value in pair.metadata.items() if name not in _PICTURES},
    }


def _checked_rows(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> list[dict[str, Any]]:
    unknown = {name for row in rows for name in row} - set(schema.names)
    if unknown:
        raise RefusedError(
            f"columns that the first pair does not have: {', '.join(sorted(unknown))}"
        )
    return [dict(row) for row in rows]
