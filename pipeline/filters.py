"""Filters on the columns of an index: `ink_coverage > 0.02 and not (blankness > 0.5)`.

Texts may come from anybody: Python's parser reads them, nothing evaluates them but this file.
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
# Ends of columns that can be asked for but help nobody who has mistyped another.
_PLUMBING = ("_offset", "_size", "_sha256")
ALLOWED = "columns compared (< <= > >= == !=) with numbers or quoted texts, and, or, not, brackets"

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
}


class FilterError(ValueError):
    """A filter that cannot be read, or that does not fit the columns that there are."""


@dataclass(frozen=True)
class Filter:
    """A condition on the rows of an index; the empty text holds for all of them.

    Raises:
        FilterError: the text is no condition of the kind that `ALLOWED` names.
    """

    text: str

    def __post_init__(self) -> None:
        if self.text.strip():
            _check(self._tree(), self.text)

    @property
    def columns(self) -> list[str]:
        """Names of the columns that it looks at, sorted."""
        if not self.text.strip():
            return []
        return sorted({node.id for node in ast.walk(self._tree()) if isinstance(node, ast.Name)})

    def holds(self, table: pa.Table) -> NDArray[np.bool_]:
        """Tell for each row whether the condition holds; it never does where a value is missing.

        Raises:
            FilterError: a column is unknown, or holds texts where a number is asked for.
        """
        if not self.text.strip():
            return np.ones(len(table), dtype=bool)
        self.check_columns(table.column_names)
        found = pc.fill_null(_evaluate(self._tree(), table, self.text), False)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)

    def check_columns(self, known: list[str]) -> None:
        """Raise FilterError that lists the known columns if one asked for is not among them."""
        for name in self.columns:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean '{close[0]}'? " if close else ""
                shown = [each for each in known if not each.endswith(_PLUMBING)]
                raise FilterError(
                    f"filter {self.text!r}: no column '{name}'; {hint}there are {', '.join(shown)}"
                )

    def _tree(self) -> ast.expr:
        if len(self.text) > MAX_CHARS:
            raise FilterError(
                f"a filter of {len(self.text)} characters; at most {MAX_CHARS} are read"
            )
        try:
            return ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            # A syntax error as a whole names a file and a line that nobody wrote.
            reason = error.msg if isinstance(error, SyntaxError) else error
            raise FilterError(
                f"filter {self.text!r} cannot be read ({reason}); expected {ALLOWED}"
            ) from error


def _check(node: ast.expr, text: str) -> None:
    """Refuse all of Python's grammar but conditions."""
    match node:
        case ast.BoolOp(values=values):
            for value in values:
                _check(value, text)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _check(operand, text)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [left, *comparators]
            right = all(type(op) in _COMPARISONS for op in ops)
            if not right or not all(map(_is_value, sides)):
                raise _refusal(node, text)
            # Of two constants nothing depends on the row: surely a slip.
            if not any(isinstance(side, ast.Name) for side in sides):
                raise _refusal(node, text)
        case _:
            raise _refusal(node, text)


def _refusal(node: ast.expr, text: str) -> FilterError:
    return FilterError(f"filter {text!r}: {ast.unparse(node)!r} is none of: {ALLOWED}")


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
    raise AssertionError(f"{ast.dump(node)} was let through")


def _compare(node: ast.Compare, table: pa.Table, text: str) -> Any:
    """Compare side by side, as Python reads `0.1 < ink_coverage < 0.5`."""
    sides = [_value(side, table) for side in (node.left, *node.comparators)]
    found = None
    for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
        if not _comparable(left, right):
            raise FilterError(
                f"filter {text!r}: {ast.unparse(node)!r} compares a number with a text; texts "
                "stand in quotes, numbers do not"
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
