"""How a backbone can be named: its folder, or its id on the hub."""

from __future__ import annotations

import re

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def is_hub_id(location: str) -> bool:
    """Tell whether a text can be the id of a model on the hub, such as `owner/name`."""
    return _HUB_ID.fullmatch(location) is not None
