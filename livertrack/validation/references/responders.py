"""Responder endpoints beside other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

import livertrack as lt
from livertrack.validation.references._data import trial, with_limits

_COMMON: dict[str, Any] = {"response": "RESPONSE", "reference": "Placebo"}


def _named(name: str, row: pd.Series) -> dict[str, float]:
    return with_limits(name, row["estimate"], row["conf_low"], row["conf_high"])


def _difference() -> dict[str, float]:
    data = trial()
    score = lt.risk_difference(data, **_COMMON)
    row, needed = score.table.iloc[0], score.nnt.iloc[0]
    newcombe = lt.risk_difference(data, **_COMMON, method="newcombe").table.iloc[0]
    strata = {
        name: lt.risk_difference(data, **_COMMON, strata="STRATUM", method=method).table.iloc[0]
        for name, method in (
            ("Miettinen-Nurminen", "miettinen-nurminen"), ("Mantel-Haenszel", "mantel-haenszel"),
        )
    }  # type: ignore[arg-type]  # fmt: skip
    return {
        **_named("Difference, Miettinen-Nurminen", row), "p, Miettinen-Nurminen": row["p_value"],
        "Number needed to treat": needed["nnt"],
        "Number needed to treat, lower limit": needed["benefit_low"],
        "Difference, Newcombe, lower limit": newcombe["conf_low"],
        "Difference, Newcombe, upper limit": newcombe["conf_high"],
        **_named("Difference over strata, Miettinen-Nurminen", strata["Miettinen-Nurminen"]),
        **_named("Difference over strata, Mantel-Haenszel", strata["Mantel-Haenszel"]),
    }  # fmt: skip


def _ratio() -> dict[str, float]:
    data = trial()
    row = lt.risk_ratio(data, **_COMMON, method="miettinen-nurminen").table.iloc[0]
    strata = lt.risk_ratio(data, **_COMMON, strata="STRATUM").table.iloc[0]
    return {
        "Ratio": row["estimate"], "Ratio, Miettinen-Nurminen, lower limit": row["conf_low"],
        "Ratio, Miettinen-Nurminen, upper limit": row["conf_high"],
        **_named("Ratio over strata, Mantel-Haenszel", strata),
    }  # fmt: skip


def _odds() -> dict[str, float]:
    data = trial()
    strata = lt.odds_ratio(data, **_COMMON, strata="STRATUM").table.iloc[0]
    exact = lt.odds_ratio(data, **_COMMON, method="exact").table.iloc[0]
    return {
        **_named("Odds ratio over strata, Mantel-Haenszel", strata),
        **_named("Odds ratio, exact", exact), "p, exact": exact["p_value"],
    }  # fmt: skip


def _cmh() -> dict[str, float]:
    data = trial()
    response = lt.cmh_test(data, response="RESPONSE", strata="STRATUM").table
    stage = lt.cmh_test(data, response="STAGE1", strata="STRATUM").table
    found: dict[str, float] = {}
    for words, table, kind in (
        ("response by arm in strata", response, "general"),
        ("stage, general", stage, "general"), ("stage, row means", stage, "row means"),
    ):  # fmt: skip
        row = table[table["alternative"] == kind].iloc[0]
        found |= {f"Chi-square, {words}": row["statistic"], f"p, {words}": row["p_value"]}
    return found


def _standardised() -> dict[str, float]:
    table = lt.g_computation(trial(), **_COMMON, covariates="BASE + STRATUM").table
    table = table.set_index("measure")
    return {
        "Marginal risk difference": table.loc["risk difference", "estimate"],
        "Standard error, risk difference": table.loc["risk difference", "std_error"],
        "Marginal risk ratio": table.loc["risk ratio", "estimate"],
    }


CHECKS: dict[str, Callable[[], dict[str, float]]] = {
    "lt.risk_difference": _difference, "lt.risk_ratio": _ratio, "lt.odds_ratio": _odds,
    "lt.cmh_test": _cmh, "lt.g_computation": _standardised,
}  # fmt: skip
