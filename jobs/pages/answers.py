"""A command's answer for programs: one JSON document on standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def print_json(answer: Mapping[str, Any]) -> None:
    """Print an answer; keys with a unit end in it, such as `_s`, `_h` and `_bytes`."""
    print(json.dumps(answer, indent=2, default=str, allow_nan=False))
