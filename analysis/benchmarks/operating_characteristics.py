"""Measures coverage and error rates again, and writes the table that the package ships.

    OMP_NUM_THREADS=1 python analysis/benchmarks/operating_characteristics.py --date 2026-11-21 \
        [--all | --only NAME ...] [--workers 2] [--list]

Without more, only simulations whose rows are absent, of another length, with other promises, or
whose first trials come out otherwise. Each is stored when it is done, so that an interrupted run
goes on where it was; notes and other words are taken over without measuring. The date is written
into the rows.
"""

from __future__ import annotations

import argparse
import time
from datetime import date
from pathlib import Path

import joblib
import pandas as pd

import livertrack.validation
from livertrack.validation._scenario import Scenario
from livertrack.validation.characteristics import (
    compare_with_release,
    operating_characteristics,
    released_characteristics,
)
from livertrack.validation.simulations import scenarios

TABLE = Path(livertrack.validation.__file__).with_name("operating_characteristics.csv")
#: trials that decide whether a simulation is measured again
LOOK = 4


def main() -> None:
    names = [scenario.name for scenario in scenarios()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", nargs="*", metavar="NAME", default=names)
    parser.add_argument("--trials", type=int, help="at most so many each; fewer than they name")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--date", type=date.fromisoformat, required=True)
    parser.add_argument("--list", action="store_true", help="say what is due, and stop")
    arguments = parser.parse_args()
    chosen = [scenario for scenario in scenarios() if scenario.name in arguments.only]
    due = [
        scenario for scenario in chosen if arguments.all or not current(scenario, arguments.trials)
    ]
    print(f"{len(due)} of {len(chosen)} simulations are due", flush=True)
    if arguments.list:
        print("\n".join(scenario.name for scenario in due))
        return
    if not due:
        store(pd.DataFrame())
    for scenario in due:
        start = time.perf_counter()
        with joblib.parallel_config(n_jobs=arguments.workers):
            found = operating_characteristics(
                names=[scenario.name], n=arguments.trials, measured=arguments.date
            )
        store(found)
        print(f"{scenario.name}: {found['n'].iloc[0]} trials, {time.perf_counter() - start:.0f} s")
        columns = ["quantity", "kind", "estimate", "nominal", "verdict"]
        print(found[columns].to_string(index=False, header=False), flush=True)


def current(scenario: Scenario, trials: int | None) -> bool:
    """Whether the table holds this simulation as it is now and long enough, but for its words."""
    if not TABLE.is_file():
        return False
    released = released_characteristics()
    rows = released[released["scenario"] == scenario.name]
    promises = ["key", "kind", "nominal", "bound"]
    stored = [tuple(row) for row in rows[promises].to_numpy().tolist()]
    wanted = [(claim.key, claim.kind, claim.nominal, claim.bound) for claim in scenario.claims]
    if stored != wanted or rows["n"].min() < min(scenario.n, trials or scenario.n):
        return False
    first = operating_characteristics(names=[scenario.name], n=LOOK)
    return bool(compare_with_release(first, released)["same_trials"].all())


def store(found: pd.DataFrame) -> None:
    """Put the rows of ``found`` into the table; words and order are those of the registry."""
    parts = [found]
    if TABLE.is_file():
        kept = pd.read_csv(TABLE, keep_default_na=False, dtype={"opening": str, "date": str})
        if len(found):
            kept = kept[~kept["scenario"].isin(found["scenario"].unique())]
        parts.append(kept)
    words = pd.DataFrame(
        [
            (s.name, c.key, s.family, c.method, c.quantity, s.setting, c.note)
            for s in scenarios()
            for c in s.claims
        ],
        columns=["scenario", "key", "family", "method", "quantity", "setting", "note"],
    )
    columns = list(parts[-1].columns)
    numbers = pd.concat(parts, ignore_index=True).drop(columns=list(words.columns[2:]))
    whole = words.merge(numbers, on=["scenario", "key"], how="inner")[columns]
    for column in ("estimate", "mc_error", "band_low", "band_high"):
        whole[column] = pd.to_numeric(whole[column]).round(6)
    whole.to_csv(TABLE, index=False)


if __name__ == "__main__":
    main()
