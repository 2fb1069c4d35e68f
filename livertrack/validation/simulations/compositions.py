"""Simulations of compositions: permutation tests and log-ratio regression."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import REFERENCE, is_active, row, two_arms

FAMILY = "Compositions"
PARTS = [f"TV{number:02d}" for number in range(1, 6)]
_CENTRE = np.log([0.4, 0.25, 0.2, 0.1, 0.05])
#: shift of the log shares in the active arm, up to a constant
_SHIFT = np.array([0.3, 0.0, -0.3, 0.0, 0.2])


def _shares(
    rng: np.random.Generator, n: int, *, shift: NDArray[np.float64], spread: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logistic normal shares (two arms of ``n``) that go along with a baseline covariate."""
    active, base = is_active(n, n), rng.normal(size=2 * n)
    noise = rng.normal(size=(2 * n, len(PARTS))) * np.where(active, spread, 1.0)[:, None]
    logs = _CENTRE + 0.4 * noise + 0.3 * base[:, None] * np.array([1, -1, 0, 0, 0])
    logs = logs + active[:, None] * shift
    shares = np.exp(logs)
    return shares / shares.sum(axis=1, keepdims=True), base


def _regression(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    shares, base = _shares(rng, n, shift=effect * _SHIFT)
    data = two_arms(n, n, BASE=base, **dict(zip(PARTS, shares.T, strict=True)))
    result = lt.composition_regression(data, parts=PARTS, reference=REFERENCE, covariates="BASE")
    truth = effect * (_SHIFT - _SHIFT.mean())
    found = row(result.table, part="TV01")
    return {
        "part": covers(found["conf_low"], found["conf_high"], truth[0]),
        "part test": rejects(found["p_value"]),
        "joint test": rejects(result.tests["p_value"].iloc[0]),
    }


def _permuted(rng: np.random.Generator, *, n: int, spread: float) -> Outcome:
    """In the active arm ``spread`` times the scatter; with strata, their centres differ."""
    shares, base = _shares(rng, n, shift=np.zeros(5), spread=spread)
    strata = np.arange(2 * n) % 2
    moved = shares * np.exp(0.8 * strata[:, None] * np.array([1, 0, 0, -1, 0]))
    data = two_arms(
        n, n, STRATUM=strata, BASE=base,
        **dict(zip(PARTS, (moved / moved.sum(axis=1, keepdims=True)).T, strict=True)),
    )  # fmt: skip
    seed = int(rng.integers(2**31))
    alike = data.assign(**dict(zip(PARTS, shares.T, strict=True)))
    plain = lt.permanova(alike, parts=PARTS, n_perm=199, seed=seed)
    within = lt.permanova(
        data, parts=PARTS, formula="BASE + TRT01P", strata="STRATUM", n_perm=199, seed=seed
    )
    return {
        "plain": rejects(plain.table["p_value"].iloc[0]),
        "strata": rejects(row(within.table, term="TRT01P")["p_value"]),
        "dispersion": rejects(plain.dispersion["p_value"].iloc[0]),
    }


def _test(key: str, quantity: str, method: str = "lt.permanova", note: str = "") -> Claim:
    return Claim(
        key=key, method=method, quantity=quantity, kind="type I error", nominal=0.05, note=note
    )


SCENARIOS = (
    Scenario(
        name="composition regression, effect", family=FAMILY,
        setting="20 v 20 subjects, five logistic normal parts, log shift 0.27, one covariate",
        draw=partial(_regression, n=20, effect=1.0),
        claims=(
            Claim(key="part", method="lt.composition_regression",
                  quantity="Centred log ratio of a part"),
        ),
    ),
    Scenario(
        name="composition regression, null", family=FAMILY,
        setting="20 v 20 subjects, five logistic normal parts, arms alike, one covariate",
        draw=partial(_regression, n=20, effect=0.0),
        claims=(
            _test("part test", "Test of a part", "lt.composition_regression"),
            _test("joint test", "Joint test of all parts", "lt.composition_regression"),
        ),
    ),
    Scenario(
        name="permanova, null", family=FAMILY,
        setting="20 v 20 subjects, five parts, arms alike; in two strata for the second",
        draw=partial(_permuted, n=20, spread=1.0),
        claims=(
            _test("plain", "PERMANOVA"),
            Claim(key="strata", method="lt.permanova", kind="type I error", nominal=0.05,
                  quantity="PERMANOVA, covariate, permuted within strata", bound="at most",
                  note="Distances are permuted as they are, as in vegan's adonis2; what a "
                       "covariate explains stays in them, so the test keeps below its level."),
            _test("dispersion", "Equal dispersion"),
        ),
    ),
    Scenario(
        name="permanova, unequal scatter", family=FAMILY, n=500,
        setting="20 v 20 subjects, five parts, same centre, 1.5 times the scatter in one arm",
        draw=partial(_permuted, n=20, spread=1.5),
        claims=(_test("plain", "PERMANOVA"),),
    ),
)  # fmt: skip
