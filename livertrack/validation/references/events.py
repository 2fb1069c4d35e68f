"""Events, and what is won by them, beside other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import livertrack as lt
from livertrack.validation.references._data import recurrences, trial

_TIME: dict[str, Any] = {"time": "TIME", "censor": "CNSR"}


def _curve() -> dict[str, float]:
    result = lt.kaplan_meier(trial(), **_TIME, times=[6, 18])
    at = result.at_risk.set_index(["arm", "time"])
    middle = result.table.set_index("arm").loc["Placebo"]
    return {
        "Survival at 6, Active": at.loc[("Active", 6), "estimate"],
        "Survival at 6, Active, lower limit": at.loc[("Active", 6), "conf_low"],
        "Survival at 6, Active, upper limit": at.loc[("Active", 6), "conf_high"],
        "Survival at 18, Placebo": at.loc[("Placebo", 18), "estimate"],
        "Median, Placebo": middle["median"], "Median, Placebo, lower limit": middle["conf_low"],
    }  # fmt: skip


def _log_rank() -> dict[str, float]:
    plain = lt.log_rank(trial(), **_TIME).table
    strata = lt.log_rank(trial(), **_TIME, strata="STRATUM").table
    return {
        "Chi-square": plain["statistic"].iloc[0],
        "Chi-square in strata": strata["statistic"].iloc[0],
    }


def _cox() -> dict[str, float]:
    found: dict[str, float] = {}
    for ties in ("breslow", "efron"):
        fit = lt.cox(trial(), "ACTIVE + AGE", **_TIME, ties=ties)  # type: ignore[arg-type]
        row = fit.table.set_index("term").loc["ACTIVE"]
        found |= {
            f"Log hazard ratio, {ties}": row["estimate"],
            f"Standard error, {ties}": row["std_error"],
            f"Log partial likelihood, {ties}": fit.fit["loglik"].iloc[0],
        }
    tests = fit.proportional_hazards.set_index("term")["statistic"]
    return found | {
        "Proportional hazards, arm": tests["ACTIVE"],
        "Proportional hazards, global": tests["GLOBAL"],
    }


def _restricted() -> dict[str, float]:
    result = lt.rmst(trial(), **_TIME, reference="Placebo", tau=24)
    means = result.table.set_index("arm")
    row = result.contrasts.set_index("measure").loc["difference"]
    return {
        "Restricted mean to 24, Active": means.loc["Active", "estimate"],
        "Standard error, Active": means.loc["Active", "std_error"],
        "Restricted mean to 24, Placebo": means.loc["Placebo", "estimate"],
        "Difference": row["estimate"], "Standard error of the difference": row["std_error"],
    }  # fmt: skip


def _causes() -> dict[str, float]:
    result = lt.cumulative_incidence(trial(), **_TIME, at=18)
    strata = lt.cumulative_incidence(trial(), **_TIME, at=18, strata="STRATUM")
    table = result.table.set_index(["arm", "cause"])
    tests = result.tests.set_index("cause")["statistic"]
    return {
        "Progression by 18, Active": table.loc[("Active", "progression"), "estimate"],
        "Standard error, progression by 18, Active": table.loc[
            ("Active", "progression"), "std_error"
        ],
        "Transplant by 18, Placebo": table.loc[("Placebo", "transplant"), "estimate"],
        "Gray's test, progression": tests["progression"],
        "Gray's test, transplant": tests["transplant"],
        "Gray's test in strata, progression": strata.tests.set_index("cause")["statistic"][
            "progression"
        ],
    }


def _subdistribution() -> dict[str, float]:
    fit = lt.fine_gray(trial(), "ACTIVE + AGE", **_TIME, event="progression")
    row = fit.table.set_index("term").loc["ACTIVE"]
    return {
        "Log subdistribution hazard ratio": row["estimate"], "Standard error": row["std_error"],
    }  # fmt: skip


def _recurrent() -> dict[str, float]:
    result = lt.recurrent_events(recurrences(), reference="Placebo")
    table = result.table.set_index("model")
    fit = result.fit.set_index("model")
    return {
        "Log rate ratio, Andersen-Gill": table.loc["Andersen-Gill", "estimate"],
        "Standard error, Andersen-Gill": table.loc["Andersen-Gill", "std_error"],
        "Log rate ratio, negative binomial": table.loc["negative binomial", "estimate"],
        "Dispersion": fit.loc["negative binomial", "dispersion"],
    }


def _wins() -> dict[str, float]:
    table = lt.win_ratio(
        trial(), reference="Placebo",
        hierarchy=[
            lt.Outcome("event", time="TIME", censor="CNSR"),
            lt.Outcome("change", value="CHG", better="lower"),
        ],
    ).table.set_index("measure")  # fmt: skip
    return {
        "Win ratio": table.loc["win_ratio", "estimate"],
        "Standard error of its logarithm": table.loc["win_ratio", "std_error"],
        "Net benefit": table.loc["net_benefit", "estimate"],
        "Win odds": table.loc["win_odds", "estimate"],
    }


CHECKS: dict[str, Callable[[], dict[str, float]]] = {
    "lt.kaplan_meier": _curve, "lt.log_rank": _log_rank, "lt.cox": _cox, "lt.rmst": _restricted,
    "lt.cumulative_incidence": _causes, "lt.fine_gray": _subdistribution,
    "lt.recurrent_events": _recurrent, "lt.win_ratio": _wins,
}  # fmt: skip
