"""Graphical multiple testing: weights that move along a graph as hypotheses are rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from livertrack._results import Result
from livertrack.errors import DataError, UsageError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

METHOD = "graphical procedure, weighted Bonferroni"
#: sums of weights may exceed 1 by rounding only
_SLACK = 1e-9


@dataclass(frozen=True, kw_only=True)
class GraphicalTest(Result):
    """Sequentially rejective graphical test; see `graphical_test` for the frames."""

    steps: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("step", "hypothesis")
    context: ClassVar[str] = "graphical_test"


def graphical_test(
    p: ArrayLike | pd.Series | Mapping[str, float],
    weights: ArrayLike | pd.Series | Mapping[str, float],
    transitions: ArrayLike | pd.DataFrame | Mapping[str, Mapping[str, float]],
    alpha: float = 0.05,
) -> GraphicalTest:
    """Test hypotheses by the graphical procedure of Bretz et al. (2009).

    Parameters
    ----------
    p : array, Series or mapping, one value per hypothesis
        Unadjusted p-values in [0, 1]; NaN is a test that could not be made and is never
        rejected. The index or the keys name the hypotheses, else they are H1, H2, ...
    weights : same shape
        Share of ``alpha`` each hypothesis starts with; at least 0, sum at most 1.
    transitions : square array, DataFrame or mapping of mappings
        Row i: share of the weight of hypothesis i that each other one receives when i is rejected;
        at least 0, zero on the diagonal, row sums at most 1. Named rows and columns may come in
        any order; what a mapping leaves out is 0.
    alpha : float
        Familywise error rate.

    Returns
    -------
    GraphicalTest
        ``.table``: one row per hypothesis - ``hypothesis, p_value, weight, p_adjusted, rejected,
        order, method``; ``order`` is the place in the sequence of rejections (NaN if not
        rejected). ``.steps``: one row per step and hypothesis still in the graph - ``step,
        hypothesis, weight, level`` (= weight x alpha), ``removed`` (hypothesis removed before this
        step, blank at step 0), ``to_<hypothesis>`` (transitions). Steps end at the last rejection.

    Notes
    -----
    A hypothesis is rejected when its adjusted p is at most ``alpha``; the adjusted p does not
    depend on ``alpha``. Hypotheses that no weight ever reaches have an adjusted p of 1. The
    procedure is the closed test with weighted Bonferroni tests of all intersections and holds
    the familywise error rate under any dependence. Holm, fixed sequence, fallback and
    Bonferroni-based gatekeeping are graphs.

    Source: Bretz, Maurer, Brannath and Posch (2009), Statistics in Medicine 28, algorithm 2.
    Checked against: the worked example of Bretz et al. (2011), R 4.2.2 ``p.adjust`` for Holm, and
    the closed test over all intersections (tests/endpoints/test_graphical.py).
    """
    names, values = labelled(p, prefix="H")
    shares = aligned(weights, names)
    matrix = _transition_matrix(transitions, names)
    _require_graph(shares, matrix, alpha)
    adjusted, order, history = _sequence(values, shares, matrix)
    rejected = np.nan_to_num(adjusted, nan=1.0) <= alpha
    table = pd.DataFrame(
        {
            "hypothesis": names, "p_value": values, "weight": shares, "p_adjusted": adjusted,
            "rejected": rejected, "order": np.where(rejected, order, np.nan), "method": METHOD,
        }
    )  # fmt: skip
    count = int(rejected.sum())
    missing = int(np.isnan(values).sum())
    listed = ", ".join(table.loc[rejected].sort_values("order")["hypothesis"].astype(str))
    return GraphicalTest(
        table=table,
        steps=_steps(names, history[: count + 1], alpha),
        text=f"{count} of {len(names)} hypotheses are rejected at a familywise error rate of "
        f"{alpha:g}" + (f": {listed}." if count else "."),
        settings={
            "method": METHOD, "alpha": alpha, "weights": shares.tolist(),
            "transitions": matrix.tolist(), "hypotheses": names,
        },
        notes=(f"{missing} of {len(names)} p-values are missing; never rejected",)
        if missing
        else (),
    )  # fmt: skip


def labelled(
    p: ArrayLike | pd.Series | Mapping[str, float], *, prefix: str = ""
) -> tuple[list[str], Vector]:
    """Names and values of p-values; `DataError` where one is no proportion."""
    if isinstance(p, pd.Series):
        named = not isinstance(p.index, pd.RangeIndex)
        names = list(map(str, p.index)) if named else None
        values = pd.to_numeric(p).to_numpy(float, copy=True)
    elif isinstance(p, Mapping):
        names, values = list(map(str, p)), np.array(list(p.values()), float)
    else:
        names, values = None, np.array(p, float)
    if values.ndim != 1:
        msg = f"p is one value per hypothesis, got an array of shape {values.shape}"
        raise UsageError(msg)
    wrong = int(((values < 0) | (values > 1)).sum())
    if wrong:
        msg = f"p: {wrong} of {len(values)} values lie outside 0 to 1"
        raise DataError(msg)
    names = names or [f"{prefix}{place}" for place in range(1, len(values) + 1)]
    if len(set(names)) < len(names):
        msg = f"p: {len(names) - len(set(names))} hypothesis name(s) occur twice"
        raise UsageError(msg)
    return names, values


def aligned(
    weights: ArrayLike | pd.Series | Mapping[str, float],
    names: list[str],
    *,
    what: str = "weights",
) -> Vector:
    """Values in the order of ``names``; what a mapping leaves out is 0."""
    if isinstance(weights, pd.Series) and not isinstance(weights.index, pd.RangeIndex):
        weights = {str(name): value for name, value in weights.items()}
    if isinstance(weights, Mapping):
        _require_known(set(map(str, weights)), names, what)
        return np.array([float(weights.get(name, 0.0)) for name in names])
    values = np.array(weights, float)
    if values.shape != (len(names),):
        msg = f"{what}: {len(names)} hypotheses need as many values, got shape {values.shape}"
        raise UsageError(msg)
    return values


def _transition_matrix(transitions: Any, names: list[str]) -> Matrix:
    if isinstance(transitions, pd.DataFrame):
        transitions = transitions.T.to_dict()
    if isinstance(transitions, Mapping):
        rows = {
            str(source): {str(target): float(share) for target, share in targets.items()}
            for source, targets in transitions.items()
        }
        used = set(rows) | {target for targets in rows.values() for target in targets}
        _require_known(used, names, "transitions")
        return np.array([[rows.get(a, {}).get(b, 0.0) for b in names] for a in names])
    matrix = np.array(transitions, float)
    if matrix.shape != (len(names), len(names)):
        msg = f"transitions: {len(names)} hypotheses need a square matrix, got {matrix.shape}"
        raise UsageError(msg)
    return matrix


def _require_known(used: set[str], names: list[str], what: str) -> None:
    unknown = sorted(used - set(names))
    if unknown:
        msg = f"{what}: no p-value for {', '.join(unknown)}; hypotheses are {', '.join(names)}"
        raise UsageError(msg)


def _require_graph(weights: Vector, matrix: Matrix, alpha: float) -> None:
    problems = []
    if not 0 < alpha < 1:
        problems.append(f"alpha is a proportion such as 0.05, got {alpha!r}")
    if not (np.isfinite(weights).all() and np.isfinite(matrix).all()):
        problems.append("weights and transitions must be finite")
    if (weights < 0).any() or weights.sum() > 1 + _SLACK:
        problems.append(f"weights must be at least 0 and sum to at most 1, sum {weights.sum():g}")
    if (matrix < 0).any() or (matrix.sum(axis=1) > 1 + _SLACK).any():
        problems.append("transitions must be at least 0 with row sums of at most 1")
    if np.diag(matrix).any():
        problems.append("transitions must be 0 on the diagonal")
    if problems:
        raise UsageError("; ".join(problems))


def _sequence(
    p: Vector, weights: Vector, matrix: Matrix
) -> tuple[Vector, Vector, list[tuple[int, list[int], Vector, Matrix]]]:
    """Give adjusted p, order of removal, and the graph before each removal."""
    weights, matrix = weights.copy(), matrix.copy()
    left = list(range(len(p)))
    adjusted, order = np.full(len(p), np.nan), np.full(len(p), np.nan)
    history = [(-1, left.copy(), weights.copy(), matrix.copy())]
    largest, step = 0.0, 0
    while left:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(weights[left] > 0, p[left] / weights[left], np.inf)
        ratios = np.where(np.isnan(ratios), np.inf, ratios)
        best = int(np.argmin(ratios))
        if not np.isfinite(ratios[best]):
            break
        chosen = left.pop(best)
        largest = max(largest, min(1.0, float(ratios[best])))
        step += 1
        adjusted[chosen], order[chosen] = largest, step
        weights, matrix = _removed(chosen, left, weights, matrix)
        history.append((chosen, left.copy(), weights.copy(), matrix.copy()))
    tested = [place for place in left if not np.isnan(p[place])]
    adjusted[tested] = 1.0
    return adjusted, order, history


def _removed(gone: int, left: list[int], weights: Vector, matrix: Matrix) -> tuple[Vector, Matrix]:
    """Give the graph without hypothesis ``gone``: its weight and its edges handed on."""
    new_weights, new_matrix = np.zeros_like(weights), np.zeros_like(matrix)
    for i in left:
        new_weights[i] = weights[i] + weights[gone] * matrix[gone, i]
        loop = matrix[i, gone] * matrix[gone, i]
        if loop >= 1:
            continue
        for k in left:
            if k != i:
                new_matrix[i, k] = (matrix[i, k] + matrix[i, gone] * matrix[gone, k]) / (1 - loop)
    return new_weights, new_matrix


def _steps(
    names: list[str], history: list[tuple[int, list[int], Vector, Matrix]], alpha: float
) -> pd.DataFrame:
    rows = [
        {
            "step": step, "hypothesis": names[i], "weight": weights[i],
            "level": weights[i] * alpha, "removed": "" if gone < 0 else names[gone],
            **{f"to_{names[k]}": matrix[i, k] for k in range(len(names))},
        }
        for step, (gone, left, weights, matrix) in enumerate(history)
        for i in left
    ]  # fmt: skip
    columns = ["step", "hypothesis", "weight", "level", "removed", *(f"to_{n}" for n in names)]
    return pd.DataFrame(rows, columns=columns)
