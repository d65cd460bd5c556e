"""Pages from jinja2 templates: HTML escapes what it is given, Markdown does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import yaml

TEMPLATES = Path(__file__).parent / "templates"


def render(template: Path, **values: Any) -> bytes:
    """Fill in a template.

    Args:
        template: its file, beside those that it includes; values are escaped where its name ends in
            .html.j2.
        values: what it names. Filters `size` and `yaml` write numbers of bytes and data for people.

    Raises:
        jinja2.UndefinedError: a value that the template names is missing.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["size"] = readable_size
    environment.filters["yaml"] = readable_yaml
    return environment.get_template(template.name).render(**values).encode()


def readable_size(size_bytes: int) -> str:
    """Write a number of bytes for people: 1.5 MB."""
    value, units = float(size_bytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.3g} {units[0]}"


def readable_yaml(data: Any) -> str:
    """Write data as YAML, in its own order of keys."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).strip()
