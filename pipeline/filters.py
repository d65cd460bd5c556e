"""Filters on the columns of an index: `ink_coverage > 0.02 and not (blankness > 0.5)`.

A filter may come from anybody: Python's parser reads it, and only this file evaluates it.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MAX_CHARS = 1000
# A filter may name columns with these suffixes, but listing them would not help with a typo.
_TECHNICAL_SUFFIXES = ("_offset", "_size", "_sha256")
ALLOWED = (
    "columns compared (< <= > >= == !=) with numbers or quoted strings, and, or, not, brackets"
)

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
}


class FilterError(ValueError):
    """A filter that cannot be read or does not fit the columns of an index."""


@dataclass(frozen=True)
class Filter:
    """A condition on the rows of an index; an empty text matches all of them.

    Raises:
        FilterError: the text is not a condition made of what `ALLOWED` lists.
    """

    text: str

    def __post_init__(self) -> None:
        if self.text.strip():
            _check(self._tree(), self.text)

    @property
    def columns(self) -> list[str]:
        """Names of the columns that the filter reads, sorted."""
        if not self.text.strip():
            return []
        return sorted({node.id for node in ast.walk(self._tree()) if isinstance(node, ast.Name)})

    def matches(self, table: pa.Table) -> NDArray[np.bool_]:
        """Tell for each row whether it matches; a comparison with a missing value never does.

        Raises:
            FilterError: a column is unknown, or a number is compared with a string.
        """
        if not self.text.strip():
            return np.ones(len(table), dtype=bool)
        self.check_columns(table.column_names)
        found = pc.fill_null(_evaluate(self._tree(), table, self.text), False)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)

    def check_columns(self, known: list[str]) -> None:
        """Check that the filter reads known columns only.

        Raises:
            FilterError: a column is unknown; the message lists those that are known.
        """
        for name in self.columns:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean '{close[0]}'? " if close else ""
                listed = [other for other in known if not other.endswith(_TECHNICAL_SUFFIXES)]
                raise FilterError(
                    f"filter {self.text!r}: no column '{name}'; {hint}the columns are "
                    f"{', '.join(listed)}"
                )

    def _tree(self) -> ast.expr:
        if len(self.text) > MAX_CHARS:
            raise FilterError(
                f"a filter of {len(self.text)} characters; at most {MAX_CHARS} are allowed"
            )
        try:
            return ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            # The full text of a syntax error names a file and a line that do not exist.
            reason = error.msg if isinstance(error, SyntaxError) else error
            raise FilterError(
                f"filter {self.text!r} cannot be read ({reason}); expected {ALLOWED}"
            ) from error


def _check(node: ast.expr, text: str) -> None:
    """Refuse all of Python's grammar except conditions."""
    match node:
        case ast.BoolOp(values=values):
            for value in values:
                _check(value, text)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _check(operand, text)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [left, *comparators]
            known = all(type(op) in _COMPARISONS for op in ops)
            if not known or not all(map(_is_value, sides)):
                raise _refusal(node, text)
            # Two constants compare alike for every row: surely a mistake.
            if not any(isinstance(side, ast.Name) for side in sides):
                raise _refusal(node, text)
        case _:
            raise _refusal(node, text)


def _refusal(node: ast.expr, text: str) -> FilterError:
    return FilterError(f"filter {text!r}: {ast.unparse(node)!r} is not allowed; expected {ALLOWED}")


def _is_value(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return isinstance(node.operand, ast.Constant) and _is_number(node.operand.value)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) or _is_number(node.value)
    return isinstance(node, ast.Name)


def _is_number(value: object) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return value.bit_length() < 64
    return isinstance(value, float)


def _evaluate(node: ast.expr, table: pa.Table, text: str) -> Any:
    match node:
        case ast.BoolOp(op=op, values=values):
            join = pc.and_kleene if isinstance(op, ast.And) else pc.or_kleene
            found = _evaluate(values[0], table, text)
            for value in values[1:]:
                found = join(found, _evaluate(value, table, text))
            return found
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return pc.invert(_evaluate(operand, table, text))
        case ast.Compare():
            return _compare(node, table, text)
    raise AssertionError(f"{ast.dump(node)} passed the check")


def _compare(node: ast.Compare, table: pa.Table, text: str) -> Any:
    """Compare neighbours, as Python does in `0.1 < ink_coverage < 0.5`."""
    sides = [_value(side, table) for side in (node.left, *node.comparators)]
    found = None
    for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
        if not _comparable(left, right):
            raise FilterError(
                f"filter {text!r}: {ast.unparse(node)!r} compares a number with a string; "
                "strings are quoted, numbers are not"
            )
        one = _COMPARISONS[type(op)](left, right)
        found = one if found is None else pc.and_kleene(found, one)
    return found


def _value(node: ast.expr, table: pa.Table) -> Any:
    if isinstance(node, ast.Name):
        return table[node.id]
    sign = operator.neg if isinstance(node, ast.UnaryOp) else operator.pos
    constant = node.operand if isinstance(node, ast.UnaryOp) else node
    assert isinstance(constant, ast.Constant)
    value: Any = constant.value
    return pa.scalar(value if isinstance(value, str) else sign(value))


def _comparable(left: Any, right: Any) -> bool:
    return pa.types.is_string(left.type) == pa.types.is_string(right.type)
