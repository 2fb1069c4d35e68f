"""Responders: difference, ratio and odds ratio of proportions, with strata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import stats
from scipy.stats import contingency

from livertrack._results import Result
from livertrack.endpoints import _score_intervals as score
from livertrack.endpoints import _stratified as strat
from livertrack.endpoints._checks import require_conf_level
from livertrack.endpoints._sentences import interval_text
from livertrack.endpoints._two_by_two import Counts, Missing, compared_arms, counts, responses
from livertrack.endpoints.cmh import CMH, cmh_test
from livertrack.endpoints.responder_criteria import (
    Criterion,
    derive_responders,
    nas_improvement,
    nash_resolution,
    pdff_response,
)
from livertrack.errors import UsageError

__all__ = [
    "CMH", "Criterion", "Responders", "cmh_test", "derive_responders", "nas_improvement",
    "nash_resolution", "odds_ratio", "pdff_response", "risk_difference", "risk_ratio",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Responders(Result):
    """Comparison of each arm with the reference (``table``) and, for differences, ``nnt``."""

    nnt: pd.DataFrame | None = None

    keys: ClassVar[tuple[str, ...]] = ("arm",)
    context: ClassVar[str] = "responders"


def risk_difference(
    data: pd.DataFrame,
    *,
    response: str,
    arm: str = "TRT01P",
    reference: str,
    strata: str | list[str] | None = None,
    method: Literal["miettinen-nurminen", "newcombe", "mantel-haenszel"] = "miettinen-nurminen",
    missing: Missing = "drop",
    null: float = 0.0,
    conf_level: float = 0.95,
) -> Responders:
    """Proportion of responders of each arm minus that of the reference.

    Parameters
    ----------
    data : DataFrame, one row per subject
        ``response`` is 0/1 or False/True, missing where unknown.
    response, arm : str
        Columns.
    reference : str
        Arm that is subtracted.
    strata : str or list of str, optional
        Columns; differences within strata are averaged with weights n1 n0 / (n1 + n0).
    method : {"miettinen-nurminen", "newcombe", "mantel-haenszel"}
        Score limits, hybrid Wilson limits, or Wald limits with Sato's variance.
    missing : {"drop", "non-responder"}
        What a missing response becomes.
    null : float
        Difference that ``p_value`` tests, e.g. minus a non-inferiority margin.
    conf_level : float
        Of the two-sided limits.

    Returns
    -------
    Responders
        ``.table``: ``arm, reference, estimate, std_error, conf_low, conf_high, statistic,
        p_value, n_arm, n_ref, responders_arm, responders_ref, rate_arm, rate_ref,
        missing_arm, missing_ref`` (subjects dropped or imputed for want of a response),
        ``n_strata, method``. ``.nnt``: number needed to treat, see Notes.

    Notes
    -----
    Denominator: with ``missing="drop"`` subjects with a response, with ``"non-responder"`` all
    subjects of the arm; strata without subjects in both arms are left out and counted in
    ``notes``. Rates are crude; the estimate is weighted. Positive: more responders than
    ``reference``.
    p: score test at ``null`` (Miettinen-Nurminen); Pearson or Cochran-Mantel-Haenszel
    chi-square without continuity correction (Newcombe; only ``null = 0``); Wald test
    (Mantel-Haenszel). Miettinen-Nurminen and Newcombe have no ``std_error``.
    ``nnt``: 1 / |estimate| and its direction. Limits are of the benefit (``benefit_low,
    benefit_high``) and of the harm (``harm_low, harm_high``): when the limits of the difference
    include 0 both ranges end at infinity, because the interval passes through it.
    An arm without subjects has NaN and a note. Without variation (nobody or everybody responds)
    Wald limits do not exist and are NaN; the two score methods have limits then.
    Source: Miettinen and Nurminen (1985); Newcombe (1998); Yan and Su (2010); Sato, Greenland
    and Robins (1989); Altman (1998) for the number needed to treat.
    Checked against: constrained likelihood maximised numerically, ``prop.test`` and
    ``mantelhaen.test`` of R 4.2 (tests/reference/responders.R).
    """
    if method not in ("miettinen-nurminen", "newcombe", "mantel-haenszel"):
        msg = f"unknown method {method!r}; miettinen-nurminen, newcombe or mantel-haenszel"
        raise UsageError(msg)
    if not -1 < null < 1 or (method == "newcombe" and null):
        msg = f"null is a difference between -1 and 1, and 0 with newcombe; got {null!r}"
        raise UsageError(msg)

    def compare(t: Counts, z: float) -> dict[str, float]:
        if method == "mantel-haenszel":
            estimate, error = strat.mh_difference(t)
            return _wald(estimate, error, z, null=null)
        if method == "newcombe":
            estimate, low, high = strat.newcombe(t, conf_level)
            return _row(estimate, low, high, p=_cmh_p(t))
        w = strat.mh_weights(t)
        estimate = float(w @ (t.x1 / t.n1 - t.x0 / t.n0))
        low, high = score.invert(
            lambda v: score.difference_statistic(t, w, v), estimate, -1.0, 1.0, z
        )
        at_null = score.difference_statistic(t, w, null)
        return _row(estimate, low, high, statistic=at_null)

    return _compare(
        data, compare, response=response, arm=arm, reference=reference, strata=strata,
        method=method, missing=missing, conf_level=conf_level, measure="risk difference",
        extra={"null": null},
    )  # fmt: skip


def risk_ratio(
    data: pd.DataFrame,
    *,
    response: str,
    arm: str = "TRT01P",
    reference: str,
    strata: str | list[str] | None = None,
    method: Literal["mantel-haenszel", "miettinen-nurminen"] = "mantel-haenszel",
    missing: Missing = "drop",
    conf_level: float = 0.95,
) -> Responders:
    """Proportion of responders of each arm divided by that of the reference.

    Parameters and ``.table`` as in `risk_difference`; ``std_error`` is of the logarithm.

    Notes
    -----
    Denominator: as in `risk_difference`. ``mantel-haenszel`` has Wald limits on the log scale
    with the variance of Greenland and Robins (one stratum: the usual Katz limits); no responder
    in an arm gives 0 or infinity, and NaN limits. ``miettinen-nurminen`` has score limits, which
    exist then too. Above 1: more responders than ``reference``.
    Source: Greenland and Robins (1985); Miettinen and Nurminen (1985).
    Checked against: R 4.2 (tests/reference/responders.R).
    """
    if method not in ("mantel-haenszel", "miettinen-nurminen"):
        msg = f"unknown method {method!r}; mantel-haenszel or miettinen-nurminen"
        raise UsageError(msg)

    def compare(t: Counts, z: float) -> dict[str, float]:
        if method == "mantel-haenszel":
            return _wald(*strat.mh_log_ratio(t), z, logarithm=True)
        w = strat.mh_weights(t)
        above, below = float(w @ (t.x1 / t.n1)), float(w @ (t.x0 / t.n0))
        if above == 0 and below == 0:
            return _row(float("nan"), float("nan"), float("nan"))
        estimate = above / below if below else float("inf")
        middle = np.log(estimate) if 0 < estimate < np.inf else (-30.0 if above == 0 else 30.0)
        low, high = score.invert(
            lambda v: score.ratio_statistic(t, w, float(np.exp(v))), float(middle), -30.0, 30.0, z
        )
        return _row(
            estimate, float(np.exp(low)) if low > -30 else 0.0,
            float(np.exp(high)) if high < 30 else float("inf"),
            statistic=score.ratio_statistic(t, w, 1.0),
        )  # fmt: skip

    return _compare(
        data, compare, response=response, arm=arm, reference=reference, strata=strata,
        method=method, missing=missing, conf_level=conf_level, measure="risk ratio",
    )  # fmt: skip


def odds_ratio(
    data: pd.DataFrame,
    *,
    response: str,
    arm: str = "TRT01P",
    reference: str,
    strata: str | list[str] | None = None,
    method: Literal["mantel-haenszel", "exact"] = "mantel-haenszel",
    missing: Missing = "drop",
    conf_level: float = 0.95,
) -> Responders:
    """Odds of response of each arm divided by those of the reference.

    Parameters and ``.table`` as in `risk_difference`; ``std_error`` is of the logarithm.

    Notes
    -----
    Denominator: as in `risk_difference`. ``mantel-haenszel`` has Wald limits on the log scale
    with the variance of Robins, Breslow and Greenland (one stratum: Woolf's); an empty cell gives
    0 or infinity, and NaN limits. ``exact`` is the conditional estimate with exact limits and
    Fisher's p, without strata.
    Source: Robins, Breslow and Greenland (1986); Cornfield (1956) for the exact limits.
    Checked against: R 4.2 ``mantelhaen.test``, ``fisher.test`` (tests/reference/responders.R).
    """
    if method not in ("mantel-haenszel", "exact") or (method == "exact" and strata):
        msg = f"method is mantel-haenszel, or exact without strata; got {method!r}"
        raise UsageError(msg)

    def compare(t: Counts, z: float) -> dict[str, float]:
        if method == "mantel-haenszel":
            return _wald(*strat.mh_log_odds(t), z, logarithm=True)
        cells = [[t.x1[0], t.n1[0] - t.x1[0]], [t.x0[0], t.n0[0] - t.x0[0]]]
        table = np.array(cells, dtype=int)
        fitted = contingency.odds_ratio(table, kind="conditional")
        limits = fitted.confidence_interval(confidence_level=conf_level)
        p = float(stats.fisher_exact(table).pvalue)
        return _row(float(fitted.statistic), float(limits.low), float(limits.high), p=p)

    return _compare(
        data, compare, response=response, arm=arm, reference=reference, strata=strata,
        method=method, missing=missing, conf_level=conf_level, measure="odds ratio",
    )  # fmt: skip


def _compare(
    data: pd.DataFrame,
    compare: Callable[[Counts, float], dict[str, float]],
    *,
    response: str,
    arm: str,
    reference: str,
    strata: str | list[str] | None,
    method: str,
    missing: Missing,
    conf_level: float,
    measure: str,
    extra: dict[str, Any] | None = None,
) -> Responders:
    require_conf_level(conf_level)
    by = [strata] if isinstance(strata, str) else list(strata or [])
    known = responses(data, response=response, arm=arm, strata=by, missing=missing)
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    rows, notes = [], list(known.notes)
    unknown = known.imputed if missing == "non-responder" else known.missing
    for level in compared_arms(data, arm, reference):
        whole = counts(known, arm=arm, level=level, reference=reference, strata=by)
        t = whole.both
        n1, n0, x1, x0 = (float(v.sum()) for v in (whole.n1, whole.n0, whole.x1, whole.x0))
        if len(t.n1) < len(whole.n1) and len(t.n1):
            outside = int((whole.n1 + whole.n0).sum() - (t.n1 + t.n0).sum())
            notes.append(
                f"{level}: {len(whole.n1) - len(t.n1)} stratum or strata with {outside} subjects "
                "have one arm only and do not count"
            )
        if len(t.n1):
            numbers = compare(t, z)
        else:
            numbers = _row(float("nan"), float("nan"), float("nan"))
            notes.append(f"{level}: {n1:.0f} subjects against {n0:.0f}; nothing to compare")
        if len(t.n1) and np.isnan([numbers["estimate"], numbers["conf_low"]]).any():
            notes.append(
                f"{level}: no limits of the {measure}; {x1:.0f} of {n1:.0f} respond against "
                f"{x0:.0f} of {n0:.0f}"
            )
        elif len(t.n1) and np.isnan(numbers["p_value"]):
            notes.append(f"{level}: no test; nobody or everybody responds in both arms")
        rows.append(
            {
                "arm": level, "reference": reference, **numbers,
                "n_arm": int(n1), "n_ref": int(n0),
                "responders_arm": int(x1), "responders_ref": int(x0),
                "rate_arm": x1 / n1 if n1 else float("nan"),
                "rate_ref": x0 / n0 if n0 else float("nan"),
                "missing_arm": unknown.get(str(level), 0),
                "missing_ref": unknown.get(str(reference), 0),
                "n_strata": len(t.n1), "method": method,
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    if table.empty:
        notes.append(f"no arm besides the reference {reference}")
    return Responders(
        table=table,
        nnt=_needed_to_treat(table) if measure == "risk difference" else None,
        text=_sentence(table, measure, conf_level),
        settings={
            "method": method, "measure": measure, "reference": reference, "strata": by,
            "missing": missing, "conf_level": conf_level, "response": response, "arm": arm,
            **(extra or {}),
        },
        notes=tuple(notes),
    )  # fmt: skip


def _row(
    estimate: float, low: float, high: float, *, error: float = float("nan"),
    statistic: float = float("nan"), p: float | None = None,
) -> dict[str, float]:  # fmt: skip
    value = float(2 * stats.norm.sf(abs(statistic))) if p is None else p
    return {
        "estimate": estimate, "std_error": error, "conf_low": low, "conf_high": high,
        "statistic": statistic, "p_value": value,
    }  # fmt: skip


def _wald(
    estimate: float, error: float, z: float, *, null: float = 0.0, logarithm: bool = False
) -> dict[str, float]:
    error = error if error > 0 else float("nan")  # no variation: no Wald limits
    statistic = (estimate - null) / error
    low, high = estimate - z * error, estimate + z * error
    if logarithm:
        estimate, low, high = (float(np.exp(v)) for v in (estimate, low, high))
    return _row(estimate, low, high, error=error, statistic=statistic)


def _cmh_p(t: Counts) -> float:
    """Chi-square p; one stratum uses n instead of n - 1, which is Pearson's."""
    value = strat.cmh_chi_square(t)
    if len(t.n1) == 1:
        n = float(t.n1[0] + t.n0[0])
        value = value * n / (n - 1) if n > 1 else float("nan")
    return float(stats.chi2.sf(value, 1))


def _needed_to_treat(table: pd.DataFrame) -> pd.DataFrame:
    columns = [
        "arm", "reference", "nnt", "direction", "benefit_low", "benefit_high", "harm_low",
        "harm_high",
    ]  # fmt: skip
    rows = []
    for row in table.to_dict("records"):
        estimate, low, high = row["estimate"], row["conf_low"], row["conf_high"]
        nan, inf = float("nan"), float("inf")
        limits = [nan, nan, nan, nan]
        if high > 0:
            limits[:2] = [1 / high, 1 / low if low > 0 else inf]
        if low < 0:
            limits[2:] = [-1 / low, -1 / high if high < 0 else inf]
        direction = "benefit" if estimate > 0 else "harm" if estimate < 0 else "none"
        size = 1 / abs(estimate) if estimate else inf
        rows.append([row["arm"], row["reference"], size, direction, *limits])
    return pd.DataFrame(rows, columns=columns)


def _sentence(table: pd.DataFrame, measure: str, conf_level: float) -> str:
    parts = []
    for row in table.to_dict("records"):
        sizes = ("estimate", "conf_low", "conf_high")
        scale, unit = (100, " percentage points") if measure == "risk difference" else (1, "")
        shown = interval_text(
            *(scale * row[name] for name in sizes), conf_level=conf_level, p=row["p_value"],
            form=".3g", unit=unit,
        )  # fmt: skip
        parts.append(
            f"{row['arm']} {row['responders_arm']}/{row['n_arm']} against {row['reference']} "
            f"{row['responders_ref']}/{row['n_ref']}: {measure} {shown}"
        )
    return "; ".join(parts) + "." if parts else f"No arm to compare ({measure})."
