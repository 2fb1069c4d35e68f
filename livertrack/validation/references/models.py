"""Models of change beside other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack.endpoints._rubin import pool
from livertrack.validation.references._data import trial, with_limits


def _ancova() -> dict[str, float]:
    common: dict[str, Any] = {"arm": "TRT01P", "reference": "Placebo"}
    fit = lt.ancova(trial(), "CHG ~ BASE + STRATUM + TRT01P", **common)
    robust = lt.ancova(trial(), "CHG ~ BASE + STRATUM + TRT01P", **common, vcov="HC3")
    means, row = fit.lsmeans.set_index("TRT01P"), fit.contrasts.iloc[0]
    return {
        "LS mean, Active": means.loc["Active", "estimate"],
        "LS mean, Placebo": means.loc["Placebo", "estimate"],
        "Standard error of the LS mean, Active": means.loc["Active", "std_error"],
        **with_limits("Difference", row["estimate"], row["conf_low"], row["conf_high"]),
        "Standard error": row["std_error"], "Degrees of freedom": row["df"], "p": row["p_value"],
        "Standard error, HC3": robust.contrasts["std_error"].iloc[0],
    }  # fmt: skip


def _visits() -> pd.DataFrame:
    long = trial().melt(
        id_vars=["USUBJID", "TRT01P", "BASE"], value_vars=["CHG12", "CHG24", "CHG48"],
        var_name="AVISIT", value_name="AVAL",
    )  # fmt: skip
    return long.assign(AVISIT=long["AVISIT"].str.replace("CHG", "Week "))


def _mmrm() -> dict[str, float]:
    data = _visits()
    found: dict[str, float] = {}
    for structure, df, words in (
        ("us", "kenward-roger", "Kenward-Roger"), ("us", "satterthwaite", "Satterthwaite"),
        ("cs", "satterthwaite", "Satterthwaite"), ("ar1h", "satterthwaite", "Satterthwaite"),
        ("toep", "satterthwaite", "Satterthwaite"),
    ):  # fmt: skip
        formula = f"AVAL ~ BASE * AVISIT + TRT01P * AVISIT + {structure}(AVISIT | USUBJID)"
        fit = lt.mmrm(data, formula, df=df)  # type: ignore[arg-type]
        row = fit.contrasts(arm="TRT01P", reference="Placebo", by=["AVISIT"]).iloc[-1]
        found |= {
            f"Standard error at week 48, {structure}, {words}": row["std_error"],
            f"Degrees of freedom, {structure}, {words}": row["df"],
            f"Difference at week 48, {structure}": row["estimate"],
            f"-2 REML log-likelihood, {structure}": -2 * fit.loglik,
        }  # fmt: skip
    return found


def _power() -> dict[str, float]:
    power = lt.power(sd=1.1, effect=0.8, n_ref=30).table["power"].iloc[0]
    size = lt.power(sd=1.1, effect=0.8, power=0.9).table["n_ref"].iloc[0]
    return {"Power, 30 v 30, 0.8 with SD 1.1": power, "Subjects per arm for 90 %": size}


def _mean() -> dict[str, float]:
    data = trial().assign(PARAMCD="TV01", AVISIT="Week 48", AVAL=lambda d: d["CHG"])
    table = lt.signature_summary(data.drop(columns="CHG")).table
    row = table[table["arm"] == "Active"].iloc[0]
    return with_limits("Mean", row["mean"], row["conf_low"], row["conf_high"])


def _pooled() -> dict[str, float]:
    estimates, variances = [1.2, 0.9, 1.5, 1.1, 1.3], [0.04, 0.05, 0.045, 0.05, 0.04]
    pooled = pool(np.array(estimates), np.array(variances), df_complete=58.0)
    return {
        "Pooled estimate": float(pooled.estimate),
        "Pooled standard error": float(pooled.std_error), "Degrees of freedom": float(pooled.df),
    }  # fmt: skip


def _subgroups() -> dict[str, float]:
    data = trial()
    common: dict[str, Any] = {"subgroups": ["STRATUM"], "reference": "Placebo"}
    means = lt.subgroup_forest(data, **common, effect="mean difference")
    hazards = lt.subgroup_forest(data, **common, effect="hazard ratio", time="TIME")
    part = means.table[means.table["level"] == "diabetes"].iloc[0]
    test, ratio = means.interactions.iloc[0], hazards.interactions.iloc[0]
    return {
        "F of the interaction": test["statistic"], "p of the interaction": test["p_value"],
        "Difference with diabetes, lower limit": part["conf_low"],
        "Difference with diabetes, upper limit": part["conf_high"],
        "Likelihood ratio of the interaction, hazard": ratio["statistic"],
        "p of the interaction, hazard": ratio["p_value"],
    }  # fmt: skip


CHECKS: dict[str, Callable[[], dict[str, float]]] = {
    "lt.ancova": _ancova, "lt.mmrm": _mmrm, "lt.power": _power, "lt.signature_summary": _mean,
    "lt.impute": _pooled, "lt.subgroup_forest": _subgroups,
}  # fmt: skip
