"""Simulations of multiple testing: adjusted p-values, graphs, max-T, repeated looks."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario
from livertrack.validation.simulations._frames import REFERENCE, is_active, two_arms

FAMILY = "Multiplicity and interim looks"
_FAMILYWISE = {
    "bonferroni": "Bonferroni", "holm": "Holm", "hochberg": "Hochberg", "hommel": "Hommel",
    "fixed-sequence": "Fixed sequence",
}  # fmt: skip


def _adjusted(rng: np.random.Generator, *, rho: float) -> Outcome:
    """Eight tests with correlation ``rho``; hypotheses 1, 2 and 5 are false (3 SE)."""
    shift = np.zeros(8)
    shift[[0, 1, 4]] = 3.0
    z = shift + math.sqrt(rho) * rng.normal() + math.sqrt(1 - rho) * rng.normal(size=8)
    p = 2 * norm.sf(np.abs(z))
    outcome = {}
    for method in (*_FAMILYWISE, "BH", "BY"):
        rejected = np.asarray(lt.adjust_pvalues(p, method)) <= 0.05
        wrong = int((rejected & (shift == 0)).sum())
        share = wrong / max(1, int(rejected.sum()))
        outcome[method] = share if method in ("BH", "BY") else float(wrong > 0)
    return outcome


def _graph(rng: np.random.Generator, *, rho: float) -> Outcome:
    """Two doses, primary and secondary endpoint each; only the first primary is false."""
    shift = np.array([3.0, 0.0, 0.0, 0.0])
    z = shift + math.sqrt(rho) * rng.normal() + math.sqrt(1 - rho) * rng.normal(size=4)
    transitions = [[0, 0.5, 0.5, 0], [0.5, 0, 0, 0.5], [0, 1, 0, 0], [1, 0, 0, 0]]
    result = lt.graphical_test(norm.sf(z), [0.5, 0.5, 0, 0], transitions, alpha=0.05)
    return {"graph": float(result.table["rejected"].to_numpy()[shift == 0].any())}


def _max_t(
    rng: np.random.Generator, *, n_arm: int, n_ref: int, effects: int, sd: float, skew: bool,
) -> Outcome:  # fmt: skip
    """Ten measures with correlation 0.5; the first ``effects`` differ by one SD."""
    active = is_active(n_arm, n_ref)
    total = n_arm + n_ref
    noise = math.sqrt(0.5) * (rng.normal(size=(total, 1)) + rng.normal(size=(total, 10)))
    noise = np.exp(noise) if skew else noise
    shift = np.where(np.arange(10) < effects, 1.0, 0.0)
    values = noise * np.where(active, sd, 1.0)[:, None] + shift * active[:, None]
    names = [f"TV{number:02d}" for number in range(1, 11)]
    data = two_arms(
        n_arm, n_ref, STRATUM=np.arange(total) % 2, **dict(zip(names, values.T, strict=True))
    )
    table = lt.max_t(
        data, values=names, reference=REFERENCE, n_perm=399, seed=int(rng.integers(2**31)),
        strata="STRATUM",
    ).table  # fmt: skip
    inside = (table["conf_low"] <= shift) & (table["conf_high"] >= shift)
    return {
        "family": float((table["p_adjusted"] <= 0.05).to_numpy()[shift == 0].any()),
        "single": float(table["p_value"].iloc[-1] <= 0.05),
        "simultaneous": float(inside.all()),
    }


_Spending = Literal["obrien-fleming", "pocock", "hwang-shih-decani"]


@cache
def _boundaries(
    spending: _Spending, sides: Literal[1, 2], drift: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    table = lt.group_sequential(
        (0.4, 0.7, 1.0), alpha=0.05 if sides == 2 else 0.025, sides=sides, spending=spending,
        drift=drift or None,
    ).table  # fmt: skip
    return (
        table["information"].to_numpy(), table["boundary"].to_numpy(),
        float(table["power"].iloc[-1]),
    )  # fmt: skip


def _looks(
    rng: np.random.Generator, *, spending: _Spending, sides: Literal[1, 2], drift: float
) -> Outcome:
    """A Brownian path seen at 40, 70 and 100 % of the information."""
    information, bounds, _ = _boundaries(spending, sides, drift)
    steps = np.diff(np.concatenate([[0.0], information]))
    path = np.cumsum(drift * steps + np.sqrt(steps) * rng.normal(size=len(steps)))
    z = path / np.sqrt(information)
    return {"crossed": float(((np.abs(z) if sides == 2 else z) >= bounds).any())}


def _looks_scenarios() -> list[Scenario]:
    names: dict[_Spending, str] = {
        "obrien-fleming": "O'Brien-Fleming", "pocock": "Pocock",
        "hwang-shih-decani": "Hwang-Shih-DeCani",
    }  # fmt: skip
    found = []
    for spending, words in names.items():
        for sides in (1, 2):
            found.append(
                Scenario(
                    name=f"looks, {spending}, {sides}", family=FAMILY, n=10_000,
                    setting="three looks at 40, 70, 100 % of the information, no effect",
                    draw=partial(_looks, spending=spending, sides=sides, drift=0.0),
                    claims=(
                        Claim(key="crossed", method="lt.group_sequential",
                              quantity=f"{words} spending, {sides}-sided", kind="type I error",
                              nominal=0.05 if sides == 2 else 0.025),
                    ),
                )
            )  # fmt: skip
    return found


def _family(method: str, quantity: str, key: str, note: str = "") -> Claim:
    return Claim(key=key, method=method, quantity=quantity, kind="familywise error",
                 nominal=0.05, bound="at most", note=note)  # fmt: skip


def _rate(key: str, quantity: str) -> Claim:
    return Claim(key=key, method="lt.adjust_pvalues", quantity=quantity,
                 kind="false discovery rate", nominal=0.05, bound="at most")  # fmt: skip


_MAX_T = "lt.max_t"
_UNEQUAL = (
    "Arms of unequal size and scatter are not exchangeable; Welch's t repairs a single measure, "
    "and most but not all of the largest of ten."
)
_SETTINGS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("20 v 20, equal", "20 v 20 subjects in two strata, ten measures, arms alike",
     {"n_arm": 20, "n_ref": 20, "effects": 0, "sd": 1.0, "skew": False}),
    ("20 v 20, three differ", "20 v 20 subjects in two strata, ten measures, three 1 SD apart",
     {"n_arm": 20, "n_ref": 20, "effects": 3, "sd": 1.0, "skew": False}),
    ("15 v 30, unequal", "15 v 30 subjects in two strata, ten measures, SD 2 v 1, same means",
     {"n_arm": 15, "n_ref": 30, "effects": 0, "sd": 2.0, "skew": False}),
    ("20 v 20, skewed", "20 v 20 subjects in two strata, ten lognormal measures, arms alike",
     {"n_arm": 20, "n_ref": 20, "effects": 0, "sd": 1.0, "skew": True}),
)  # fmt: skip


def _max_t_claims(name: str) -> tuple[Claim, ...]:
    simultaneous = Claim(
        key="simultaneous", method=_MAX_T, quantity="Simultaneous intervals of all measures",
        bound="at least" if "skewed" not in name else "equal",
        note=_UNEQUAL if "unequal" in name else "",
    )  # fmt: skip
    single = Claim(
        key="single", method=_MAX_T, quantity="Permutation test of one measure",
        kind="type I error", nominal=0.05,
    )  # fmt: skip
    unequal = _UNEQUAL if "unequal" in name else ""
    family = _family(_MAX_T, "Step-down max-T", "family", unequal)
    return (family, single) if "skewed" in name else (family, single, simultaneous)


SCENARIOS = (
    *(
        Scenario(
            name=f"adjusted p, correlation {rho:g}", family=FAMILY, n=500 if rho == 0 else 1000,
            setting=f"eight tests, correlation {rho:g}, three false hypotheses (3 SE)",
            draw=partial(_adjusted, rho=rho),
            claims=(
                *(_family("lt.adjust_pvalues", words, key) for key, words in _FAMILYWISE.items()),
                _rate("BH", "Benjamini-Hochberg"), _rate("BY", "Benjamini-Yekutieli"),
            ),
        )
        for rho in (0.0, 0.5)
    ),
    Scenario(
        name="graph", family=FAMILY, n=4000,
        setting="two doses, two endpoints, gatekeeping graph, correlation 0.3, one false",
        draw=partial(_graph, rho=0.3),
        claims=(_family("lt.graphical_test", "Graphical procedure", "graph"),),
    ),
    *(
        Scenario(
            name=f"max-T, {name}", family=FAMILY, n=2000, setting=setting,
            draw=partial(_max_t, **options), claims=_max_t_claims(name),
        )
        for name, setting, options in _SETTINGS
    ),
    *_looks_scenarios(),
    Scenario(
        name="looks, power", family=FAMILY, n=10_000,
        setting="three looks at 40, 70, 100 % of the information, drift 3",
        draw=partial(_looks, spending="obrien-fleming", sides=1, drift=3.0),
        claims=(
            Claim(key="crossed", method="lt.group_sequential",
                  quantity="Power of O'Brien-Fleming spending", kind="power",
                  nominal=round(_boundaries("obrien-fleming", 1, 3.0)[2], 6)),
        ),
    ),
)  # fmt: skip
