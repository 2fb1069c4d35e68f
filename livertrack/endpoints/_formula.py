"""Model formulas in Wilkinson notation: which terms, in which order, of which expressions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from formulaic import Formula
from formulaic.errors import FormulaicError

from livertrack.errors import UsageError

#: functions a formula may apply to a column
FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "I": lambda x: x,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "sqrt": np.sqrt,
}
#: functions that declare a column a factor
FACTOR_FUNCTIONS = ("C", "factor", "as.factor")
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


@dataclass(frozen=True)
class ParsedFormula:
    """A formula taken apart.

    Attributes
    ----------
    response : str
        Expression left of ``~``.
    variables : tuple of str
        Expressions of the predictors, in order of first appearance.
    terms : tuple of tuple of str
        Terms in R's order: by degree, then by appearance; the intercept is the empty tuple.
        Inside a term the expressions stand in the order of ``variables``.
    """

    response: str
    variables: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]


def parse_formula(formula: str) -> ParsedFormula:
    """Parse ``response ~ terms``; raises `UsageError` naming what is wrong with the formula."""
    try:
        parsed = Formula(formula.replace("as.factor(", "factor("))
        response, right = list(parsed.lhs), list(parsed.rhs)
    except (FormulaicError, AttributeError, TypeError, ValueError) as error:
        msg = (
            f"formula {formula!r} cannot be read ({error}); "
            "write e.g. 'CHG ~ BASE + TRT01P * AVISIT'"
        )
        raise UsageError(msg) from error
    if len(response) != 1 or len(response[0].factors) != 1:
        msg = f"formula {formula!r} needs one response left of ~"
        raise UsageError(msg)
    raw = [tuple(_clean(str(factor)) for factor in term.factors) for term in right]
    raw = [tuple(factor for factor in term if factor != "1") for term in raw]
    variables = _in_order_of_appearance(formula, raw)
    place = {variable: number for number, variable in enumerate(variables)}
    terms = [tuple(sorted(set(term), key=place.__getitem__)) for term in raw]
    terms = sorted(dict.fromkeys(terms), key=len)
    return ParsedFormula(_clean(str(response[0].factors[0])), variables, tuple(terms))


def factor_column(expression: str) -> str | None:
    """Column of ``C(column)`` or ``factor(column)``; None for any other expression."""
    for function in FACTOR_FUNCTIONS:
        if expression.startswith(f"{function}(") and expression.endswith(")"):
            return expression[len(function) + 1 : -1].strip()
    return None


def expression_columns(expression: str, known: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns an expression reads; a name that is a column as it stands is that column."""
    column = factor_column(expression) or expression
    if column in known:
        return (column,)
    nodes = list(ast.walk(_tree(expression)))
    for node in nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) not in FUNCTIONS:
            raise _not_understood(expression)
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    return tuple(dict.fromkeys(name for name in names if name not in FUNCTIONS))


def evaluate(expression: str, columns: Mapping[str, Any]) -> Any:
    """Value of an arithmetic expression of columns; only `FUNCTIONS` and + - * / ^ are known."""
    if expression in columns:
        return columns[expression]
    return _value(_tree(expression).body, columns, expression)


def _value(node: ast.AST, columns: Mapping[str, Any], expression: str) -> Any:
    if isinstance(node, ast.Name):
        return columns[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, columns, expression)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left = _value(node.left, columns, expression)
        return _OPERATORS[type(node.op)](left, _value(node.right, columns, expression))
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in FUNCTIONS
        and len(node.args) == 1
        and not node.keywords
    ):
        return FUNCTIONS[node.func.id](_value(node.args[0], columns, expression))
    raise _not_understood(expression)


def _not_understood(expression: str) -> UsageError:
    return UsageError(
        f"formula: {expression!r} is not understood; known are columns, numbers, + - * / ^ and "
        f"{', '.join((*FUNCTIONS, *FACTOR_FUNCTIONS))}"
    )


def _tree(expression: str) -> ast.Expression:
    try:
        return ast.parse(expression.replace("^", "**"), mode="eval")
    except SyntaxError as error:
        msg = f"formula: {expression!r} is neither a column nor an expression"
        raise UsageError(msg) from error


def _clean(expression: str) -> str:
    """Write an expression as R does: no blanks round ^ and /."""
    return expression.strip().strip("`").replace(" ^ ", "^").replace(" / ", "/")


def _in_order_of_appearance(formula: str, terms: list[tuple[str, ...]]) -> tuple[str, ...]:
    right = "".join(formula.split("~", 1)[-1].split())
    found = dict.fromkeys(factor for term in terms for factor in term)
    return tuple(sorted(found, key=lambda name: _position(right, name)))


def _position(text: str, name: str) -> int:
    """First place of ``name`` in ``text`` as a whole name, not as a part of a longer one."""
    name = "".join(name.split())
    start = text.find(name)
    while start >= 0:
        before, after = text[start - 1 : start], text[start + len(name) : start + len(name) + 1]
        if not (before.isalnum() or (before in {"_", "("} and before)) and not (
            after.isalnum() or after == "_"
        ):
            return start
        start = text.find(name, start + 1)
    return text.find(name) if name in text else len(text)
