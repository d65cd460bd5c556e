"""Records: what a dataset says about itself in JSON, refused where anything is off."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import canonical


class Record(BaseModel):
    """A record, or a part of one: it never changes, and has the keys of its format and no other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        return canonical.to_bytes(self.model_dump(mode="json"))


def first_error_text(error: ValidationError) -> str:
    """Say where the first mistake of a record is, and what; what alone where it is not JSON."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
