"""Simulations of ordinal endpoints: proportional odds, shifts, agreement of two raters."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import is_active, row, two_arms

FAMILY = "Ordinal endpoints"


def _odds(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    """Four grades cut from a logistic latent value with a baseline covariate (slope 0.7)."""
    active, base = is_active(n, n), rng.normal(size=2 * n)
    latent = rng.logistic(size=2 * n) + 0.7 * base + effect * active
    grade = np.digitize(latent, [-1.0, 0.4, 1.8])
    data = two_arms(n, n, AVAL=grade, BASE=base, ACTIVE=active.astype(float))
    fit = lt.proportional_odds(data, "ACTIVE + BASE")
    found = row(fit.table, term="ACTIVE")
    return {
        "odds": covers(found["conf_low"], found["conf_high"], effect),
        "wald": rejects(found["p_value"]),
        "proportional": rejects(row(fit.proportionality, term="ACTIVE")["p_value"]),
        "proportional, global": rejects(row(fit.proportionality, term="GLOBAL")["p_value"]),
    }


def _model_test(rng: np.random.Generator, *, n: int) -> Outcome:
    grade = np.digitize(rng.logistic(size=2 * n), [-1.0, 0.4, 1.8])
    data = two_arms(n, n, AVAL=grade, ACTIVE=is_active(n, n).astype(float))
    return {"ratio": rejects(lt.proportional_odds(data, "ACTIVE").fit["p_value"].iloc[0])}


def _shifts(rng: np.random.Generator, *, n: int) -> Outcome:
    """Baseline and follow-up of four stages are exchangeable: nothing shifts."""
    common = rng.normal(size=n)
    before, after = (
        np.digitize(common + 0.7 * rng.normal(size=n), [-0.8, 0.2, 1.2]) for _ in range(2)
    )
    data = two_arms(n, 0, BASE=before, AVAL=after)
    tests = lt.shift_table(data, levels=[0, 1, 2, 3]).tests
    return {
        name: rejects(row(tests, test=name)["p_value"]) for name in ("Stuart-Maxwell", "Bowker")
    }


@cache
def _cells(agreement: float) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Probabilities of pairs of four grades, and the true kappas."""
    share = np.array([0.35, 0.3, 0.2, 0.15])
    distance = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    joint = np.outer(share, share) * np.exp(-agreement * distance)
    joint = (joint + joint.T) / 2
    joint /= joint.sum()
    expected = np.outer(joint.sum(1), joint.sum(0))
    loss = {"none": distance > 0, "linear": distance, "quadratic": distance**2}
    kappas = {
        name: float(1 - (weight * joint).sum() / (weight * expected).sum())
        for name, weight in loss.items()
    }
    return joint, kappas


def _raters(rng: np.random.Generator, *, n: int, agreement: float) -> Outcome:
    joint, truth = _cells(agreement)
    cell = rng.choice(16, size=n, p=joint.ravel())
    data = two_arms(n, 0, FIRST=cell // 4, SECOND=cell % 4)
    outcome = {}
    for weights, kappa in truth.items():
        for limits in ("wald", "jackknife"):
            found = lt.weighted_kappa(
                data, rater_1="FIRST", rater_2="SECOND", levels=[0, 1, 2, 3], limits=limits,
                weights=weights,  # type: ignore[arg-type]
            ).table.iloc[0]  # fmt: skip
            key = f"{weights}, {limits}"
            outcome[key] = covers(found["conf_low"], found["conf_high"], kappa)
        outcome[f"{weights} test"] = rejects(found["p_value"])
    return outcome


def _test(key: str, method: str, quantity: str, **more: Any) -> Claim:
    return Claim(
        key=key, method=method, quantity=quantity, kind="type I error", nominal=0.05, **more
    )


_KAPPAS = {"quadratic": "quadratic", "linear": "linear", "none": "no"}

_WALD = (
    "Limits on kappa's own scale, as other programs give: too short with few subjects and high "
    "agreement. Those of limits='jackknife' keep their promise."
)

SCENARIOS = (
    Scenario(
        name="proportional odds, effect", family=FAMILY,
        setting="60 v 60 subjects, four grades, log odds ratio 0.8, one covariate",
        draw=partial(_odds, n=60, effect=0.8),
        claims=(
            Claim(key="odds", method="lt.proportional_odds", quantity="Log odds ratio"),
            _test("proportional", "lt.proportional_odds", "Proportionality, one term"),
            _test("proportional, global", "lt.proportional_odds", "Proportionality, global"),
        ),
    ),
    Scenario(
        name="proportional odds, null", family=FAMILY,
        setting="60 v 60 subjects, four grades, arms alike, one covariate",
        draw=partial(_odds, n=60, effect=0.0),
        claims=(_test("wald", "lt.proportional_odds", "Wald test"),),
    ),
    Scenario(
        name="proportional odds, ratio test", family=FAMILY,
        setting="40 v 40 subjects, four grades, arms alike",
        draw=partial(_model_test, n=40),
        claims=(_test("ratio", "lt.proportional_odds", "Likelihood ratio test"),),
    ),
    Scenario(
        name="shifts, null", family=FAMILY,
        setting="80 subjects, four stages, no shift",
        draw=partial(_shifts, n=80),
        claims=(
            _test("Stuart-Maxwell", "lt.shift_table", "Stuart-Maxwell"),
            _test("Bowker", "lt.shift_table", "Bowker"),
        ),
    ),
    *(
        Scenario(
            name=f"two raters, {n}", family=FAMILY,
            setting=f"{n} subjects, four grades, quadratic kappa 0.79",
            draw=partial(_raters, n=n, agreement=1.5),
            claims=tuple(
                Claim(key=f"{key}, {limits}", method="lt.weighted_kappa",
                      quantity=f"Kappa, {name} weights, {words} limits",
                      note=_WALD if (key, limits, n) == ("quadratic", "wald", 50) else "")
                for key, name in _KAPPAS.items()
                for limits, words in (("wald", "Wald"), ("jackknife", "jackknife"))
            ),
        )
        for n in (50, 150)
    ),
    Scenario(
        name="two raters, by chance", family=FAMILY,
        setting="80 subjects, four grades, agreement by chance",
        draw=partial(_raters, n=80, agreement=0.0),
        claims=tuple(
            _test(f"{key} test", "lt.weighted_kappa", f"Kappa, {name} weights, test")
            for key, name in _KAPPAS.items()
        ),
    ),
)  # fmt: skip
