"""Power of change pathways, and of the signature beside the measures a trial has, by effect.

    OMP_NUM_THREADS=1 python analysis/benchmarks/pathways_power.py [--trials 200] [--out FOLDER]

Trials are simulated as records (`livertrack.simulate.flows`): placebo against the full dose, ten
types, sites that differ and scanners that drift. ``pathways_power.csv``: share of trials in which
a test is significant at 5 %, and mean share of planted flows among the first five, by subjects per
arm and effect (0: error rates). ``signature_separation.csv``: mean separation (g, AUC) of the
cross-fitted signature score and of ALT, fat fraction and stiffness on the same subjects, how often
the score is better, or worse, with a paired interval of the difference of AUC that excludes zero,
and how often that interval holds the mean difference of all trials. Both are written anew after
every 25 trials of each setting.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import livertrack as lt
from livertrack._seeds import generator
from livertrack.endpoints._pathways_flows import Flows, flows
from livertrack.endpoints._permutation import max_t_test
from livertrack.simulate import ClinicSettings
from livertrack.simulate.flows import (
    FlowSettings,
    FlowTrial,
    simulate_flows,
    split_vocabulary,
)
from livertrack.simulate.labs import simulate_labs
from livertrack.simulate.measures import simulate_measures
from livertrack.simulate.states import FLOWS

ARMS = ("Placebo", "Active")
ROUGH = FlowSettings(site_spread=0.4, drift=0.05, site_drift=0.03)
WORDS = split_vocabulary(10)
PLANTED = {(flow.source, flow.target) for flow in FLOWS}
OUT = "livertrack/validation"
N_PERM = 299
BATCH = 25
Row = dict[str, float]
VISITS = {"Baseline": 0, "Week 48": 48}


def trial_of(n: int, effect: float, seed: int) -> FlowTrial:
    return simulate_flows(
        n_per_arm=n, seed=seed, effect=effect, arms=ARMS, visits={"Week 48": 1.0},
        vocabulary=WORDS, settings=ROUGH,
    )  # fmt: skip


def part_of(trial: FlowTrial, n: int) -> FlowTrial:
    """Trial of the first ``n`` subjects of each arm; truth and states stay those of all."""
    rows = np.flatnonzero(trial.adsl.groupby("TRT01P").cumcount() < n)
    adsl = trial.adsl.iloc[rows]
    kept = [f[f["USUBJID"].isin(adsl["USUBJID"])] for f in (trial.adpath, trial.composition)]
    return replace(
        trial, adsl=adsl, adpath=kept[0], composition=kept[1],
        severities=tuple(trial.severities[row] for row in rows),
        states={visit: states[rows] for visit, states in trial.states.items()},
    )  # fmt: skip


def pathways(every: Flows, rows: NDArray[np.intp], truth: pd.DataFrame, seed: int) -> Row:
    """Tests of `lt.change_pathways` on some of the subjects, without its tables."""
    k = len(every.types)
    apart = ~np.eye(k, dtype=bool).ravel()
    cube, arm = every.cube[rows, 0, 0], every.arm[rows]
    columns = cube.reshape(len(rows), -1)[:, apart]
    tested = np.nanmean(columns, axis=0) >= 0.001
    given: dict[str, Any] = {
        "arms": ["Active"], "reference": "Placebo", "n_perm": N_PERM, "seed": seed,
        "strata": every.strata[rows],
    }  # fmt: skip
    test = max_t_test(columns[:, tested], arm, **given)
    net = max_t_test(cube.sum(axis=1) - cube.sum(axis=2), arm, **given)
    pairs = np.argwhere(~np.eye(k, dtype=bool))[tested]
    size = np.zeros((k, k))
    size[truth["FROMTYPE"] - 1, truth["TOTYPE"] - 1] = truth["DIFFERENCE"].abs()
    np.fill_diagonal(size, -1)
    largest = divmod(int(size.argmax()), k) if size.max() > 0 else (2, 1)
    p_adjusted, joint = test.p_adjusted[0], test.pairs[0]
    state = WORDS.argmax(axis=0) + 1
    first = np.argsort(-np.abs(joint.observed.statistic), kind="stable")[:5]
    return {
        "global_sum": float(joint.p_sum <= 0.05), "global_maximum": float(joint.p_max <= 0.05),
        "any_flow": float(np.nanmin(p_adjusted) <= 0.05),
        "largest_flow": float((p_adjusted[(pairs == largest).all(axis=1)] <= 0.05).any()),
        "any_net": float(np.nanmin(net.p_adjusted[0]) <= 0.05),
        "planted_in_first_five": float(
            np.mean([(state[a], state[b]) in PLANTED for a, b in pairs[first]])
        ),
    }  # fmt: skip


def check() -> None:
    """Compare with the public function on one trial."""
    trial = trial_of(15, 0.5, 1)
    every = flows_of(trial)
    mine = pathways(every, np.arange(len(every.subjects)), trial.truth, 1)
    result = lt.change_pathways(
        trial.adpath, reference="Placebo", subjects=trial.adsl, strata="SITEID", n_perm=N_PERM,
        seed=1,
    )  # fmt: skip
    joint = result.global_test.set_index("statistic_name")["p_value"]
    same = {
        "global_sum": joint["sum of squared statistics"] <= 0.05,
        "global_maximum": joint["maximum of the statistics"] <= 0.05,
        "any_flow": result.table["p_adjusted"].min() <= 0.05,
        "any_net": result.net["p_adjusted"].min() <= 0.05,
    }
    if any(bool(mine[name]) != bool(value) for name, value in same.items()):
        msg = f"lt.change_pathways finds {same}, this script {mine}"
        raise SystemExit(msg)


def flows_of(trial: FlowTrial) -> Flows:
    return flows(
        trial.adpath, arm="TRT01P", subject="USUBJID", visit=None, regions=None, strata="SITEID",
        subjects=trial.adsl,
    )  # fmt: skip


def measures(trial: FlowTrial, effect: float, seed: int) -> pd.DataFrame:
    """Change of each type and of ALT, fat fraction and stiffness, one row per subject."""
    settings, rows = ClinicSettings(), []
    late = trial.composition.pivot_table(index="USUBJID", columns="PARAMCD", values="CHG")
    for place, (person, arm) in enumerate(
        zip(trial.adsl["USUBJID"], trial.adsl["TRT01P"], strict=True)
    ):
        if person not in late.index:
            continue
        severity, dose = trial.severities[place], float(arm == "Active")
        labs = simulate_labs(
            generator(seed, "labs", place), severity, dose=dose, effect=effect, visits=VISITS,
            settings=settings,
        )  # fmt: skip
        alt = labs["AVAL"].to_numpy()[labs["PARAMCD"].to_numpy() == "ALT"]
        rng = generator(seed, "measures", place)
        before, after = (
            simulate_measures(
                rng, trial.states[visit][place], severity.physiology, visit=visit, week=week,
                settings=settings,
            )["AVAL"].to_numpy()
            for visit, week in VISITS.items()
        )  # fmt: skip
        fat, stiff, _ = after - before
        rows.append(
            {
                "USUBJID": person, "TRT01P": arm, "ALT": alt[1] - alt[0], "PDFF": fat,
                "STIFF": stiff,
            }
        )  # fmt: skip
    return pd.DataFrame(rows).merge(late.reset_index(), on="USUBJID")


def separation(trial: FlowTrial, effect: float, seed: int) -> dict[str, dict[str, float]]:
    data = measures(trial, effect, seed)
    # the types sum to one: the last is left out of the score
    types = [c for c in data.columns if c.startswith("TV")][:-1]
    result = lt.compare_separation(
        data, values=["ALT", "PDFF", "STIFF"], score={"signature": types}, reference="Placebo",
        n_boot=199, n_repeats=4, seed=seed,
        direction={"ALT": "lower", "PDFF": "lower", "STIFF": "lower"},
    )  # fmt: skip
    own = result.measures.set_index("measure")
    table = result.table[result.table["measure_1"] == "signature"].set_index("measure_2")
    auc, g = (table[table["metric"] == name] for name in ("auc", "g"))
    return {
        name: {
            "g_signature": float(own.loc["signature", "g"]),
            "g_measure": float(-own.loc[name, "g"]),
            "g_difference": float(g.loc[name, "difference"]),
            "auc_signature": float(own.loc["signature", "auc"]),
            "auc_measure": float(1 - own.loc[name, "auc"]),
            "auc_difference": float(auc.loc[name, "difference"]),
            "low": float(auc.loc[name, "conf_low"]), "high": float(auc.loc[name, "conf_high"]),
        }
        for name in ("ALT", "PDFF", "STIFF")
    }  # fmt: skip


def power_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean of every outcome by effect and size."""
    grouped = pd.DataFrame(rows).groupby(["effect", "n_per_arm"])
    table = grouped.mean().round(4).reset_index()
    table.insert(2, "trials", grouped.size().to_numpy())
    return table


def separation_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean separations, verdicts of the paired interval, and its coverage, by effect."""
    keys = ["effect", "n_per_arm", "measure"]
    frame = pd.DataFrame(rows)
    middle = frame.groupby(keys)["auc_difference"].transform("mean")
    low, high = frame.pop("low"), frame.pop("high")
    frame["better"], frame["worse"] = (low > 0).astype(float), (high < 0).astype(float)
    frame["coverage"] = ((low <= middle) & (middle <= high)).astype(float)
    frame["half_width"] = (high - low) / 2
    grouped = frame.groupby(keys)
    table = grouped.mean().round(4).reset_index()
    table.insert(3, "trials", grouped.size().to_numpy())
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10, 20, 40, 75])
    parser.add_argument("--effects", type=float, nargs="*", default=[0.0, 0.25, 0.5, 0.75, 1.0])
    parser.add_argument("--separation-size", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / OUT)
    arguments = parser.parse_args()
    check()
    power: list[dict[str, Any]] = []
    apart: list[dict[str, Any]] = []
    for first in range(0, arguments.trials, BATCH):
        start = time.process_time()
        seeds = range(10_000 + first, 10_000 + min(first + BATCH, arguments.trials))
        for effect, seed in product(arguments.effects, seeds):
            trial = trial_of(max(arguments.sizes), effect, seed)
            every = flows_of(trial)
            place = pd.Series(every.arm).groupby(every.arm).cumcount().to_numpy()
            for n in arguments.sizes:
                found = pathways(every, np.flatnonzero(place < n), trial.truth, seed)
                power.append({"effect": effect, "n_per_arm": n, **found})
                if n == arguments.separation_size:
                    apart += [
                        {"effect": effect, "n_per_arm": n, "measure": name, **row}
                        for name, row in separation(part_of(trial, n), effect, seed).items()
                    ]
        power_table(power).to_csv(arguments.out / "pathways_power.csv", index=False)
        if apart:
            table = separation_table(apart)
            table.to_csv(arguments.out / "signature_separation.csv", index=False)
        print(f"trials from {first}: {time.process_time() - start:.0f} CPU s", flush=True)
    print(power_table(power).to_string(index=False))
    if apart:
        print(separation_table(apart).to_string(index=False))


if __name__ == "__main__":
    main()
