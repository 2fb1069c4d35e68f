"""Power of change pathways, and of the signature beside the measures a trial has, by effect.

    OMP_NUM_THREADS=1 python analysis/benchmarks/pathways_power.py [--trials 40] [--out FOLDER]

Trials are simulated as records (`livertrack.simulate.flows`): placebo against the full dose, ten
types, sites that differ and scanners that drift. ``pathways_power.csv``: share of trials in which
the largest planted flow, any flow and the global test were significant, and mean share of planted
flows among the first five, by subjects per arm and effect (0: error rates).
``signature_separation.csv``: mean g of the cross-fitted signature score and of ALT, fat fraction
and stiffness on the same subjects, and how often the score was better or worse with an interval
that excludes zero.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack._seeds import generator
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
VISITS = {"Baseline": 0, "Week 48": 48}


def trial_of(n: int, effect: float, seed: int) -> FlowTrial:
    return simulate_flows(
        n_per_arm=n, seed=seed, effect=effect, arms=ARMS, visits={"Week 48": 1.0},
        vocabulary=WORDS, settings=ROUGH,
    )  # fmt: skip


def pathways(trial: FlowTrial, seed: int) -> dict[str, float]:
    result = lt.change_pathways(
        trial.adpath, reference="Placebo", subjects=trial.adsl, strata="SITEID", n_perm=199,
        seed=seed,
    )  # fmt: skip
    table = result.table[result.table["tested"].astype(bool)]
    moved = trial.truth[trial.truth["FROMTYPE"] != trial.truth["TOTYPE"]]
    truth = moved.set_index(["FROMTYPE", "TOTYPE"])["DIFFERENCE"]
    largest = truth.abs().idxmax() if truth.abs().max() > 0 else (3, 2)
    row = table[(table["from_type"] == largest[0]) & (table["to_type"] == largest[1])]
    order = table["statistic"].abs().sort_values(ascending=False).index[:5]
    state = WORDS.argmax(axis=0) + 1
    first = [
        (state[a - 1], state[b - 1]) in PLANTED
        for a, b in table.loc[order, ["from_type", "to_type"]].to_numpy()
    ]
    joint = result.global_test.set_index("statistic_name")["p_value"]
    return {
        "largest_flow": float((row["p_adjusted"] <= 0.05).any()),
        "any_flow": float((table["p_adjusted"] <= 0.05).any()),
        "global_test": float(joint["sum of squared statistics"] <= 0.05),
        "planted_in_first_five": float(np.mean(first)),
    }


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
        alt = labs[labs["PARAMCD"] == "ALT"].set_index("AVISIT")["AVAL"]
        rng = generator(seed, "measures", place)
        seen = {
            visit: simulate_measures(
                rng, trial.states[visit][place], severity.physiology, visit=visit, week=week,
                settings=settings,
            ).set_index("PARAMCD")["AVAL"]
            for visit, week in VISITS.items()
        }  # fmt: skip
        change = seen["Week 48"] - seen["Baseline"]
        rows.append(
            {
                "USUBJID": person, "TRT01P": arm, "ALT": alt["Week 48"] - alt["Baseline"],
                "PDFF": change["PDFF"], "STIFF": change["STIFF"],
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
    own = result.measures.set_index("measure")["g"]
    pairs = result.table.query("metric == 'g' and measure_1 == 'signature'")
    pairs = pairs.set_index("measure_2")
    return {
        name: {
            "g_signature": float(own["signature"]), "g_measure": float(-own[name]),
            "difference": float(pairs.loc[name, "difference"]),
            "better": float(pairs.loc[name, "conf_low"] > 0),
            "worse": float(pairs.loc[name, "conf_high"] < 0),
        }
        for name in ("ALT", "PDFF", "STIFF")
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10, 20, 40])
    parser.add_argument("--effects", type=float, nargs="*", default=[0.0, 0.25, 0.5, 1.0])
    parser.add_argument("--separation-size", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    power: list[dict[str, Any]] = []
    apart: list[dict[str, Any]] = []
    for effect in arguments.effects:
        for n in arguments.sizes:
            start = time.process_time()
            for number in range(arguments.trials):
                seed = 10_000 + number
                trial = trial_of(n, effect, seed)
                power.append({"effect": effect, "n_per_arm": n, **pathways(trial, seed)})
                if n == arguments.separation_size:
                    apart += [
                        {"effect": effect, "n_per_arm": n, "measure": name, **row}
                        for name, row in separation(trial, effect, seed).items()
                    ]
            print(f"effect {effect}, n {n}: {time.process_time() - start:.0f} CPU s", flush=True)
    for name, rows, keys in (
        ("pathways_power", power, ["effect", "n_per_arm"]),
        ("signature_separation", apart, ["effect", "n_per_arm", "measure"]),
    ):
        if not rows:
            continue
        table = pd.DataFrame(rows).groupby(keys).mean().round(3).reset_index()
        table.insert(len(keys), "trials", arguments.trials)
        table.to_csv(arguments.out / f"{name}.csv", index=False)
        print(table.to_string(index=False))


if __name__ == "__main__":
    main()
