"""Expressions of a formula: read into a tree, written as R writes them, evaluated on columns.

The grammar and precedences are R's: ``^`` (or ``**``), sign, ``:``, ``%in%``, ``* /``, ``+ -``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from livertrack.errors import UsageError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d][\w.]*|\.[\w.]*)|`(?P<quoted>[^`]+)`"
    r"|(?P<operator>%in%|\*\*|[-+*/:^(),]))"
)
#: binary operators and how tightly they bind
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "%in%": 3, ":": 4, "^": 6}
_SIGN = 5
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "^": operator.pow,
}  # fmt: skip
#: operators that R writes between blanks
_SPACED = ("+", "-", "*", "%in%")


@dataclass(frozen=True)
class Name:
    """A column."""

    text: str


@dataclass(frozen=True)
class Number:
    """A number, as it was written."""

    text: str


@dataclass(frozen=True)
class Group:
    """An expression in parentheses."""

    inner: Node


@dataclass(frozen=True)
class Call:
    """A function of expressions."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Sign:
    """A sign before an expression."""

    operator: str
    inner: Node


@dataclass(frozen=True)
class Binary:
    """Two expressions and an operator between them."""

    operator: str
    left: Node
    right: Node


Node = Name | Number | Group | Call | Sign | Binary


@lru_cache(maxsize=512)
def parse(text: str) -> Node:
    """Read ``text``; raises `UsageError` saying where it stops being an expression."""
    return _Reader(text).read()


def write(node: Node, *, inside: bool = False) -> str:
    """Write an expression as R does; names that are no words get backticks ``inside`` others."""
    match node:
        case Name(text):
            plain = not inside or re.fullmatch(r"[^\W\d][\w.]*|\.[\w.]*", text)
            return text if plain else f"`{text}`"
        case Number(text):
            return _shortest(text)
        case Group(inner):
            return f"({write(inner, inside=True)})"
        case Call(function, arguments):
            return f"{function}({', '.join(write(one, inside=True) for one in arguments)})"
        case Sign(sign, inner):
            return f"{sign}{write(inner, inside=True)}"
        case Binary(symbol, left, right):
            sides = write(left, inside=True), write(right, inside=True)
            return (f" {symbol} " if symbol in _SPACED else symbol).join(sides)


def _shortest(number: str) -> str:
    """Write a number as R does: in full, unless powers of ten are shorter."""
    value = float(number)
    full = np.format_float_positional(value, trim="-")
    powers = np.format_float_scientific(value, trim="-", exp_digits=2)
    return full if len(full) <= len(powers) else powers


def walk(node: Node) -> Iterator[Node]:
    """Give the expression and all its parts, from the left."""
    yield node
    match node:
        case Group(inner) | Sign(_, inner):
            yield from walk(inner)
        case Call(_, arguments):
            for one in arguments:
                yield from walk(one)
        case Binary(_, left, right):
            yield from walk(left)
            yield from walk(right)


def compute(node: Node, columns: Mapping[str, Any], functions: Mapping[str, Any]) -> Any:
    """Value of an arithmetic expression; anything else is a `UsageError`."""
    match node:
        case Name(text):
            return columns[text]
        case Number(text):
            return float(text)
        case Group(inner):
            return compute(inner, columns, functions)
        case Call(function, (argument,)) if function in functions:
            return functions[function](compute(argument, columns, functions))
        case Sign(sign, inner):
            value = compute(inner, columns, functions)
            return -value if sign == "-" else value
        case Binary(symbol, left, right) if symbol in _ARITHMETIC:
            sides = (compute(left, columns, functions), compute(right, columns, functions))
            return _ARITHMETIC[symbol](*sides)
    raise not_understood(write(node), functions)


def not_understood(text: str, functions: Mapping[str, Any]) -> UsageError:
    """Make the error about an expression outside of what is known."""
    return UsageError(
        f"formula: {text!r} is not understood; known are columns, numbers, + - * / ^ and "
        f"{', '.join((*functions, 'C', 'factor', 'as.factor'))}; make any other column in the data"
    )


class _Reader:
    """Reads the tokens of one expression, operators by how tightly they bind."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.place = 0

    def read(self) -> Node:
        node = self._expression(0)
        if self._ahead() is not None:
            raise self._error(f"{self._ahead()!r} is out of place")
        return node

    def _tokens(self) -> Iterator[tuple[str, str]]:
        at, end = 0, len(self.text.rstrip())
        while at < end:
            found = _TOKEN.match(self.text, at)
            if found is None or found.lastgroup is None:
                what = self.text[at:].split()[0]
                raise self._error(f"{what!r} is not understood; make such a column in the data")
            value = found.group(found.lastgroup)
            yield found.lastgroup, "^" if value == "**" else value
            at = found.end()

    def _ahead(self) -> str | None:
        return self.tokens[self.place][1] if self.place < len(self.tokens) else None

    def _is(self, *operators: str) -> bool:
        return (
            self.place < len(self.tokens)
            and self.tokens[self.place][0] == "operator"
            and self.tokens[self.place][1] in operators
        )

    def _expression(self, least: int) -> Node:
        left = self._operand()
        while self._is(*_BINDING):
            symbol = self.tokens[self.place][1]
            binding = _BINDING[symbol]
            if binding < least:
                break
            self.place += 1
            # a power binds to the right, and takes a sign: x^-1
            right = self._expression(binding if symbol == "^" else binding + 1)
            left = Binary(symbol, left, right)
        return left

    def _operand(self) -> Node:
        if self.place >= len(self.tokens):
            raise self._error("something is missing at its end")
        kind, value = self.tokens[self.place]
        self.place += 1
        if kind == "number":
            return Number(value)
        if kind in ("name", "quoted"):
            if kind == "name" and self._is("("):
                return Call(value, self._arguments())
            return Name(value)
        if value in ("+", "-"):
            return Sign(value, self._expression(_SIGN))
        if value == "(":
            inner = self._expression(0)
            self._close()
            return Group(inner)
        raise self._error(f"{value!r} is out of place")

    def _arguments(self) -> tuple[Node, ...]:
        self.place += 1
        found = [self._expression(0)]
        while self._is(","):
            self.place += 1
            found.append(self._expression(0))
        self._close()
        return tuple(found)

    def _close(self) -> None:
        if not self._is(")"):
            raise self._error("a parenthesis is not closed")
        self.place += 1

    def _error(self, reason: str) -> UsageError:
        return UsageError(f"formula: {' '.join(self.text.split())!r} cannot be read: {reason}")
