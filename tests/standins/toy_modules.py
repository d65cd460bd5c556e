"""The toy systems of docs/adding-a-system.md: its code, as modules."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-system.md"
_BLOCK = re.compile(r"^`(?P<path>[a-z_0-9/]+)\.py`:\n\n```python\n(?P<code>.*?)^```$", re.M | re.S)


def install(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Make every module that the page shows importable under its name; in the page's order."""
    made: dict[str, ModuleType] = {}
    for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        name = block["path"].replace("/", ".")
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(block["code"], f"{PAGE}: {name}", "exec"), module.__dict__)
        made[name] = module
    return made
