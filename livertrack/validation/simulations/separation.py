"""Simulations of effect sizes and of their comparison on the same subjects."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from scipy.stats import norm

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import REFERENCE, is_active, two_arms

FAMILY = "Separation of arms"
_CALL = "lt.separation"
_LIMITS = {
    "g": ("g_low", "g_high"), "g_boot": ("g_boot_low", "g_boot_high"),
    "glass": ("glass_low", "glass_high"), "delta": ("delta_low", "delta_high"),
    "delta_boot": ("delta_boot_low", "delta_boot_high"), "auc": ("auc_low", "auc_high"),
    "auc_boot": ("auc_boot_low", "auc_boot_high"),
    "superiority": ("superiority_low", "superiority_high"),
}  # fmt: skip
_QUANTITY = {
    "g": "Hedges g, noncentral t", "g_boot": "Hedges g, BCa bootstrap",
    "glass": "Glass's delta, noncentral t", "delta": "Cliff's delta, Fisher z",
    "delta_boot": "Cliff's delta, BCa bootstrap", "auc": "AUC, DeLong",
    "auc_boot": "AUC, BCa bootstrap",
    "superiority": "Probability of superiority, adjusted for baseline and stratum",
}  # fmt: skip


def _normal(
    rng: np.random.Generator, *, n: int, shift: float, sd: float, keys: tuple[str, ...],
    null: bool = False,
) -> Outcome:  # fmt: skip
    """Two normal arms, SD ``sd`` and 1; the baseline explains 36 % of the reference's variance."""
    active = is_active(n, n)
    baseline = rng.normal(size=2 * n)
    noise = rng.normal(size=2 * n)
    spread = np.where(active, sd, 1.0)
    value = np.where(active, shift, 0.0) + spread * (0.6 * baseline + 0.8 * noise)
    data = two_arms(n, n, CHG=value, BASE=baseline, STRATUM=np.arange(2 * n) % 2)
    auc = float(norm.cdf(shift / math.hypot(1, sd)))
    truth = {
        "g": shift / math.sqrt((1 + sd**2) / 2), "glass": shift, "delta": 2 * auc - 1,
        "auc": auc, "superiority": auc,
    }  # fmt: skip
    return _covered(rng, data, truth, keys, null=null)


def _skewed(rng: np.random.Generator, *, n: int, ratio: float, keys: tuple[str, ...]) -> Outcome:
    """Lognormal values with log SD 0.6; the active arm is ``ratio`` times as high."""
    sigma = 0.6
    factor = np.where(is_active(n, n), ratio, 1.0)
    data = two_arms(n, n, CHG=factor * np.exp(sigma * rng.normal(size=2 * n)))
    mean, variance = math.exp(sigma**2 / 2), (math.exp(sigma**2) - 1) * math.exp(sigma**2)
    auc = float(norm.cdf(math.log(ratio) / (sigma * math.sqrt(2))))
    truth = {
        "g": (ratio - 1) * mean / math.sqrt(variance * (1 + ratio**2) / 2),
        "glass": (ratio - 1) * mean / math.sqrt(variance), "delta": 2 * auc - 1, "auc": auc,
    }  # fmt: skip
    return _covered(rng, data, truth, keys)


def _covered(rng, data, truth, keys, *, null: bool = False) -> Outcome:  # type: ignore[no-untyped-def]
    adjusted = "superiority" in keys
    boots = any(key.endswith("_boot") for key in keys)
    table = lt.separation(
        data, reference=REFERENCE, n_boot=1000 if boots else 0, seed=int(rng.integers(2**31)),
        delta_variance="null" if null else "placement",
        covariates=["BASE"] if adjusted else [], strata="STRATUM" if adjusted else None,
    ).table  # fmt: skip
    found = table.iloc[0]
    return {
        key: covers(found[_LIMITS[key][0]], found[_LIMITS[key][1]], truth[key.split("_")[0]])
        for key in keys
    }


def _claims(**notes: str) -> tuple[Claim, ...]:
    return tuple(
        Claim(key=key, method=_CALL, quantity=_QUANTITY[key], note=note)
        for key, note in notes.items()
    )


def _paired(rng: np.random.Generator, *, n: int, second: float) -> Outcome:
    """Two measures with correlation 0.5 of the same subjects; shifts 0.8 and ``second``."""
    active = is_active(n, n)
    common = math.sqrt(0.5) * rng.normal(size=2 * n)
    shifts = {"FIRST": 0.8, "SECOND": second}
    columns = {
        name: shift * active + common + math.sqrt(0.5) * rng.normal(size=2 * n)
        for name, shift in shifts.items()
    }
    table = lt.compare_separation(
        two_arms(n, n, **columns), values=list(shifts), reference=REFERENCE, n_boot=1000,
        seed=int(rng.integers(2**31)), direction=dict.fromkeys(shifts, "higher"),
    ).table.set_index("metric")  # fmt: skip
    truth = {"g": 0.8 - second}
    truth["auc"] = float(norm.cdf(0.8 / math.sqrt(2)) - norm.cdf(second / math.sqrt(2)))
    truth["auc_delong"] = truth["auc"]
    outcome = {}
    for metric, value in truth.items():
        found = table.loc[metric]
        outcome[f"{metric} limits"] = covers(found["conf_low"], found["conf_high"], value)
        outcome[f"{metric} test"] = rejects(found["p_value"])
    return outcome


def _scored(rng: np.random.Generator, *, n: int) -> Outcome:
    """A score of four columns, fitted out of fold, beside a measure; neither knows the arm."""
    names = [f"TV{number:02d}" for number in range(1, 5)]
    columns = dict(zip([*names, "ALT"], rng.normal(size=(5, 2 * n)), strict=True))
    table = lt.compare_separation(
        two_arms(n, n, **columns), values=["ALT"], score={"signature": names}, n_boot=200,
        reference=REFERENCE, n_repeats=5, seed=int(rng.integers(2**31)),
        direction={"ALT": "higher"},
    ).table.set_index("metric")  # fmt: skip
    return {key: rejects(table.loc[key, "p_value"]) for key in ("g", "auc", "auc_delong")}


def _pair_claims(*, test: bool, notes: dict[str, str] | None = None) -> tuple[Claim, ...]:
    named = {
        "g": "Difference of two Hedges g, paired bootstrap",
        "auc": "Difference of two AUCs, paired bootstrap",
        "auc_delong": "Difference of two AUCs, paired DeLong",
    }
    call, notes = "lt.compare_separation", notes or {}
    if test:
        return tuple(
            Claim(key=f"{key} test", method=call, quantity=name, kind="type I error",
                  nominal=0.05, note=notes.get(key, ""))
            for key, name in named.items()
        )  # fmt: skip
    return tuple(
        Claim(key=f"{key} limits", method=call, quantity=name, note=notes.get(key, ""))
        for key, name in named.items()
    )


_EDGE = (
    "A Wald interval on the AUC's own scale, cut at 1, as in pROC: too short when the arms hardly "
    "overlap. Read Cliff's delta there, whose limits keep their promise."
)
_FEW = (
    "With 20 subjects in an arm and nearly complete separation few resamples differ; BCa loses "
    "2 to 4 points."
)
_SKEW = (
    "The limits take the values as normal; the standard deviation of a skewed reference varies "
    "more than that. Use the bootstrap limits of g, or Cliff's delta."
)
_NULL_VARIANCE = (
    "The variance holds without a difference between the arms only (as in R's effectsize). It is "
    "an option for comparison; the default is the variance of the placement values."
)

_GIVEN = (
    "Takes the fitted scores as given and rejects too often beside a score; the table of the "
    "endpoint says so. The bootstrap refits the score and keeps its level."
)

_ALL = ("g", "g_boot", "glass", "delta", "delta_boot", "auc", "auc_boot", "superiority")

SCENARIOS = (
    Scenario(
        name="separation, normal, 20", family=FAMILY,
        setting="20 v 20 subjects, normal, equal SD, 0.5 SD apart",
        draw=partial(_normal, n=20, shift=0.5, sd=1.0, keys=_ALL),
        claims=_claims(**dict.fromkeys(_ALL, "")),
    ),
    Scenario(
        name="separation, normal, 75", family=FAMILY,
        setting="75 v 75 subjects, normal, equal SD, 0.8 SD apart",
        draw=partial(_normal, n=75, shift=0.8, sd=1.0, keys=_ALL),
        claims=_claims(**dict.fromkeys(_ALL, "")),
    ),
    Scenario(
        name="separation, unequal SD", family=FAMILY,
        setting="40 v 40 subjects, normal, SD 1.5 v 1, 0.6 reference SD apart",
        draw=partial(
            _normal, n=40, shift=0.6, sd=1.5, keys=("g", "g_boot", "glass", "delta", "auc")
        ),
        claims=_claims(**dict.fromkeys(("g", "g_boot", "glass", "delta", "auc"), "")),
    ),
    Scenario(
        name="separation, skewed", family=FAMILY,
        setting="50 v 50 subjects, lognormal (log SD 0.6), active 1.5 times as high",
        draw=partial(_skewed, n=50, ratio=1.5, keys=("g", "g_boot", "glass", "delta", "auc")),
        claims=_claims(g="", g_boot="", glass=_SKEW, delta="", auc=""),
    ),
    Scenario(
        name="separation, nearly complete", family=FAMILY,
        setting="20 v 20 subjects, normal, 2.3 SD apart (AUC 0.95)",
        draw=partial(
            _normal, n=20, shift=2.3, sd=1.0,
            keys=("g", "g_boot", "delta", "auc", "auc_boot"),
        ),
        claims=_claims(g="", g_boot=_FEW, delta="", auc=_EDGE, auc_boot=_FEW),
    ),
    Scenario(
        name="separation, delta with null variance", family=FAMILY,
        setting="40 v 40 subjects, normal, 1.5 SD apart",
        draw=partial(_normal, n=40, shift=1.5, sd=1.0, keys=("delta",), null=True),
        claims=(
            Claim(key="delta", method=_CALL, quantity="Cliff's delta, null variance",
                  note=_NULL_VARIANCE),
        ),
    ),
    Scenario(
        name="paired measures, equal", family=FAMILY,
        setting="40 v 40 subjects, two measures (correlation 0.5), both 0.8 SD apart",
        draw=partial(_paired, n=40, second=0.8), claims=_pair_claims(test=True),
    ),
    Scenario(
        name="paired measures, different", family=FAMILY,
        setting="40 v 40 subjects, two measures (correlation 0.5), 0.8 and 0.2 SD apart",
        draw=partial(_paired, n=40, second=0.2), claims=_pair_claims(test=False),
    ),
    Scenario(
        name="score beside a measure", family=FAMILY, n=500,
        setting="40 v 40 subjects, score of four columns and one measure, arms alike",
        draw=partial(_scored, n=40),
        claims=tuple(
            Claim(key=key, method="lt.compare_separation", quantity=words, kind="type I error",
                  nominal=0.05, bound="at most", note=_GIVEN if key == "auc_delong" else "")
            for key, words in (
                ("g", "Cross-fitted score, difference of g"),
                ("auc", "Cross-fitted score, difference of AUC"),
                ("auc_delong", "Cross-fitted score, paired DeLong"),
            )
        ),
    ),
)  # fmt: skip
