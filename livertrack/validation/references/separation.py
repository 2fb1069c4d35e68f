"""Effect sizes, compositions, flows and multiple tests beside other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack.validation.references._data import flows, trial, with_limits

_PARTS = [f"TV{number:02d}" for number in range(1, 6)]


def _separation() -> dict[str, float]:
    common: dict[str, Any] = {"reference": "Placebo", "n_boot": 0, "seed": 1}
    row = lt.separation(trial(), **common, covariates=["AGE"], strata="STRATUM").table.iloc[0]
    null = lt.separation(trial(), **common, delta_variance="null").table.iloc[0]
    return {
        **with_limits("Hedges g", row["g"], row["g_low"], row["g_high"]),
        **with_limits("Glass's delta", row["glass_delta"], row["glass_low"], row["glass_high"]),
        "Cliff's delta": row["cliffs_delta"],
        "Cliff's delta, null variance, lower limit": null["delta_low"],
        "Cliff's delta, null variance, upper limit": null["delta_high"],
        **with_limits("AUC", row["auc"], row["auc_low"], row["auc_high"]),
        **with_limits(
            "Adjusted superiority", row["superiority"], row["superiority_low"],
            row["superiority_high"],
        ),
    }  # fmt: skip


def _compare() -> dict[str, float]:
    table = lt.compare_separation(
        trial(), values=["CHG", "ALT"], reference="Placebo", n_boot=0, seed=1,
        direction={"CHG": "lower", "ALT": "lower"},
    ).table  # fmt: skip
    row = table[table["metric"] == "auc_delong"].iloc[0]
    return {
        "AUC of the change": row["estimate_1"], "AUC of ALT": row["estimate_2"],
        "Difference, lower limit": row["conf_low"], "Difference, upper limit": row["conf_high"],
        "p of the difference": row["p_value"],
    }  # fmt: skip


def _pathways() -> dict[str, float]:
    table = lt.change_pathways(
        flows(), reference="Placebo", n_perm=None, seed=1, min_prevalence=0.0
    ).table.set_index(["from_type", "to_type"])
    return {
        "Welch t, 1 to 2": table.loc[(1, 2), "statistic"],
        "p, 1 to 2": table.loc[(1, 2), "p_value"],
        "Adjusted p, 1 to 2": table.loc[(1, 2), "p_adjusted"],
        "Adjusted p, 2 to 3": table.loc[(2, 3), "p_adjusted"],
    }  # fmt: skip


def _max_t() -> dict[str, float]:
    data = flows()
    data = data[data["FROMTYPE"] != data["TOTYPE"]]
    name = data["FROMTYPE"].astype(str) + " to " + data["TOTYPE"].astype(str)
    wide = data.assign(NAME=name).pivot_table(
        "AVAL", ["USUBJID", "TRT01P"], "NAME", observed=True
    )  # fmt: skip
    table = lt.max_t(
        wide.reset_index(), values=list(wide.columns), reference="Placebo", n_perm=None, seed=1
    ).table.set_index("value")
    return {
        "Welch t, 1 to 2": table.loc["1 to 2", "statistic"],
        "p, 1 to 2": table.loc["1 to 2", "p_value"],
        "Adjusted p, 1 to 2": table.loc["1 to 2", "p_adjusted"],
        "Adjusted p, 2 to 3": table.loc["2 to 3", "p_adjusted"],
    }  # fmt: skip


def _adjusted() -> dict[str, float]:
    p = [0.0011, 0.0123, 0.0245, 0.0311, 0.21, 0.48]
    found: dict[str, float] = {}
    for method in ("bonferroni", "holm", "hochberg", "hommel", "BH", "BY"):
        values = np.asarray(lt.adjust_pvalues(p, method))
        found |= {f"{method}, second p": values[1], f"{method}, fourth p": values[3]}
    return found


def _looks() -> dict[str, float]:
    bounds = lt.group_sequential((0.4, 0.7, 1.0), alpha=0.025).table["boundary"]
    return {
        f"O'Brien-Fleming, one-sided, look {look}": value for look, value in enumerate(bounds, 1)
    }


def _clr() -> dict[str, float]:
    shares: pd.DataFrame = lt.clr(trial(), parts=_PARTS).table
    return {
        "TV03 of the first subject": shares["TV03"].iloc[0],
        "TV05 of the last subject": shares["TV05"].iloc[-1],
    }


def _distance() -> dict[str, float]:
    distance = lt.aitchison_distance(trial(), parts=_PARTS).to_numpy()
    return {
        "First to second subject": distance[0, 1], "First to last subject": distance[0, -1],
    }  # fmt: skip


def _permanova() -> dict[str, float]:
    common: dict[str, Any] = {"parts": _PARTS, "n_perm": 1, "seed": 1}
    aitchison = lt.permanova(trial(), **common)
    bray = lt.permanova(trial(), **common, metric="braycurtis")
    return {
        "Pseudo F, Aitchison": aitchison.table["statistic"].iloc[0],
        "R squared, Aitchison": aitchison.table["r_squared"].iloc[0],
        "Pseudo F, Bray-Curtis": bray.table["statistic"].iloc[0],
        "F of the dispersion": aitchison.dispersion["statistic"].iloc[0],
    }


def _regression() -> dict[str, float]:
    fit = lt.composition_regression(trial(), parts=_PARTS, reference="Placebo", covariates="AGE")
    row = fit.table.set_index("part").loc["TV03"]
    joint = fit.tests.iloc[0]
    return {
        **with_limits("Difference of TV03", row["estimate"], row["conf_low"], row["conf_high"]),
        "F of all parts": joint["f_statistic"], "p of all parts": joint["p_value"],
    }  # fmt: skip


CHECKS: dict[str, Callable[[], dict[str, float]]] = {
    "lt.separation": _separation, "lt.compare_separation": _compare,
    "lt.change_pathways": _pathways, "lt.max_t": _max_t, "lt.adjust_pvalues": _adjusted,
    "lt.group_sequential": _looks, "lt.clr": _clr, "lt.aitchison_distance": _distance,
    "lt.permanova": _permanova, "lt.composition_regression": _regression,
}  # fmt: skip
