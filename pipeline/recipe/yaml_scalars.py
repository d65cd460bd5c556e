"""YAML as people read it: 0050 is fifty, 1e-3 a number, and yes a word.

PyYAML follows YAML 1.1, in which they are forty, a word, and true. The rules here are those of the
core schema of YAML 1.2 (its section 10.3.2) for integers, floats and booleans, but 30_000 stays
a number.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_DIGITS = list("-+0123456789")
_RULES = {
    "tag:yaml.org,2002:int": (re.compile(r"[-+]?[0-9][0-9_]*"), _DIGITS),
    "tag:yaml.org,2002:float": (
        re.compile(
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
        ),
        [*_DIGITS, "."],
    ),
    "tag:yaml.org,2002:bool": (re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF")),
}


class RecipeLoader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2."""

    def construct_decimal(self, node: Any) -> int:
        """Read an integer, which never is octal."""
        return int(self.construct_scalar(node))


# A copy: the rules of the class above are everybody's.
RecipeLoader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] not in _RULES]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, (_pattern, _firsts) in _RULES.items():
    RecipeLoader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern.pattern})$"), _firsts)
RecipeLoader.add_constructor("tag:yaml.org,2002:int", RecipeLoader.construct_decimal)
