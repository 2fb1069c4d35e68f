"""Cohen's kappa of two raters on an ordered scale, weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from livertrack._results import Result
from livertrack.endpoints._checks import (
    ordered_levels,
    require_columns,
    require_conf_level,
    require_unique,
)
from livertrack.endpoints._sentences import interval_text
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class WeightedKappa(Result):
    """Kappa (``table``, one row) and the cross-table of the raters (``counts``)."""

    counts: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("rater_1", "rater_2")
    context: ClassVar[str] = "weighted_kappa"


def weighted_kappa(
    data: pd.DataFrame,
    *,
    rater_1: str,
    rater_2: str,
    weights: Literal["quadratic", "linear", "none"] = "quadratic",
    levels: Sequence[Any] | None = None,
    limits: Literal["wald", "jackknife"] = "wald",
    conf_level: float = 0.95,
) -> WeightedKappa:
    """Agreement beyond chance on a score such as fibrosis stage.

    Parameters
    ----------
    data : DataFrame, one row per subject
        Two columns with the scores of the two raters.
    rater_1, rater_2 : str
        Columns.
    weights : {"quadratic", "linear", "none"}
        Disagreement counts as the squared distance, the distance, or 1.
    levels : sequence, optional
        The whole scale in order. By default categories of a categorical column; for whole
        numbers every number from the smallest to the largest seen; else the sorted values.
    limits : {"wald", "jackknife"}
        ``wald``: normal on kappa's own scale, as other programs give, not cut at 1 and too short
        with few subjects and high kappa. ``jackknife``: t limits of artanh(kappa) with the
        jackknife error over subjects, between -1 and 1.
    conf_level : float
        Of the limits.

    Returns
    -------
    WeightedKappa
        ``.table``: ``estimate, std_error, conf_low, conf_high, statistic, p_value`` (of no
        agreement beyond chance), ``observed`` (proportion of equal scores), ``n, weights,
        method``. ``.counts``: ``rater_1, rater_2, n`` for every pair of levels.

    Notes
    -----
    Denominator: subjects scored by both; others are counted in ``notes``.
    A level nobody used keeps its place on the scale: 1 and 3 are two apart.
    When both raters give everybody the same score kappa does not exist: NaN and a note. With
    perfect agreement the standard error is 0 and the limits are 1.
    Source: Cohen (1968); Fleiss, Cohen and Everitt (1969) for the standard error.
    Checked against: R vcd 1.4-11 ``Kappa`` (tests/reference/agreement.R); the jackknife
    by leaving subjects out one by one, and its cover by simulation.
    """
    require_conf_level(conf_level)
    if weights not in ("quadratic", "linear", "none"):
        msg = f"weights is quadratic, linear or none; got {weights!r}"
        raise UsageError(msg)
    if limits not in ("wald", "jackknife"):
        msg = f"limits is wald or jackknife; got {limits!r}"
        raise UsageError(msg)
    require_columns(data, [rater_1, rater_2])
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    kept = data.dropna(subset=[rater_1, rater_2])
    if kept.empty:
        msg = f"no subject has both {rater_1} and {rater_2}; {len(data)} row(s) were given"
        raise DataError(msg)
    notes = []
    if len(kept) < len(data):
        lost = len(data) - len(kept)
        notes.append(f"dropped {lost} of {len(data)} subjects: {rater_1} or {rater_2} missing")
    scale = list(levels) if levels is not None else _scale(kept[rater_1], kept[rater_2])
    i = pd.Categorical(kept[rater_1], categories=scale).codes
    j = pd.Categorical(kept[rater_2], categories=scale).codes
    outside = int((i < 0).sum() + (j < 0).sum())
    if outside:
        msg = f"{rater_1}, {rater_2}: {outside} score(s) are not among levels {scale}"
        raise DataError(msg)
    cells = np.zeros((len(scale), len(scale)))
    np.add.at(cells, (i, j), 1)
    numbers = _kappa(cells, weights, conf_level)
    if limits == "jackknife":
        numbers |= _jackknife(cells, weights, numbers["estimate"], conf_level)
    if np.isnan(numbers["estimate"]):
        notes.append("no kappa: both raters gave every subject the same score")
    elif np.isnan([numbers["conf_low"], numbers["p_value"]]).any():
        notes.append(f"no limits or test of kappa: {len(kept)} subject(s), or a constant rater")
    n = len(kept)
    table = pd.DataFrame(
        [
            {
                **numbers, "observed": float(np.trace(cells) / n), "n": n, "weights": weights,
                "method": "Cohen's kappa, Fleiss-Cohen-Everitt standard error"
                + (", jackknife limits of artanh" if limits == "jackknife" else ""),
            }
        ]
    )  # fmt: skip
    counts = pd.DataFrame(
        [
            {"rater_1": a, "rater_2": b, "n": int(cells[x, y])}
            for x, a in enumerate(scale)
            for y, b in enumerate(scale)
        ]
    )
    text = (
        f"Kappa ({weights} weights) of {rater_1} and {rater_2} on {n} subjects: "
        + interval_text(
            numbers["estimate"], numbers["conf_low"], numbers["conf_high"], conf_level=conf_level
        )
        + f"; {np.trace(cells) / n:.0%} of scores are equal."
    )
    return WeightedKappa(
        table=table,
        counts=counts,
        text=text,
        settings={
            "method": "Cohen's kappa", "weights": weights, "levels": [str(v) for v in scale],
            "limits": limits, "conf_level": conf_level, "n": n, "rater_1": rater_1,
            "rater_2": rater_2,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _kappa(cells: np.ndarray, weights: str, conf_level: float) -> dict[str, float]:
    names = ("estimate", "std_error", "conf_low", "conf_high", "statistic", "p_value")
    seen = (cells.sum(axis=0) > 0) | (cells.sum(axis=1) > 0)
    if seen.sum() < 2:
        return dict.fromkeys(names, float("nan"))
    with np.errstate(divide="ignore", invalid="ignore"):
        fitted = cohens_kappa(cells, wt=None if weights == "none" else weights)
        estimate, error = float(fitted.kappa), float(np.sqrt(max(fitted.var_kappa, 0.0)))
        null = float(np.sqrt(max(fitted.var_kappa0, 0.0)))
        statistic = estimate / null if null > 1e-12 else float("nan")
    if cells.sum() < 2 or (error < 1e-12 and estimate < 1):
        error = statistic = float("nan")  # one subject, or raters that never vary
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    p = float(2 * stats.norm.sf(abs(statistic)))
    return dict(
        zip(
            names,
            (estimate, error, estimate - z * error, estimate + z * error, statistic, p),
            strict=True,
        )
    )


def _jackknife(
    cells: np.ndarray, weights: str, estimate: float, conf_level: float
) -> dict[str, float]:
    """Limits symmetric on the scale of artanh; NaN where leaving one out leaves no kappa."""
    n = cells.sum()
    if not abs(estimate) < 1:
        return {}
    if n < 3:
        return {"conf_low": float("nan"), "conf_high": float("nan")}
    values, counts = [], []
    for place in np.argwhere(cells > 0):
        left = cells.copy()
        left[tuple(place)] -= 1
        values.append(_kappa(left, weights, conf_level)["estimate"])
        counts.append(cells[tuple(place)])
    each, count = np.array(values), np.array(counts)
    deviation = each - (count @ each) / n
    error = float(np.sqrt((n - 1) / n * (count @ deviation**2)))
    half = float(stats.t.ppf((1 + conf_level) / 2, n - 1)) * error / (1 - estimate**2)
    centre = np.arctanh(estimate)
    return {
        "conf_low": float(np.tanh(centre - half)),
        "conf_high": float(np.tanh(centre + half)),
    }


def _scale(first: pd.Series, second: pd.Series) -> list[Any]:
    for column in (first, second):
        if isinstance(column.dtype, pd.CategoricalDtype):
            return list(column.cat.categories)
    both = pd.concat([first, second])
    values = pd.to_numeric(both, errors="coerce")
    if (
        values.notna().all()
        and (values == values.round()).all()
        and pd.api.types.is_numeric_dtype(both)
    ):
        return list(range(int(values.min()), int(values.max()) + 1))
    return ordered_levels(both)
