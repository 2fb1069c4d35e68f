"""Ordinal endpoints and agreement beside other programs."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

import livertrack as lt
from livertrack.validation.references._data import trial, with_limits


def _odds() -> dict[str, float]:
    fit = lt.proportional_odds(trial(), "ACTIVE + AGE", outcome="STAGE1")
    row = fit.table.set_index("term").loc["ACTIVE"]
    return {
        "Log odds ratio, arm": row["estimate"], "Standard error": row["std_error"],
        "First cut point": fit.cut_points["estimate"].iloc[0],
        "Log-likelihood": fit.fit["loglik"].iloc[0],
    }  # fmt: skip


def _shifts() -> dict[str, float]:
    tests = lt.shift_table(trial(), baseline="STAGE0", value="STAGE1").tests
    tests = tests.set_index(["arm", "test"])["statistic"]
    return {
        f"{name}, Active": tests[("Active", name)] for name in ("Stuart-Maxwell", "Bowker")
    }  # fmt: skip


def _kappa() -> dict[str, float]:
    found: dict[str, float] = {}
    for weights, words in (
        ("none", "no weights"), ("linear", "linear"), ("quadratic", "quadratic")
    ):  # fmt: skip
        row = lt.weighted_kappa(
            trial(), rater_1="STAGE0", rater_2="STAGE1", weights=weights  # type: ignore[arg-type]
        ).table.iloc[0]  # fmt: skip
        found |= {f"Kappa, {words}": row["estimate"], f"Standard error, {words}": row["std_error"]}
    return found


def _readings() -> pd.DataFrame:
    return trial().melt(
        id_vars="USUBJID", value_vars=["RATER1", "RATER2", "RATER3"], var_name="RATER",
        value_name="AVAL",
    )  # fmt: skip


def _icc() -> dict[str, float]:
    found: dict[str, float] = {}
    for row in lt.icc(_readings(), rater="RATER").table.to_dict("records"):
        found |= with_limits(row["form"], row["estimate"], row["conf_low"], row["conf_high"])
    return found


def _limits() -> dict[str, float]:
    table = lt.bland_altman(trial(), method_1="RATER1", method_2="RATER2").table
    table = table.set_index("quantity")
    found: dict[str, float] = {}
    for words, quantity in (("Bias", "bias"), ("Upper limit of agreement", "upper limit")):
        row = table.loc[quantity]
        found |= with_limits(words, row["estimate"], row["conf_low"], row["conf_high"])
    return found


def _repeats() -> dict[str, float]:
    table = lt.repeatability(_readings(), by=None).table.set_index("quantity")
    row = table.loc["within_sd"]
    return {
        **with_limits("Within-subject SD", row["estimate"], row["conf_low"], row["conf_high"]),
        "Repeatability coefficient": table.loc["repeatability_coefficient", "estimate"],
        "Smallest real change": table.loc["smallest_real_change", "estimate"],
        "Within-subject CV": table.loc["within_cv", "estimate"],
    }


CHECKS: dict[str, Callable[[], dict[str, float]]] = {
    "lt.proportional_odds": _odds, "lt.shift_table": _shifts, "lt.weighted_kappa": _kappa,
    "lt.icc": _icc, "lt.bland_altman": _limits, "lt.repeatability": _repeats,
}  # fmt: skip
