"""Simulations of change pathways as they are used: planted flows, types merged, sites, drift.

Records come from `livertrack.simulate.flows`: the subjects, doses and pathways of the simulated
trials, with the labelling errors of a vocabulary, misregistration, sites that differ and scanners
that drift from the first follow-up on (confounded with the visit, alike in all arms).
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack.simulate.flows import FlowSettings, FlowTrial, simulate_flows, split_vocabulary
from livertrack.simulate.states import FLOWS
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects

FAMILY = "Pathways as in use"
ARMS = ("Placebo", "Low dose", "High dose")
DOSES = {"Placebo": 0.0, "Low dose": 2.0, "High dose": 3.0}
#: sites differ, and every scanner reads more tissue as normal from the first follow-up on
ROUGH = FlowSettings(site_spread=0.4, drift=0.05, site_drift=0.03)
_KEYS = ["TRT01P", "AVISIT", "REGION", "FROMTYPE", "TOTYPE"]
_TABLE = ["arm", "visit", "region", "from_type", "to_type"]


def _draw(rng: np.random.Generator, **arguments: Any) -> FlowTrial:
    """Trial of a random vocabulary size, as if it had been chosen without looking at the arms."""
    n_types = int(rng.choice([8, 10, 12]))
    given = {"settings": ROUGH, "vocabulary": split_vocabulary(n_types), **arguments}
    return simulate_flows(seed=int(rng.integers(2**31)), **given)


def _compare(trial: FlowTrial, rng: np.random.Generator, **arguments: Any) -> Any:
    given: dict[str, Any] = {"subjects": trial.adsl, "strata": "SITEID", **arguments}
    return lt.change_pathways(
        trial.adpath, reference="Placebo", n_perm=199, seed=int(rng.integers(2**31)), **given
    )


def _any(table: pd.DataFrame, column: str = "p_adjusted") -> float:
    return rejects(float(table[column].min()))


def _null(rng: np.random.Generator, *, n: int) -> Outcome:
    trial = _draw(rng, n_per_arm=n, effect=0.0, arms=ARMS, visits={"Week 48": 1.0})
    used = _compare(trial, rng, merge=[5, 3], trend=DOSES)
    given = _compare(trial, rng, covariates=["AGE", "DIABFL"], adjust_baseline=True, merge=[5])
    tests = used.global_test.query("arm == 'High dose'").set_index("statistic_name")["p_value"]
    slopes = used.trend_global.set_index("statistic_name")["p_value"]
    best = used.levels.query("arm == 'High dose'")["p_chosen"].min()
    table = used.table.dropna(subset=["p_adjusted"])
    inside = (table["simultaneous_low"] <= 0) & (table["simultaneous_high"] >= 0)
    return {
        "flows": _any(used.table), "net": _any(used.net.dropna(subset=["p_adjusted"])),
        "adjusted flows": _any(given.table), "trend": _any(used.trend),
        "discoveries": rejects(float(table["q_value"].min())),
        "global maximum": rejects(float(tests["maximum of the statistics"])),
        "global sum": rejects(float(tests["sum of squared statistics"])),
        "adjusted global": rejects(
            float(given.global_test.query("arm == 'High dose'")["p_value"].iloc[1])
        ),
        "trend global": rejects(float(slopes["sum of squared statistics"])),
        "best level": rejects(float(best)),
        "simultaneous": float(inside.all()),
    }  # fmt: skip


@cache
def _truth(visit: str) -> pd.DataFrame:
    """Differences in a large population under the labelling of `_planted`."""
    big = simulate_flows(
        n_per_arm=1500, seed=1, arms=("Placebo", "Active"), vocabulary=split_vocabulary(10),
        visits={visit: 1.0}, n_sites=4,
    )  # fmt: skip
    return big.truth


def _planted(rng: np.random.Generator, *, n: int) -> Outcome:
    trial = simulate_flows(
        n_per_arm=n, seed=int(rng.integers(2**31)), arms=("Placebo", "Active"),
        vocabulary=split_vocabulary(10), visits={"Week 48": 1.0},
    )  # fmt: skip
    outcome: dict[str, float] = {}
    for name, options in (("", {}), ("adjusted ", {"adjust_baseline": True})):
        result = _compare(trial, rng, **options)
        table = result.table.merge(_truth("Week 48"), left_on=_TABLE, right_on=_KEYS)
        tested = table[table["tested"].astype(bool)]
        truth = tested["DIFFERENCE"]
        inside = (tested["simultaneous_low"] <= truth) & (tested["simultaneous_high"] >= truth)
        largest = tested.loc[truth.abs().idxmax()]
        outcome |= {
            f"{name}limits": covers(
                largest["conf_low"], largest["conf_high"], largest["DIFFERENCE"]
            ),
            f"{name}simultaneous": float(inside.all()),
        }
        if not name:
            ranked = tested.sort_values(["p_adjusted", "p_value"], kind="stable")
            first = ranked.loc[ranked["statistic"].abs().sort_values(ascending=False).index[:5]]
            state = split_vocabulary(10).argmax(axis=0) + 1
            pairs = zip(first["from_type"], first["to_type"], strict=True)
            planted = {(flow.source, flow.target) for flow in FLOWS}
            outcome["rank"] = float(all((state[a - 1], state[b - 1]) in planted for a, b in pairs))
            outcome["largest"] = rejects(float(largest["p_adjusted"]))
            outcome["signs"] = float((first["estimate"] * first["DIFFERENCE"] > 0).all())
    return outcome


def _half(rng: np.random.Generator, *, n: int) -> Outcome:
    """One part of the liver with planted flows beside an independent part without any."""
    seed = int(rng.integers(2**31))
    given: dict[str, Any] = {
        "n_per_arm": n, "arms": ("Placebo", "Active"), "visits": {"Week 48": 1.0},
        "vocabulary": split_vocabulary(10), "n_shells": 1,
    }  # fmt: skip
    real = simulate_flows(seed=seed, **given)
    null = simulate_flows(seed=seed + 1, effect=0.0, **given)
    # same subjects and arms; the records of the second part are those of other livers
    names = dict(zip(null.adsl["USUBJID"], real.adsl["USUBJID"], strict=True))
    arm = real.adsl.set_index("USUBJID")["TRT01P"]
    other = null.adpath.query("REGION == 'SHELL1'").assign(REGION="OTHER")
    other = other.assign(USUBJID=other["USUBJID"].map(names))
    other = other.assign(TRT01P=other["USUBJID"].map(arm))
    both = pd.concat([real.adpath.query("REGION == 'SHELL1'"), other], ignore_index=True)
    both = both.drop(columns="SITEID")
    table = lt.change_pathways(
        both, reference="Placebo", n_perm=999, seed=seed, subjects=real.adsl
    ).table.dropna(subset=["p_adjusted"])  # fmt: skip
    wrong = table["region"] == "OTHER"
    found = table["q_value"] <= 0.05
    return {
        "false discoveries": float((found & wrong).sum() / max(found.sum(), 1)),
        "family": float((table.loc[wrong, "p_adjusted"] <= 0.05).any()),
    }


def _noise(rng: np.random.Generator, *, n: int) -> Outcome:
    trial = _draw(rng, n_per_arm=n, arms=("A", "B"), visits={"Week 48": 0.0}, settings=None)
    twice = trial.adsl["USUBJID"].isin(trial.adsl.groupby("TRT01P").head(n // 2)["USUBJID"])
    names = trial.adsl.loc[twice, "USUBJID"]
    mask = trial.repeats["USUBJID"].isin(names)
    again = trial.repeats[~mask].assign(AVISIT="Week 48")
    table = lt.beyond_noise(
        again, trial.repeats[mask], n_boot=199, seed=int(rng.integers(2**31))
    ).table
    return {"flows": _any(table)}


def _directions(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    trial = _draw(rng, n_per_arm=n, effect=effect, arms=("Placebo", "Active"),
                  visits={"Week 48": 1.0})  # fmt: skip
    wide = trial.composition.pivot_table(index="USUBJID", columns="PARAMCD", values="BASE")
    state = pd.DataFrame(trial.states["Baseline"], trial.adsl["USUBJID"]).loc[wide.index]
    score = state.to_numpy() @ np.array([0.0, 4, 8, 9, 14, 12, 0, 0])
    score += rng.normal(0, 0.6, len(state))
    result = lt.type_severity(
        wide.assign(SCORE=score).reset_index(), outcome="SCORE", adpath=trial.adpath,
        subjects=trial.adsl, reference="Placebo", strata="SITEID", n_boot=20, n_repeats=2,
        n_perm=199, seed=int(rng.integers(2**31)),
    )  # fmt: skip
    net = result.flows.set_index("measure").loc["net"]
    return {
        "measures": _any(result.flows),
        "net": rejects(float(net["p_adjusted"])) * float(net["estimate"] > 0),
    }


def _second(rng: np.random.Generator, *, n: int) -> Outcome:
    """The first cohort has an effect, the second none: nothing may replicate."""
    words, seed = split_vocabulary(10), int(rng.integers(2**31))
    given: dict[str, Any] = {
        "n_per_arm": n, "arms": ("Placebo", "Active"), "visits": {"Week 48": 1.0},
        "vocabulary": words,
    }  # fmt: skip
    first = simulate_flows(seed=seed, **given)
    frozen = lt.freeze_pathways(_compare(first, rng), choose="top", top=5)
    null = simulate_flows(seed=seed + 1, effect=0.0, **given)
    real = simulate_flows(seed=seed + 2, **given)
    table, again = (
        lt.replicate_pathways(
            trial.adpath, frozen, subjects=trial.adsl, strata="SITEID", n_perm=199, seed=seed
        ).table
        for trial in (null, real)
    )
    return {"any": _any(table), "power": float((again["p_adjusted"] <= 0.05).mean())}


def _early(rng: np.random.Generator, *, n: int) -> Outcome:
    """A late outcome that follows baseline and arm, and nothing of the early change."""
    trial = _draw(rng, n_per_arm=n, arms=("Placebo", "Active"), settings=None)
    early = trial.composition.query("AVISIT == 'Week 12' and PARAMCD == 'TV03'")
    late = 4 * early["BASE"] - 0.5 * (early["TRT01P"] == "Active") + rng.normal(0, 0.5, len(early))
    result = lt.trajectories(
        trial.composition, baseline="Baseline", early="Week 12", late="Week 48",
        reference="Placebo", outcome=early[["USUBJID"]].assign(AVAL=late), n_folds=3, n_repeats=1,
        n_perm=39, n_boot=99, seed=int(rng.integers(2**31)),
    )  # fmt: skip
    return {"increment": rejects(float(result.increment["p_value"].iloc[0]))}


def _test(key: str, quantity: str, method: str = "lt.change_pathways") -> Claim:
    return Claim(key=key, method=method, quantity=quantity, kind="type I error", nominal=0.05)


def _family(key: str, quantity: str, method: str = "lt.change_pathways", note: str = "") -> Claim:
    return Claim(key=key, method=method, quantity=quantity, kind="familywise error", nominal=0.05,
                 bound="at most", note=note)  # fmt: skip


_CHANGED = (
    "A flow that the drug changes scatters otherwise in its arm, while permutation takes arms as "
    "alike: at full effect the limits of all flows hold together somewhat too rarely. Tests are "
    "not concerned: without an effect the arms are alike."
)

SCENARIOS = (
    Scenario(
        name="flows in use, null", family=FAMILY, n=1000,
        setting="3 x 20 subjects in four sites that differ, scanners drift at the visit in all "
        "arms alike, 8 to 12 types, merged to 5 and 3, no effect",
        draw=partial(_null, n=20),
        claims=(
            _family("flows", "Step-down max-T over flows, arms and merged levels"),
            _family("net", "Step-down max-T over net changes"),
            _family("adjusted flows", "The same, adjusted for covariates and baseline"),
            _family("trend", "Dose order, step-down max-T"),
            _family("discoveries", "Benjamini-Hochberg over flows, nothing true"),
            _test("global maximum", "Global test, largest flow"),
            _test("global sum", "Global test, sum of squares"),
            _test("adjusted global", "Global test, sum of squares, adjusted"),
            _test("trend global", "Global test of the dose order, sum of squares"),
            _test("best level", "Level of merging with the smallest p"),
            Claim(key="simultaneous", method="lt.change_pathways",
                  quantity="Simultaneous intervals of all flows", bound="at least"),
        ),
    ),
    Scenario(
        name="flows in use, planted", family=FAMILY, n=500,
        setting="2 x 30 subjects, 10 types, the planted pathways at full effect",
        draw=partial(_planted, n=30),
        claims=(
            Claim(key="limits", method="lt.change_pathways", quantity="Largest flow, Welch"),
            Claim(key="simultaneous", method="lt.change_pathways",
                  quantity="Simultaneous intervals of all flows", bound="at least",
                  note=_CHANGED),
            Claim(key="adjusted limits", method="lt.change_pathways",
                  quantity="Largest flow, adjusted for baseline"),
            Claim(key="adjusted simultaneous", method="lt.change_pathways", bound="at least",
                  quantity="Simultaneous intervals, adjusted for baseline"),
            Claim(key="largest", method="lt.change_pathways", kind="power", nominal=0.9,
                  quantity="Largest planted flow found", bound="at least"),
            Claim(key="rank", method="lt.change_pathways", kind="power", nominal=0.9,
                  quantity="First five flows are between planted states",
                  bound="at least"),
            Claim(key="signs", method="lt.change_pathways", kind="power", nominal=0.9,
                  quantity="First five flows have their planted sign", bound="at least"),
        ),
    ),
    Scenario(
        name="flows in use, half null", family=FAMILY, n=600,
        setting="2 x 30 subjects, 10 types; planted flows in one part of the liver only",
        draw=partial(_half, n=30),
        claims=(
            Claim(key="false discoveries", method="lt.change_pathways",
                  quantity="Benjamini-Hochberg over flows", kind="false discovery rate",
                  nominal=0.05, bound="at most"),
            _family("family", "Step-down max-T over the flows of the other part"),
        ),
    ),
    Scenario(
        name="flows beyond noise, null", family=FAMILY, n=600,
        setting="20 subjects against repeat scans of 20 others, 8 to 12 types, no change",
        draw=partial(_noise, n=20),
        claims=(_family("flows", "Excess over noise, bootstrap-t", "lt.beyond_noise",
                        "conservative with few subjects"),),
    ),
    Scenario(
        name="directions, null", family=FAMILY, n=600,
        setting="2 x 25 subjects in four sites that differ, no effect; severity from a score",
        draw=partial(_directions, n=25, effect=0.0),
        claims=(_family("measures", "Improvement, worsening, net and severity",
                        "lt.type_severity"),),
    ),
    Scenario(
        name="directions, planted", family=FAMILY, n=300,
        setting="2 x 25 subjects in four sites that differ, planted pathways at full effect",
        draw=partial(_directions, n=25, effect=1.0),
        claims=(Claim(key="net", method="lt.type_severity", kind="power", nominal=0.9,
                      quantity="Net improvement found", bound="at least"),),
    ),
    Scenario(
        name="early change, null", family=FAMILY, n=200,
        setting="2 x 30 subjects; a late outcome that baseline and arm decide",
        draw=partial(_early, n=30),
        claims=(_test("increment", "What early change adds, permutation", "lt.trajectories"),),
    ),
    Scenario(
        name="replication", family=FAMILY, n=500,
        setting="2 x 25 subjects per cohort; five flows frozen; second without and with effect",
        draw=partial(_second, n=25),
        claims=(
            _family("any", "A frozen flow in a cohort without effect", "lt.replicate_pathways"),
            Claim(key="power", method="lt.replicate_pathways", kind="power", nominal=0.8,
                  quantity="Frozen flows that replicate where there is an effect",
                  bound="at least"),
        ),
    ),
)  # fmt: skip
