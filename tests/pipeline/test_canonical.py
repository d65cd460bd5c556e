"""Canonical JSON: one spelling for equal records."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pipeline import canonical


def test_equal_records_are_equal_bytes() -> None:
    record, same = {"b": [1, 0.5], "a": "é"}, {"a": "é", "b": [1, 0.5]}
    assert canonical.to_bytes(record) == canonical.to_bytes(same)
    assert canonical.to_line(record) == canonical.to_line(same) == '{"a":"é","b":[1,0.5]}'.encode()
    assert canonical.to_bytes(record).endswith(b"}\n")
    assert json.loads(canonical.to_bytes(record)) == record


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_does_not_have_is_refused(value: float) -> None:
    for write in (canonical.to_bytes, canonical.to_line):
        with pytest.raises(ValueError, match="JSON compliant"):
            write({"score": value})


def test_hashes_of_bytes_and_of_files_agree(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert canonical.sha256(data) == canonical.sha256_of_file(tmp_path / "file") == expected
