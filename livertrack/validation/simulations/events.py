"""Simulations of events: survival curves, tests, models, restricted means, causes, wins."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import norm

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import (
    ACTIVE,
    REFERENCE,
    exponential,
    is_active,
    row,
    two_arms,
)

FAMILY = "Events"


def _curves(rng: np.random.Generator, *, n: int) -> Outcome:
    """Exponential with rate 1 in both arms; about 30 % censored."""
    time, censored = exponential(rng, np.ones(2 * n), 0.3, 3.0)
    result = lt.kaplan_meier(two_arms(n, n, AVAL=time, CNSR=censored), times=[0.5, 1.5])
    early, late = (row(result.at_risk, arm=ACTIVE, time=t) for t in (0.5, 1.5))
    middle = row(result.table, arm=ACTIVE)
    # no upper limit of the median is a limit at infinity
    high = math.inf if math.isnan(middle["conf_high"]) else middle["conf_high"]
    return {
        "early": covers(early["conf_low"], early["conf_high"], math.exp(-0.5)),
        "late": covers(late["conf_low"], late["conf_high"], math.exp(-1.5)),
        "median": covers(middle["conf_low"], high, math.log(2)),
    }


def _two_groups(rng: np.random.Generator, *, n: int, log_hazard: float) -> Outcome:
    """Baseline hazards 0.5, 1, 2 by stratum, log hazard 0.5 per unit of a covariate."""
    active, strata = is_active(n, n), np.arange(2 * n) % 3
    age = rng.normal(size=2 * n)
    rate = np.array([0.5, 1.0, 2.0])[strata] * np.exp(0.5 * age + log_hazard * active)
    time, censored = exponential(rng, rate, 0.3, 3.0)
    data = two_arms(n, n, AVAL=time, CNSR=censored, AGE=age, STRATUM=strata)
    data["ACTIVE"] = active.astype(float)
    fit = lt.cox(data, "ACTIVE + AGE", strata="STRATUM")
    found = row(fit.table, term="ACTIVE")
    outcome = {
        "cox": covers(found["conf_low"], found["conf_high"], log_hazard),
        "wald": rejects(found["p_value"]),
        "proportional": rejects(row(fit.proportional_hazards, term="ACTIVE")["p_value"]),
        "proportional, global": rejects(row(fit.proportional_hazards, term="GLOBAL")["p_value"]),
    }
    if log_hazard == 0:
        outcome["log-rank"] = rejects(lt.log_rank(data).table["p_value"].iloc[0])
        stratified = lt.log_rank(data, strata="STRATUM")
        outcome["stratified log-rank"] = rejects(stratified.table["p_value"].iloc[0])
    return outcome


def _cox_tests(rng: np.random.Generator, *, n: int) -> Outcome:
    """Two covariates without effect; ties from visits every 0.1."""
    time, censored = exponential(rng, np.ones(2 * n), 0.3, 3.0)
    data = two_arms(
        n, n, AVAL=np.ceil(10 * time) / 10, CNSR=censored, AGE=rng.normal(size=2 * n),
        ACTIVE=is_active(n, n).astype(float),
    )  # fmt: skip
    outcome: dict[str, float] = {}
    for ties in ("efron", "breslow"):
        fit = lt.cox(data, "ACTIVE + AGE", ties=ties).fit  # type: ignore[arg-type]
        for test in ("likelihood ratio", "Wald", "score"):
            outcome[f"{ties} {test}"] = rejects(row(fit, term=test)["p_value"])
    return outcome


def _mean_time(rate: float, tau: float) -> float:
    return (1 - math.exp(-rate * tau)) / rate


def _restricted(rng: np.random.Generator, *, n: int, ratio: float) -> Outcome:
    """Exponential with rates ``ratio`` and 1, up to time 2."""
    rate = np.where(is_active(n, n), ratio, 1.0)
    time, censored = exponential(rng, rate, 0.2, 4.0)
    result = lt.rmst(two_arms(n, n, AVAL=time, CNSR=censored), reference=REFERENCE, tau=2.0)
    one, two = _mean_time(ratio, 2.0), _mean_time(1.0, 2.0)
    mean = row(result.table, arm=ACTIVE)
    outcome = {"mean": covers(mean["conf_low"], mean["conf_high"], one)}
    for measure, truth in (("difference", one - two), ("ratio", one / two)):
        found = row(result.contrasts, measure=measure)
        outcome[measure] = covers(found["conf_low"], found["conf_high"], truth)
        outcome[f"{measure} test"] = rejects(found["p_value"])
    return outcome


def _causes(rng: np.random.Generator, *, n: int) -> Outcome:
    """Two causes with hazards 0.6 and 0.4 in both arms; about a quarter censored."""
    time, censored = exponential(rng, np.ones(2 * n), 0.3, 3.0)
    cause = np.where(rng.random(2 * n) < 0.6, 1, 2)
    data = two_arms(n, n, AVAL=time, CNSR=censored, CAUSE=cause, STRATUM=np.arange(2 * n) % 2)
    result = lt.cumulative_incidence(data, at=1.0)
    found = row(result.table, arm=ACTIVE, cause=1)
    stratified = lt.cumulative_incidence(data, at=1.0, strata="STRATUM")
    return {
        "incidence": covers(found["conf_low"], found["conf_high"], 0.6 * (1 - math.exp(-1.0))),
        "gray": rejects(row(result.tests, cause=1)["p_value"]),
        "stratified gray": rejects(row(stratified.tests, cause=1)["p_value"]),
    }


def _wins(rng: np.random.Generator, *, n: int, shift: float, strata: bool) -> Outcome:
    """A worst event (yes or no) first, a normal value among pairs alike in it."""
    active = is_active(n, n)
    bad = np.where(active, 0.2 if shift else 0.3, 0.3)
    data = two_arms(
        n, n, DIED=(rng.random(2 * n) < bad).astype(int),
        CHG=shift * active + rng.normal(size=2 * n), STRATUM=np.arange(2 * n) % 2,
    )  # fmt: skip
    table = lt.win_ratio(
        data, reference=REFERENCE, strata="STRATUM" if strata else None,
        hierarchy=[
            lt.Outcome("death", value="DIED", better="lower"), lt.Outcome("change", value="CHG"),
        ],
    ).table  # fmt: skip
    p, q = (0.2 if shift else 0.3), 0.3
    better = float(norm.cdf(shift / math.sqrt(2)))
    alike = p * q + (1 - p) * (1 - q)
    win = (1 - p) * q + alike * better
    loss = p * (1 - q) + alike * (1 - better)
    truth = {"win_ratio": win / loss, "win_odds": win / loss, "net_benefit": win - loss}
    outcome = {}
    for measure, value in truth.items():
        found = row(table, measure=measure)
        outcome[measure] = covers(found["conf_low"], found["conf_high"], value)
        outcome[f"{measure} test"] = rejects(found["p_value"])
    return outcome


def _test(key: str, method: str, quantity: str, **more: Any) -> Claim:
    return Claim(
        key=key, method=method, quantity=quantity, kind="type I error", nominal=0.05, **more
    )


def _interval(key: str, method: str, quantity: str, **more: Any) -> Claim:
    return Claim(key=key, method=method, quantity=quantity, **more)


_WINS = {"win_ratio": "Win ratio", "win_odds": "Win odds", "net_benefit": "Net benefit"}

SCENARIOS = (
    *(
        Scenario(
            name=f"survival curve, {n}", family=FAMILY,
            setting=f"{n} subjects, exponential, 30 % censored",
            draw=partial(_curves, n=n),
            claims=(
                _interval("early", "lt.kaplan_meier", "Survival of 61 %, log-log"),
                _interval("late", "lt.kaplan_meier", "Survival of 22 %, log-log"),
                _interval("median", "lt.kaplan_meier", "Median, Brookmeyer-Crowley log-log"),
            ),
        )
        for n in (30, 100)
    ),
    Scenario(
        name="two groups, effect", family=FAMILY,
        setting="60 v 60 subjects in three strata, hazard ratio 0.6, one covariate",
        draw=partial(_two_groups, n=60, log_hazard=math.log(0.6)),
        claims=(
            _interval("cox", "lt.cox", "Log hazard ratio, stratified"),
            _test("proportional", "lt.cox", "Proportional hazards, one term"),
            _test("proportional, global", "lt.cox", "Proportional hazards, global"),
        ),
    ),
    Scenario(
        name="two groups, null", family=FAMILY,
        setting="60 v 60 subjects in three strata, arms alike, one covariate",
        draw=partial(_two_groups, n=60, log_hazard=0.0),
        claims=(
            _test("log-rank", "lt.log_rank", "Log-rank"),
            _test("stratified log-rank", "lt.log_rank", "Log-rank, stratified"),
            _test("wald", "lt.cox", "Wald test, stratified"),
        ),
    ),
    Scenario(
        name="cox tests, tied", family=FAMILY,
        setting="40 v 40 subjects, times tied to visits, no effect of two covariates",
        draw=partial(_cox_tests, n=40),
        claims=tuple(
            _test(f"{ties} {test}", "lt.cox", f"{test[0].upper()}{test[1:]} test, {ties} ties")
            for ties in ("efron", "breslow")
            for test in ("likelihood ratio", "Wald", "score")
        ),
    ),
    Scenario(
        name="restricted mean, effect", family=FAMILY,
        setting="50 v 50 subjects, exponential, hazard ratio 0.6, to time 2",
        draw=partial(_restricted, n=50, ratio=0.6),
        claims=(
            _interval("mean", "lt.rmst", "Restricted mean of an arm"),
            _interval("difference", "lt.rmst", "Difference of restricted means"),
            _interval("ratio", "lt.rmst", "Ratio of restricted means"),
        ),
    ),
    Scenario(
        name="restricted mean, null", family=FAMILY,
        setting="50 v 50 subjects, exponential, arms alike, to time 2",
        draw=partial(_restricted, n=50, ratio=1.0),
        claims=(
            _test("difference test", "lt.rmst", "Difference of restricted means, test"),
            _test("ratio test", "lt.rmst", "Ratio of restricted means, test"),
        ),
    ),
    Scenario(
        name="competing causes", family=FAMILY,
        setting="50 v 50 subjects, two causes, arms alike",
        draw=partial(_causes, n=50),
        claims=(
            _interval("incidence", "lt.cumulative_incidence", "Cumulative incidence of 38 %"),
            _test("gray", "lt.cumulative_incidence", "Gray's test"),
            _test("stratified gray", "lt.cumulative_incidence", "Gray's test, stratified"),
        ),
    ),
    Scenario(
        name="wins, effect", family=FAMILY,
        setting="50 v 50 subjects, death 20 v 30 %, then a change 0.5 SD apart",
        draw=partial(_wins, n=50, shift=0.5, strata=False),
        claims=tuple(_interval(key, "lt.win_ratio", name) for key, name in _WINS.items()),
    ),
    Scenario(
        name="wins, strata, null", family=FAMILY,
        setting="40 v 40 subjects in two strata, arms alike",
        draw=partial(_wins, n=40, shift=0.0, strata=True),
        claims=tuple(
            _test(f"{key} test", "lt.win_ratio", f"{name}, stratified test")
            for key, name in _WINS.items()
        ),
    ),
)  # fmt: skip
