"""Are prediction errors free of age, sex, site and the like? Equivalence, not absence of proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import numeric, ordered_levels, require_columns
from livertrack.endpoints.multiplicity import adjust_pvalues
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class ConfounderAudit(Result):
    """One row per covariate and contrast; see `confounder_audit`."""

    keys: ClassVar[tuple[str, ...]] = ("covariate", "contrast")
    context: ClassVar[str] = "confounder_audit"


def confounder_audit(
    data: pd.DataFrame,
    *,
    residual: str,
    covariates: Sequence[str],
    margin: float | Mapping[str, float],
    subject: str = "USUBJID",
    alpha: float = 0.05,
) -> ConfounderAudit:
    """Test that errors do not depend on covariates by more than a margin.

    Parameters
    ----------
    data : DataFrame
        ``subject``, ``residual`` (observed minus predicted, in the unit of the outcome) and the
        covariates; one or several rows per subject.
    covariates : sequence of str
        Numbers (effect of one SD) or levels (all pairwise differences of means); each alone.
    margin : float or mapping of covariate to float
        Largest dependence that does not matter, in the unit of ``residual``.
    alpha : float
        Level of each one-sided test; intervals have level 1 - 2 alpha.

    Returns
    -------
    ConfounderAudit
        ``.table``: ``covariate, contrast, estimate, std_error, df, conf_low, conf_high, margin,
        p_equivalence`` (larger of the two one-sided p), ``equivalent`` (interval inside the
        margin), ``p_value`` (of no dependence, two-sided), ``p_adjusted`` (Holm over rows), ``n,
        n_subjects``.

    Raises
    ------
    UsageError
        No margin for a covariate, or one that is not positive.

    Notes
    -----
    Denominator: rows with residual and covariate. Levels with fewer than two subjects are left
    out, with a note. Errors are clustered by subject (HC3 where every subject has one row), with
    a t distribution on subjects minus parameters. A large ``p_value`` is no proof of equivalence:
    look at ``equivalent``.
    Source: Schuirmann (1987).
    Checked against: R sandwich ``vcovHC(type = "HC3")`` and ``vcovCL``
    (tests/reference/confounder_audit.R).
    """
    require_columns(data, [subject, residual, *covariates])
    margins = dict.fromkeys(covariates, margin) if not isinstance(margin, Mapping) else margin
    lacking = [c for c in covariates if c not in margins]
    bad = [c for c in covariates if c in margins and not margins[c] > 0]
    if lacking or bad or not covariates:
        msg = f"margin: state a positive one for {', '.join([*lacking, *bad]) or 'a covariate'}"
        raise UsageError(msg)
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for covariate in covariates:
        known = data[[subject, residual, covariate]].dropna()
        lost = len(data) - len(known)
        if lost:
            notes.append(f"{covariate}: {lost} of {len(data)} row(s) without value are left out")
        found = _effects(known, residual, covariate, subject, notes)
        for contrast, estimate, error, df, n, subjects in found:
            limit = float(margins[covariate])
            tails = [_upper(limit - estimate, error, df), _upper(limit + estimate, error, df)]
            half = float(stats.t.ppf(1 - alpha, df)) * error
            rows.append({
                "covariate": covariate, "contrast": contrast, "estimate": estimate,
                "std_error": error, "df": df, "conf_low": estimate - half,
                "conf_high": estimate + half, "margin": limit, "p_equivalence": max(tails),
                "equivalent": bool(max(tails) <= alpha),
                "p_value": min(1.0, 2 * _upper(abs(estimate), error, df)),
                "n": n, "n_subjects": subjects,
            })  # fmt: skip
    if not rows:
        msg = f"data: no covariate has two levels or varies: {', '.join(covariates)}"
        raise DataError(msg)
    table = pd.DataFrame(rows)
    table["p_adjusted"] = np.asarray(adjust_pvalues(table["p_value"].to_numpy(), "holm"))
    shown = int(table["equivalent"].sum())
    return ConfounderAudit(
        table=table,
        text=(
            f"{shown} of {len(table)} dependences of {residual} on covariates are shown to lie "
            f"within their margins (two one-sided tests, alpha {alpha:g})."
        ),
        settings={"method": "two one-sided tests, robust errors", "residual": residual,
                  "covariates": list(covariates), "margin": dict(margins), "alpha": alpha,
                  "subject": subject},
        notes=tuple(notes),
    )  # fmt: skip


def _effects(
    known: pd.DataFrame, residual: str, covariate: str, subject: str, notes: list[str]
) -> list[tuple[str, float, float, float, int, int]]:
    """(contrast, estimate, error, df, rows, subjects) of one covariate."""
    cells = known[covariate]
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        x = numeric(known, covariate)
        spread = float(x.std(ddof=1)) if len(x) > 1 else 0.0
        if not spread > 0:
            notes.append(f"{covariate}: does not vary; not tested")
            return []
        design = np.column_stack([np.ones(len(x)), (x - x.mean()) / spread])
        return [("one SD", *_contrast(known, residual, subject, design, np.array([0.0, 1.0])))]
    text = cells.astype(str)
    sizes = known.groupby(text)[subject].nunique()
    few = sizes[sizes < 2]
    if len(few):
        notes.append(f"{covariate}: {len(few)} level(s) with one subject are left out")
    order = [str(level) for level in ordered_levels(cells) if sizes[str(level)] >= 2]
    if len(order) < 2:
        return []
    kept = known[text.isin(order)]
    design = np.column_stack([kept[covariate].astype(str).eq(level) for level in order])
    out = []
    for i, j in combinations(range(len(order)), 2):
        weights = np.zeros(len(order))
        weights[i], weights[j] = 1.0, -1.0
        found = _contrast(kept, residual, subject, design.astype(float), weights)
        out.append((f"{order[i]} - {order[j]}", *found))
    return out


def _contrast(
    rows: pd.DataFrame, residual: str, subject: str, design: np.ndarray[Any, Any],
    weights: np.ndarray[Any, Any],
) -> tuple[float, float, float, int, int]:  # fmt: skip
    clusters = np.unique(rows[subject].astype(str), return_inverse=True)[1]
    n = int(clusters.max()) + 1
    model = sm.OLS(numeric(rows, residual), design)
    if n == len(rows):
        fit = model.fit(cov_type="HC3")
    else:
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": clusters})
    error = float(np.sqrt(weights @ np.asarray(fit.cov_params()) @ weights))
    return float(weights @ fit.params), error, float(n - design.shape[1]), len(rows), n


def _upper(distance: float, error: float, df: float) -> float:
    """P of a t statistic beyond ``distance``; without any error it is certain."""
    if df < 1:
        return float("nan")
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(stats.t.sf(distance / error, df))
