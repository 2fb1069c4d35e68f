"""Model formulas in Wilkinson notation: which terms, in which order, of which expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from livertrack.endpoints._expression import (
    Binary,
    Call,
    Group,
    Name,
    Node,
    Number,
    Sign,
    compute,
    not_understood,
    parse,
    walk,
    write,
)
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
#: a term as the set of its expressions; the intercept is the empty one
Term = frozenset[str]


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

    def simplified(self) -> ParsedFormula:
        """Order the variables as they appear in the terms, as R's ``update`` of a formula does."""
        order = tuple(dict.fromkeys(name for term in self.terms for name in term))
        return ParsedFormula(self.response, order, _in_order(map(frozenset, self.terms), order))


def parse_formula(formula: str) -> ParsedFormula:
    """Parse ``response ~ terms``; raises `UsageError` naming what is wrong with the formula."""
    sides = formula.split("~")
    if len(sides) != 2 or not all(side.strip() for side in sides):
        msg = (
            f"formula {formula!r} cannot be read: it needs one response left of ~ and the terms "
            "right of it, e.g. 'CHG ~ BASE + TRT01P * AVISIT'"
        )
        raise UsageError(msg)
    response, right = (parse(side.strip()) for side in sides)
    found = _Terms()
    terms = found.top(right)
    if found.intercept:
        terms = [frozenset(), *terms]
    used = {name for term in terms for name in term}
    variables = tuple(name for name in found.variables if name in used)
    return ParsedFormula(write(response), variables, _in_order(terms, variables))


def factor_column(expression: str) -> str | None:
    """Column of ``C(column)`` or ``factor(column)``; None for any other expression."""
    for function in FACTOR_FUNCTIONS:
        if expression.startswith(f"{function}(") and expression.endswith(")"):
            return expression[len(function) + 1 : -1].strip().strip("`")
    return None


def expression_columns(expression: str, known: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns an expression reads; a name that is a column as it stands is that column."""
    column = factor_column(expression) or expression
    if column in known:
        return (column,)
    nodes = list(walk(parse(column)))
    for node in nodes:
        if isinstance(node, Call) and (node.function not in FUNCTIONS or len(node.arguments) > 1):
            raise not_understood(expression, FUNCTIONS)
    return tuple(dict.fromkeys(node.text for node in nodes if isinstance(node, Name)))


def evaluate(expression: str, columns: Mapping[str, Any]) -> Any:
    """Value of an arithmetic expression of columns; only `FUNCTIONS` and + - * / ^ are known."""
    if expression in columns:
        return columns[expression]
    return compute(parse(expression), columns, FUNCTIONS)


@dataclass
class _Terms:
    """Collects the terms of a right-hand side as R's ``terms`` does."""

    intercept: bool = True
    variables: dict[str, None] = field(default_factory=dict)

    def top(self, node: Node) -> list[Term]:
        """Terms of sums and differences, in which 1 and 0 stand for the intercept."""
        match node:
            case Number(text):
                self._constant(text, present=text == "1")
                return []
            case Group(inner) | Sign("+", inner):
                return self.top(inner)
            case Sign("-", inner):
                return self._without([], inner)
            case Binary("+", left, right):
                return _union(self.top(left), self.top(right))
            case Binary("-", left, right):
                return self._without(self.top(left), right)
        return self.expand(node)

    def expand(self, node: Node) -> list[Term]:
        """Terms of an expression."""
        match node:
            case Number("1"):
                return [frozenset()]
            case Name(".") | Number() | Sign():
                msg = f"formula: {write(node)!r} is no term; name the predictors"
                raise UsageError(msg)
            case Name() | Call():
                name = write(node)
                name = name.replace("as.factor(", "factor(", 1) if node != Name(name) else name
                self.variables.setdefault(name)
                return [frozenset([name])]
            case Group(inner):
                return self.expand(inner)
            case Binary("^", left, right):
                return self._power(self.expand(left), right)
        return self._combine(node.operator, self.expand(node.left), self.expand(node.right))

    @staticmethod
    def _combine(operator: str, ours: list[Term], theirs: list[Term]) -> list[Term]:
        match operator:
            case "+":
                return _union(ours, theirs)
            case "-":
                return [term for term in ours if term not in theirs]
            case ":":
                return _product(ours, theirs)
            case "*":
                return _union(ours, theirs, _product(ours, theirs))
            case "/":
                return _union(ours, [Term().union(*ours) | term for term in theirs])
            case _:  # %in%
                return _union([term | Term().union(*theirs) for term in ours])

    def _constant(self, text: str, *, present: bool) -> None:
        if text not in ("0", "1"):
            msg = f"formula: the number {text} is no term; 0 or -1 leaves the intercept out"
            raise UsageError(msg)
        self.intercept = present

    def _without(self, terms: list[Term], node: Node) -> list[Term]:
        if isinstance(node, Number):
            self._constant(node.text, present=node.text == "0")
            return terms
        gone = self.expand(node)
        if frozenset() in gone:
            self.intercept = False
        return [term for term in terms if term not in gone]

    @staticmethod
    def _power(terms: list[Term], exponent: Node) -> list[Term]:
        if not (isinstance(exponent, Number) and exponent.text.isdigit() and exponent.text != "0"):
            msg = f"formula: ^{write(exponent)} of terms; a whole number says how many interact"
            raise UsageError(msg)
        found = terms
        for _ in range(int(exponent.text) - 1):
            found = _union(_product(found, terms))
        return found


def _union(*parts: list[Term]) -> list[Term]:
    return list(dict.fromkeys(term for part in parts for term in part))


def _product(left: list[Term], right: list[Term]) -> list[Term]:
    return _union([one | other for one in left for other in right])


def _in_order(terms: Iterable[Term], variables: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    place = {variable: number for number, variable in enumerate(variables)}
    ordered = [tuple(sorted(term, key=place.__getitem__)) for term in terms]
    return tuple(sorted(dict.fromkeys(ordered), key=len))
