"""Facts of a page: named values, and the provenance that every page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MACHINE = "{processor}, {cores} cores, device {device} ({dtype}), {system}"


@dataclass(frozen=True)
class Fact:
    """One named value of a page; its note is printed small below it."""

    name: str
    value: str
    note: str = ""


def machine_fact(machine: Mapping[str, Any]) -> Fact:
    """Return the fact about a machine, from what `describe_machine` said of it."""
    return Fact("Machine", _MACHINE.format(**machine))


def versions_fact(versions: Mapping[str, str]) -> Fact:
    """Return the fact about versions, by package."""
    return Fact("Versions", ", ".join(f"{name} {version}" for name, version in versions.items()))


def fingerprints_text(fingerprints: Mapping[str, str]) -> str:
    """Write SHA-256 by file as lines of text, as `sha256sum` does."""
    return "\n".join(f"{digest}  {place}" for place, digest in sorted(fingerprints.items()))
