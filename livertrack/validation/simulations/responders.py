"""Simulations of responder endpoints: differences, ratios, odds, stratified and adjusted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import REFERENCE, is_active, row, two_arms

FAMILY = "Responders"


@cache
def _of_table(n_arm: int, n_ref: int, hits_arm: int, hits_ref: int) -> dict[str, Any]:
    """Rows of every method for one 2 x 2 table; the same tables come up again and again."""
    active = is_active(n_arm, n_ref)
    place = np.where(active, np.arange(n_arm + n_ref), np.arange(n_arm + n_ref) - n_arm)
    data = two_arms(
        n_arm, n_ref, RESPONSE=(place < np.where(active, hits_arm, hits_ref)).astype(int)
    )
    common: Any = {"response": "RESPONSE", "reference": REFERENCE}
    score = lt.risk_difference(data, **common)
    return {
        "rd mn": score.table.iloc[0], "nnt": score.nnt.iloc[0],
        "rd newcombe": lt.risk_difference(data, **common, method="newcombe").table.iloc[0],
        "rr mn": lt.risk_ratio(data, **common, method="miettinen-nurminen").table.iloc[0],
        "rr": lt.risk_ratio(data, **common).table.iloc[0],
        "or": lt.odds_ratio(data, **common).table.iloc[0],
        "or exact": lt.odds_ratio(data, **common, method="exact").table.iloc[0],
        "cmh": row(lt.cmh_test(data, response="RESPONSE").table, alternative="general"),
    }  # fmt: skip


def _two_by_two(rng: np.random.Generator, *, n: int, arm: float, ref: float) -> Outcome:
    found = _of_table(n, n, int(rng.binomial(n, arm)), int(rng.binomial(n, ref)))
    truth = {
        "rd mn": arm - ref, "rd newcombe": arm - ref, "rr mn": arm / ref, "rr": arm / ref,
        "or": arm * (1 - ref) / (ref * (1 - arm)), "or exact": arm * (1 - ref) / (ref * (1 - arm)),
    }  # fmt: skip
    outcome = {
        key: covers(found[key]["conf_low"], found[key]["conf_high"], value)
        for key, value in truth.items()
    }
    outcome["nnt"] = _holds_nnt(found["nnt"], arm - ref)
    for key in ("rd mn", "or exact", "cmh"):
        outcome[f"{key} test"] = rejects(found[key]["p_value"])
    return outcome


def _holds_nnt(found: Mapping[str, Any], difference: float) -> float:
    """Whether the one or two intervals of the number needed to treat hold the truth."""
    side = "benefit" if difference > 0 else "harm"
    low, high = found[f"{side}_low"], found[f"{side}_high"]
    return float(not np.isnan(low) and low <= 1 / abs(difference) <= high)


def _stratified(rng: np.random.Generator, *, sizes: tuple[int, ...], difference: float) -> Outcome:
    """Strata of ``sizes`` per arm with reference rates 0.2, 0.35, 0.5."""
    rates = np.array([0.2, 0.35, 0.5])[: len(sizes)]
    strata = np.concatenate([np.repeat(np.arange(len(sizes)), sizes)] * 2)
    n = sum(sizes)
    p = rates[strata] + difference * is_active(n, n)
    data = two_arms(n, n, STRATUM=strata, RESPONSE=(rng.random(2 * n) < p).astype(int))
    common: Any = {"response": "RESPONSE", "reference": REFERENCE, "strata": "STRATUM"}
    outcome: dict[str, float] = {}
    for key in ("mantel-haenszel", "miettinen-nurminen", "newcombe"):
        found = lt.risk_difference(data, **common, method=key).table.iloc[0]
        outcome[key] = covers(found["conf_low"], found["conf_high"], difference)
        outcome[f"{key} test"] = rejects(found["p_value"])
    cmh = row(
        lt.cmh_test(data, response="RESPONSE", strata="STRATUM").table, alternative="general"
    )
    outcome["cmh test"] = rejects(cmh["p_value"])
    return outcome


def _common_ratio(rng: np.random.Generator, *, sizes: tuple[int, ...]) -> Outcome:
    """Strata with a common risk ratio 1.6, and others with a common odds ratio 2.5."""
    strata = np.concatenate([np.repeat(np.arange(len(sizes)), sizes)] * 2)
    n = sum(sizes)
    active = is_active(n, n)
    base = np.array([0.2, 0.35, 0.5])[: len(sizes)][strata]
    odds = base / (1 - base) * np.where(active, 2.5, 1.0)
    by_ratio, by_odds = base * np.where(active, 1.6, 1.0), odds / (1 + odds)
    data = two_arms(
        n, n, STRATUM=strata, RATIO=(rng.random(2 * n) < by_ratio).astype(int),
        ODDS=(rng.random(2 * n) < by_odds).astype(int),
    )  # fmt: skip
    rr = lt.risk_ratio(data, response="RATIO", reference=REFERENCE, strata="STRATUM").table.iloc[0]
    odds_row = lt.odds_ratio(data, response="ODDS", reference=REFERENCE, strata="STRATUM")
    found = odds_row.table.iloc[0]
    return {
        "rr": covers(rr["conf_low"], rr["conf_high"], 1.6),
        "or": covers(found["conf_low"], found["conf_high"], 2.5),
    }


@cache
def _marginal_risks(slope: float, effect: float) -> tuple[float, float]:
    """Risks averaged over a standard normal covariate: active, reference."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    share = weights / weights.sum()
    arm, ref = (float(share @ expit(-0.6 + slope * nodes + e)) for e in (effect, 0.0))
    return arm, ref


def _adjusted(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    """Logistic in the baseline (slope 1) and in the arm."""
    active = is_active(n, n)
    base = rng.normal(size=2 * n)
    p = expit(-0.6 + base + effect * active)
    data = two_arms(n, n, BASE=base, RESPONSE=(rng.random(2 * n) < p).astype(int))
    table = lt.g_computation(data, response="RESPONSE", reference=REFERENCE, covariates="BASE")
    arm, ref = _marginal_risks(1.0, effect)
    outcome = {}
    for measure, truth in (("risk difference", arm - ref), ("risk ratio", arm / ref)):
        found = row(table.table, measure=measure)
        outcome[measure] = covers(found["conf_low"], found["conf_high"], truth)
        outcome[f"{measure} test"] = rejects(found["p_value"])
    return outcome


def _ordinal_cmh(rng: np.random.Generator, *, n: int) -> Outcome:
    strata = np.arange(2 * n) % 3
    grade = np.minimum(rng.poisson(1.0 + 0.3 * strata), 3)
    data: pd.DataFrame = two_arms(n, n, STRATUM=strata, GRADE=grade)
    table = lt.cmh_test(data, response="GRADE", strata="STRATUM").table
    return {
        key: rejects(row(table, alternative=key)["p_value"])
        for key in ("correlation", "row means", "general")
    }


_TABLE = {
    "rd mn": ("lt.risk_difference", "Risk difference, Miettinen-Nurminen"),
    "rd newcombe": ("lt.risk_difference", "Risk difference, Newcombe"),
    "nnt": ("lt.risk_difference", "Number needed to treat, from Miettinen-Nurminen"),
    "rr mn": ("lt.risk_ratio", "Risk ratio, Miettinen-Nurminen"),
    "rr": ("lt.risk_ratio", "Risk ratio, log"),
    "or": ("lt.odds_ratio", "Odds ratio, log"),
    "or exact": ("lt.odds_ratio", "Odds ratio, exact"),
}


_WIDE = (
    "Wald limits of the logarithm are a little too wide with few events, those of Miettinen and "
    "Nurminen for the ratio of risks are not."
)


def _table_claims(**notes: str) -> tuple[Claim, ...]:
    return tuple(
        Claim(
            key=key, method=method, quantity=quantity, note=notes.get(key.replace(" ", "_"), ""),
            bound="at least" if key == "or exact" else "equal",
        )
        for key, (method, quantity) in _TABLE.items()
    )  # fmt: skip


def _test(key: str, method: str, quantity: str, **more: Any) -> Claim:
    return Claim(
        key=f"{key} test", method=method, quantity=quantity, kind="type I error", nominal=0.05,
        **more,
    )  # fmt: skip


_NULL = (
    _test("rd mn", "lt.risk_difference", "Score test of the risk difference"),
    _test("cmh", "lt.cmh_test", "Cochran-Mantel-Haenszel, one stratum"),
    _test("or exact", "lt.odds_ratio", "Exact test of the odds ratio", bound="at most"),
)
_STRATA = {
    "mantel-haenszel": "Risk difference over strata, Mantel-Haenszel",
    "miettinen-nurminen": "Risk difference over strata, Miettinen-Nurminen",
    "newcombe": "Risk difference over strata, Newcombe",
}

SCENARIOS = (
    Scenario(
        name="two by two, 25", family=FAMILY, n=10_000,
        setting="25 v 25 subjects, response 50 % v 20 %",
        draw=partial(_two_by_two, n=25, arm=0.5, ref=0.2),
        claims=_table_claims(rr=_WIDE, **{"or": _WIDE}),
    ),
    Scenario(
        name="two by two, 75", family=FAMILY, n=5000,
        setting="75 v 75 subjects, response 51 % v 14 %",
        draw=partial(_two_by_two, n=75, arm=0.51, ref=0.14), claims=_table_claims(),
    ),
    Scenario(
        name="two by two, null", family=FAMILY, n=10_000,
        setting="40 v 40 subjects, response 30 % in both arms",
        draw=partial(_two_by_two, n=40, arm=0.3, ref=0.3 + 1e-12), claims=_NULL,
    ),
    Scenario(
        name="strata, difference", family=FAMILY, n=500,
        setting="60 v 60 subjects in three strata, reference 20, 35, 50 %, difference 20 points",
        draw=partial(_stratified, sizes=(20, 25, 15), difference=0.2),
        claims=tuple(
            Claim(key=key, method="lt.risk_difference", quantity=quantity)
            for key, quantity in _STRATA.items()
        ),
    ),
    Scenario(
        name="strata, null", family=FAMILY,
        setting="60 v 60 subjects in three strata, 20, 35, 50 % in both arms",
        draw=partial(_stratified, sizes=(20, 25, 15), difference=0.0),
        claims=(
            *(_test(key, "lt.risk_difference", f"{quantity}, test")
              for key, quantity in _STRATA.items()),
            _test("cmh", "lt.cmh_test", "Cochran-Mantel-Haenszel, three strata"),
        ),
    ),
    Scenario(
        name="strata, ratios", family=FAMILY,
        setting="60 v 60 subjects in three strata, common risk ratio 1.6, common odds ratio 2.5",
        draw=partial(_common_ratio, sizes=(20, 25, 15)),
        claims=(
            Claim(key="rr", method="lt.risk_ratio", quantity="Risk ratio, Mantel-Haenszel"),
            Claim(key="or", method="lt.odds_ratio", quantity="Odds ratio, Mantel-Haenszel"),
        ),
    ),
    Scenario(
        name="g-computation, effect", family=FAMILY,
        setting="60 v 60 subjects, logistic in a baseline covariate, log odds ratio 0.9",
        draw=partial(_adjusted, n=60, effect=0.9),
        claims=tuple(
            Claim(key=key, method="lt.g_computation", quantity=f"Marginal {key}")
            for key in ("risk difference", "risk ratio")
        ),
    ),
    Scenario(
        name="g-computation, null", family=FAMILY,
        setting="60 v 60 subjects, logistic in a baseline covariate, arms alike",
        draw=partial(_adjusted, n=60, effect=0.0),
        claims=(_test("risk difference", "lt.g_computation", "Marginal risk difference, test"),),
    ),
    Scenario(
        name="ordinal CMH, null", family=FAMILY,
        setting="40 v 40 subjects in three strata, four grades, arms alike",
        draw=partial(_ordinal_cmh, n=40),
        claims=tuple(
            Claim(key=key, method="lt.cmh_test", quantity=f"Generalised CMH, {key}",
                  kind="type I error", nominal=0.05)
            for key in ("correlation", "row means", "general")
        ),
    ),
)  # fmt: skip
