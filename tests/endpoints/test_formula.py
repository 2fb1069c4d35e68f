"""Formulas against R's terms and model.matrix (formula.R); values by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.endpoints._design import make_design
from livertrack.endpoints._formula import evaluate, expression_columns, parse_formula


@pytest.fixture(scope="module")
def numbers(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "formula.csv", dtype=str)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    row = np.arange(1, 25)
    return pd.DataFrame(
        {
            "y": row / 7, "x": row, "z.1": (row * 7) % 5 + 0.5, "a": np.tile(["p", "q"], 12),
            "b": np.tile(["k", "l", "m"], 8), "w": np.tile([2.0, 4.0, 12.0], 8),
        }
    )  # fmt: skip


def test_terms_and_columns_are_those_of_r(numbers: pd.DataFrame, frame: pd.DataFrame) -> None:
    def labels(parsed: object) -> str:
        return " | ".join(":".join(term) or "1" for term in parsed.terms)

    assert len(numbers) > 50
    for row in numbers.itertuples():
        parsed = parse_formula(f"y ~ {row.formula}")
        assert labels(parsed) == row.labels, row.formula
        assert labels(parsed.simplified()) == row.updated, row.formula
        assert " | ".join(make_design(parsed, frame).names) == row.columns, row.formula


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("I((x - 40)^2)", 900.0), ("I(x - 40^2)", -1590.0), ("x / (2 / 5)", 25.0),
        ("I(-x^2)", -100.0), ("I((-x)^2)", 100.0), ("2^3^2", 512.0), ("I(x^-1)", 0.1),
        ("x - y - 1", 6.0), ("x - (y - 1)", 8.0), ("log(exp(y) * 1)", 3.0), ("x ** 2", 100.0),
        ("1e1 + .5", 10.5), ("`a b` + x", 17.0),
    ],
)  # fmt: skip
def test_expressions_keep_parentheses_and_precedence(expression: str, value: float) -> None:
    columns = {"x": 10.0, "y": 3.0, "a b": 7.0}
    assert evaluate(expression, columns) == pytest.approx(value)
    assert set(expression_columns(expression, columns)) <= set(columns)


def test_response_may_be_a_difference(frame: pd.DataFrame) -> None:
    data = frame.assign(ARM=frame["a"])
    ours = lt.ancova(data, "x - z.1 ~ ARM", arm="ARM", reference="p")
    made = lt.ancova(data.assign(D=data["x"] - data["z.1"]), "D ~ ARM", arm="ARM", reference="p")
    np.testing.assert_allclose(ours.table["estimate"], made.table["estimate"], rtol=1e-12)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y", "cannot be read: it needs one response"),
        ("y ~ x ~ a", "cannot be read: it needs one response"),
        ("~ x", "cannot be read: it needs one response"),
        ("y ~ x +", "something is missing at its end"),
        ("y ~ (x + a", "a parenthesis is not closed"),
        ("y ~ x a", "'a' is out of place"),
        ("y ~ I(x > 3)", "'>' is not understood; make such a column in the data"),
        ("y ~ I(a == 'p')", "is not understood; make such a column"),
        ("y ~ .", "name the predictors"),
        ("y ~ x + 2", "the number 2 is no term"),
        ("y ~ (x + a)^b", "a whole number says how many interact"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(formula: str, words: str) -> None:
    with pytest.raises(lt.UsageError) as caught:
        parse_formula(formula)
    assert words in str(caught.value)


@pytest.mark.parametrize("call", ["poly(x, 2)", "scale(x)", "__import__(x)", "log(x, 2)"])
def test_unknown_functions_are_usage_errors_that_list_the_known(call: str) -> None:
    with pytest.raises(lt.UsageError, match="not understood; known are columns"):
        expression_columns(call, {"x": 1})
