"""Records: the JSON files in which a dataset describes itself, checked strictly.

Those of which there is one for each shard are dataclasses with slots instead: a model takes ten
times the memory, and a large dataset has a quarter of a million shards.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import canonical

STRICT: Final = ConfigDict(extra="forbid")


class Record(BaseModel):
    """A record, or a part of one: it never changes, and has the keys of its format and no other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        return canonical.to_bytes(self.model_dump(mode="json"))


def first_error_text(error: ValidationError) -> str:
    """Say what the first mistake of a record is and, if it is JSON, where."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
