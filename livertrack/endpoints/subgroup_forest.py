"""Effects in subgroups with tests of interaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from livertrack._results import Result
from livertrack.endpoints._checks import (
    ordered_levels,
    require_columns,
    require_conf_level,
    require_level,
    require_unique,
)
from livertrack.endpoints._events import event_times
from livertrack.endpoints._sentences import p_text
from livertrack.endpoints.cox import cox
from livertrack.endpoints.responders import risk_difference
from livertrack.errors import DataError, UsageError

Effect = Literal["mean difference", "risk difference", "hazard ratio"]


@dataclass(frozen=True, kw_only=True)
class SubgroupForest(Result):
    """One row per subgroup (``table``) and one test per factor (``interactions``)."""

    interactions: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("subgroup", "level", "arm")
    context: ClassVar[str] = "subgroup_forest"


def subgroup_forest(
    data: pd.DataFrame,
    *,
    subgroups: Sequence[str],
    effect: Effect,
    value: str = "CHG",
    time: str = "AVAL",
    censor: str = "CNSR",
    arm: str = "TRT01P",
    reference: str,
    conf_level: float = 0.95,
) -> SubgroupForest:
    """Compare the arms in every level of every factor.

    Parameters
    ----------
    data : DataFrame, one row per subject
    subgroups : sequence of str
        Columns with few levels (cut continuous ones first, by the plan).
    effect : {"mean difference", "risk difference", "hazard ratio"}
        Of ``value`` (any unit), of ``value`` as 0/1, of ``time`` and ``censor`` (0 = event).
    arm, reference : str
        Column, and the level the others are compared with.
    conf_level : float
        Of the limits, not adjusted for the number of subgroups.

    Returns
    -------
    SubgroupForest
        ``.table``: ``subgroup, level, arm, reference, estimate, conf_low, conf_high, p_value,
        n_arm, n_ref, method``; the first rows are all subjects (subgroup "Overall").
        ``.interactions``: ``subgroup, arm, statistic, df, p_value``: F test of arm x factor
        (mean difference), Cochran's Q over levels (risk difference), likelihood ratio of arm x
        factor (hazard ratio).

    Notes
    -----
    Denominator: subjects of the two arms with outcome and factor; those without the factor are
    in "Overall" only. Limits: pooled t within the subgroup; Miettinen-Nurminen; Wald on the log
    scale. A subgroup in which the effect cannot be estimated (empty arm, no event) is NaN, with
    a note; an interaction over fewer than two usable levels is NaN.
    Subgroups are read together: a difference in p between levels is no interaction.
    Source: Wang et al. (2007); Cochran (1954).
    Checked against: R 4.2 ``lm``, ``anova``, survival 3.5 ``coxph`` (tests/reference/subgroups.R).
    """
    require_conf_level(conf_level)
    if effect not in ("mean difference", "risk difference", "hazard ratio"):
        msg = f"effect is mean difference, risk difference or hazard ratio, got {effect!r}"
        raise UsageError(msg)
    outcome = [time, censor] if effect == "hazard ratio" else [value]
    require_columns(data, [*subgroups, *outcome, arm])
    require_level(data, arm, reference, what="reference")
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    kept = data.dropna(subset=[*outcome, arm])
    notes = []
    if len(kept) < len(data):
        notes.append(f"dropped {len(data) - len(kept)} of {len(data)} subjects: no outcome or arm")
    short = kept.rename(columns={arm: "ARM_"})
    compare = _COMPARE[effect]
    rows: list[dict[str, Any]] = []
    tests: list[dict[str, Any]] = []
    for level in [v for v in ordered_levels(kept[arm]) if v != reference]:
        pair = short[short["ARM_"].isin([level, reference])]
        pair = pair.assign(ARM_=(pair["ARM_"] == level).astype(int), Y_=pair[outcome[0]])
        if effect == "hazard ratio":
            event_times(pair, time=time, censor=censor)
            pair = pair.assign(C_=pair[censor])
        parts = [("Overall", "", pair)]
        for name in subgroups:
            parts += [
                (name, _label(v), pair[(pair[name] == v).to_numpy(dtype=bool)])
                for v in ordered_levels(pair[name])
            ]
        for name, label, part in parts:
            numbers = compare(part, conf_level)
            if np.isnan(numbers["estimate"]):
                notes.append(f"{level}, {name} {label}".strip() + ": no estimate")
            elif np.isnan(numbers["p_value"]):
                notes.append(f"{level}, {name} {label}".strip() + ": no variation, no test")
            rows.append(
                {
                    "subgroup": name, "level": label, "arm": level, "reference": reference,
                    **{k: v for k, v in numbers.items() if k != "std_error"},
                    "n_arm": int(part["ARM_"].sum()), "n_ref": int((part["ARM_"] == 0).sum()),
                    "method": effect,
                }
            )  # fmt: skip
        for name in subgroups:
            used = pair.dropna(subset=[name])
            used = used.assign(G_=used[name].astype(str))
            tests.append({"subgroup": name, "arm": level, **_INTERACTION[effect](used)})
            if np.isnan(tests[-1]["p_value"]):
                notes.append(f"{level}, {name}: no test of interaction; no two usable levels")
    table = pd.DataFrame(rows)
    interactions = pd.DataFrame(tests)
    shown = ", ".join(
        f"{r['arm']} by {r['subgroup']} {p_text(r['p_value'])}"
        for r in interactions.to_dict("records")
    )
    return SubgroupForest(
        table=table,
        interactions=interactions,
        text=f"Interaction of arm with subgroups ({effect}): {shown}.",
        settings={
            "method": effect, "subgroups": list(subgroups), "reference": reference,
            "conf_level": conf_level, "arm": arm, "outcome": outcome,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _label(level: object) -> str:
    whole = isinstance(level, float) and level.is_integer()
    return str(int(level)) if whole and isinstance(level, float) else str(level)


_NOTHING = {
    "estimate": float("nan"), "std_error": float("nan"), "conf_low": float("nan"),
    "conf_high": float("nan"), "p_value": float("nan"),
}  # fmt: skip
_NO_TEST = {"statistic": float("nan"), "df": 0, "p_value": float("nan")}


def _mean_difference(part: pd.DataFrame, conf_level: float) -> dict[str, float]:
    y, is_arm = part["Y_"].to_numpy(float), part["ARM_"].to_numpy(bool)
    a, b = y[is_arm], y[~is_arm]
    df = len(y) - 2
    if not len(a) or not len(b) or df < 1:
        return _NOTHING
    pooled = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / df
    error = float(np.sqrt(pooled * (1 / len(a) + 1 / len(b))))
    estimate = float(a.mean() - b.mean())
    half = float(stats.t.ppf((1 + conf_level) / 2, df)) * error
    if error <= 1e-12 * float(np.abs(y).max()):  # nothing but rounding
        return {**_NOTHING, "estimate": estimate}
    p = float(2 * stats.t.sf(abs(estimate / error), df))
    return {
        "estimate": estimate, "std_error": error, "conf_low": estimate - half,
        "conf_high": estimate + half, "p_value": p,
    }  # fmt: skip


def _risk_difference(part: pd.DataFrame, conf_level: float) -> dict[str, float]:
    if part["ARM_"].nunique() < 2:
        return _NOTHING
    named = pd.DataFrame({"Y": part["Y_"], "ARM": part["ARM_"].map({1: "arm", 0: "reference"})})
    row = risk_difference(
        named, response="Y", arm="ARM", reference="reference", conf_level=conf_level
    ).table.iloc[0]
    p1, p0 = row["rate_arm"], row["rate_ref"]
    error = np.sqrt(p1 * (1 - p1) / row["n_arm"] + p0 * (1 - p0) / row["n_ref"])
    return {**{k: float(row[k]) for k in _NOTHING}, "std_error": float(error)}


def _hazard_ratio(part: pd.DataFrame, conf_level: float) -> dict[str, float]:
    try:
        row = cox(part, "ARM_", time="Y_", censor="C_", conf_level=conf_level).table.iloc[0]
    except DataError:
        return _NOTHING
    return {
        "estimate": float(row["hazard_ratio"]), "std_error": float(row["std_error"]),
        "conf_low": float(row["hazard_ratio_low"]), "conf_high": float(row["hazard_ratio_high"]),
        "p_value": float(row["p_value"]),
    }  # fmt: skip


def _f_test(used: pd.DataFrame) -> dict[str, float]:
    cells = used.groupby("G_")["ARM_"].nunique()
    used = used[used["G_"].isin(cells.index[cells == 2])]
    if (cells == 2).sum() < 2 or len(used) <= 2 * (cells == 2).sum():
        return dict(_NO_TEST)
    small, large = (ols(f"Y_ ~ ARM_ {sign} C(G_)", used).fit() for sign in ("+", "*"))
    if large.ssr <= 1e-24 * (used["Y_"].to_numpy(float) ** 2).sum():  # nothing but rounding
        return dict(_NO_TEST)
    line = anova_lm(small, large).iloc[1]
    return {
        "statistic": float(line["F"]), "df": int(line["df_diff"]),
        "p_value": float(line["Pr(>F)"]),
    }  # fmt: skip


def _cochran(used: pd.DataFrame) -> dict[str, float]:
    found = [_risk_difference(part, 0.95) for _, part in used.groupby("G_")]
    usable = [f for f in found if f["std_error"] > 0]
    if len(usable) < 2:
        return dict(_NO_TEST)
    d = np.array([f["estimate"] for f in usable])
    w = np.array([1 / f["std_error"] ** 2 for f in usable])
    q, df = float((w * (d - (w @ d) / w.sum()) ** 2).sum()), len(d) - 1
    return {"statistic": q, "df": df, "p_value": float(stats.chi2.sf(q, df))}


def _likelihood_ratio(used: pd.DataFrame) -> dict[str, float]:
    if used["G_"].nunique() < 2:
        return dict(_NO_TEST)
    try:
        small, large = (
            cox(used, f"ARM_ {sign} G_", time="Y_", censor="C_") for sign in ("+", "*")
        )
    except DataError:
        return dict(_NO_TEST)
    statistic = 2 * float(large.fit["loglik"].iloc[0] - small.fit["loglik"].iloc[0])
    df = len(large.table) - len(small.table)
    return {"statistic": statistic, "df": df, "p_value": float(stats.chi2.sf(statistic, df))}


_COMPARE: dict[str, Callable[[pd.DataFrame, float], dict[str, float]]] = {
    "mean difference": _mean_difference,
    "risk difference": _risk_difference,
    "hazard ratio": _hazard_ratio,
}
_INTERACTION: dict[str, Callable[[pd.DataFrame], dict[str, float]]] = {
    "mean difference": _f_test,
    "risk difference": _cochran,
    "hazard ratio": _likelihood_ratio,
}
