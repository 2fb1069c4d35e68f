"""Regression of a whole composition on arm and covariates, back-transformed to shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import (
    ordered_levels,
    require_columns,
    require_conf_level,
    require_level,
    require_unique,
)
from livertrack.endpoints._logratio import basis_matrix, clr_coordinates, compositions
from livertrack.endpoints._sentences import p_text
from livertrack.endpoints._terms import formula_columns, model_terms, right_side
from livertrack.errors import DataError

Floats = NDArray[np.float64]
#: a standard deviation of log-ratios below this share of their size is rounding
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class CompositionRegression(Result):
    """Effects per part (``table``), adjusted mean compositions (``means``), joint ``tests``."""

    means: pd.DataFrame
    tests: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm", "part")
    context: ClassVar[str] = "composition_regression"


def composition_regression(
    data: pd.DataFrame,
    *,
    parts: Sequence[str] | None = None,
    arm: str = "TRT01P",
    reference: str,
    covariates: str | None = None,
    baseline: Sequence[str] | None = None,
    delta: float | None = None,
    size: str | None = None,
    conf_level: float = 0.95,
) -> CompositionRegression:
    """Linear model of log-ratio coordinates: which parts grow at the cost of the others.

    Parameters
    ----------
    data : DataFrame, one row per subject
        Shares at the visit, one column per part.
    parts, delta, size
        As in `clr`.
    arm, reference : str
        Column and the level the others are compared with.
    covariates : str, optional
        Right-hand side of further terms, e.g. ``"AGE + SEX"``.
    baseline : sequence of str, optional
        Columns of the baseline composition, in the order of ``parts``; they enter as ilr
        coordinates (their zeros are replaced by the same rule).
    conf_level : float
        Of the t limits.

    Returns
    -------
    CompositionRegression
        ``.table``: ``arm, reference, part, estimate`` (difference of the clr coordinate),
        ``std_error, df, statistic, p_value, conf_low, conf_high, ratio`` (exp(estimate): factor
        of the part relative to the geometric mean of all parts) with ``ratio_low, ratio_high``,
        ``n_arm, n_ref, method``.
        ``.means``: ``arm, part, share``: the composition at the mean of the covariates
        (sums to 1). ``.tests``: per ``arm`` Pillai's trace of no difference at all,
        ``statistic, f_statistic, df1, df2, p_value``.

    Notes
    -----
    Denominator: subjects with all parts, arm and covariates; dropped ones are counted.
    Estimates sum to 0 over the parts of an arm. Shares are centres (closed geometric means), not
    arithmetic means. Nothing depends on the basis. Too few subjects for the joint test gives NaN
    there and a note, a part that does not vary within arms NaN limits and a note; no residual
    degree of freedom is a `DataError`.
    Source: Egozcue et al. (2012); Pillai (1955).
    Checked against: R 4.2 ``lm``, ``anova.mlm`` (tests/reference/compositions.R).
    """
    require_conf_level(conf_level)
    extra = [arm, *(baseline or [])]
    if covariates:
        extra += formula_columns(right_side(covariates), data)
    require_columns(data, extra)
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    found = compositions(data, parts=parts, delta=delta, size=size, extra=extra)
    require_level(found.data, arm, reference, what="reference")
    levels = [level for level in ordered_levels(found.data[arm]) if level != reference]
    _, V = basis_matrix(found.parts, "pivot")
    clr = clr_coordinates(found.shares)
    Z = _covariates(found.data, covariates, baseline, delta, size)
    arms = np.column_stack(
        [np.ones(len(clr)), *((found.data[arm] == level).to_numpy(float) for level in levels)]
    )
    X = np.column_stack([arms, Z - Z.mean(axis=0)])
    df = len(X) - int(np.linalg.matrix_rank(X))
    if df < 1 or len(X) - df < X.shape[1]:
        msg = f"{len(X)} subjects and {X.shape[1]} coefficients; drop terms that cannot be fitted"
        raise DataError(msg)
    inverse = np.linalg.inv(X.T @ X)
    B = inverse @ X.T @ clr
    residual = clr - X @ B
    variance = (residual**2).sum(axis=0) / df
    flat = np.sqrt(variance) < _ROUNDING * max(1.0, float(np.abs(clr).max()))
    variance[flat] = 0.0
    t = float(stats.t.ppf((1 + conf_level) / 2, df))
    n_ref = int((found.data[arm] == reference).sum())
    rows, tests, notes = [], [], list(found.notes)
    if flat.any():
        same = [part for part, one in zip(found.parts, flat, strict=True) if one]
        notes.append(f"no variation within arms of {', '.join(same)}: no limits, no test")
    E = V @ residual.T @ residual @ V.T
    for i, level in enumerate(levels, start=1):
        error = np.sqrt(inverse[i, i] * variance)
        n_arm = int(arms[:, i].sum())
        for part, estimate, se in zip(found.parts, B[i], error, strict=True):
            rows.append(
                {
                    "arm": level, "reference": reference, "part": part,
                    **_t_row(float(estimate), float(se), df, t),
                    "n_arm": n_arm, "n_ref": n_ref, "method": "linear model of clr coordinates",
                }
            )  # fmt: skip
        pillai = _pillai(V @ B[i], inverse[i, i], E * (not flat.all()), df)
        tests.append({"arm": level, **pillai})
        if np.isnan(pillai["p_value"]):
            cause = (
                f"too few subjects for the joint test of {len(V)} coordinates"
                if df < len(V)
                else "parts without variation; no joint test"
            )
            notes.append(f"{level}: {cause}")
    centres = np.vstack([B[0], *(B[0] + B[i] for i in range(1, len(levels) + 1))])
    shares = np.exp(centres) / np.exp(centres).sum(axis=1, keepdims=True)
    means = pd.DataFrame(
        [
            {"arm": level, "part": part, "share": float(share)}
            for level, row in zip([reference, *levels], shares, strict=True)
            for part, share in zip(found.parts, row, strict=True)
        ]
    )
    joint = "; ".join(f"{r['arm']} {p_text(r['p_value'])}" for r in tests)
    return CompositionRegression(
        table=pd.DataFrame(rows, columns=list(_COLUMNS)),
        means=means,
        tests=pd.DataFrame(tests),
        text=f"Composition against {reference}, all {len(found.parts)} parts together: {joint}.",
        settings={
            "method": "linear model of log-ratio coordinates", "reference": reference,
            "covariates": covariates or "", "baseline": list(baseline or []),
            "conf_level": conf_level, "n": len(X), "parts": list(found.parts),
        },
        notes=tuple(notes),
    )  # fmt: skip


_COLUMNS = (
    "arm", "reference", "part", "estimate", "std_error", "df", "statistic", "p_value", "conf_low",
    "conf_high", "ratio", "ratio_low", "ratio_high", "n_arm", "n_ref", "method",
)  # fmt: skip


def _covariates(
    data: pd.DataFrame,
    covariates: str | None,
    baseline: Sequence[str] | None,
    delta: float | None,
    size: str | None,
) -> Floats:
    columns = [np.zeros((len(data), 0))]
    if covariates:
        columns.append(model_terms(data, right_side(covariates)).X)
    if baseline:
        start = compositions(data, parts=baseline, delta=delta, size=size)
        _, V = basis_matrix(start.parts, "pivot")
        columns.append(clr_coordinates(start.shares) @ V.T)
    return np.column_stack(columns)


def _t_row(estimate: float, error: float, df: int, t: float) -> dict[str, Any]:
    error = error if error > 0 else float("nan")
    statistic = estimate / error
    return {
        "estimate": estimate, "std_error": error, "df": df, "statistic": statistic,
        "p_value": float(2 * stats.t.sf(abs(statistic), df)),
        "conf_low": estimate - t * error, "conf_high": estimate + t * error,
        "ratio": float(np.exp(estimate)), "ratio_low": float(np.exp(estimate - t * error)),
        "ratio_high": float(np.exp(estimate + t * error)),
    }  # fmt: skip


def _pillai(effect: Floats, scale: float, E: Floats, df: int) -> dict[str, float]:
    """Pillai's trace of one arm effect; with one degree of freedom its F is exact."""
    q = len(effect)
    df2 = df - q + 1
    nan = float("nan")
    if df2 < 1 or np.linalg.matrix_rank(E) < q:
        return {"statistic": nan, "f_statistic": nan, "df1": q, "df2": df2, "p_value": nan}
    quadratic = float(effect @ np.linalg.solve(E, effect)) / scale
    F = quadratic * df2 / q
    return {
        "statistic": quadratic / (1 + quadratic), "f_statistic": F, "df1": q, "df2": df2,
        "p_value": float(stats.f.sf(F, q, df2)),
    }  # fmt: skip
