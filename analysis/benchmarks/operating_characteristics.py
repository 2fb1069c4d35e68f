"""Measures coverage and error rates again, and writes the table that the package ships.

    OMP_NUM_THREADS=1 python analysis/benchmarks/operating_characteristics.py --date 2026-11-21 \
        [--families "Events" ...] [--trials N] [--workers 2]

With families, only their rows are replaced. The date is written into the rows.
"""

from __future__ import annotations

import argparse
import time
from datetime import date
from pathlib import Path

import joblib
import pandas as pd

import livertrack.validation
from livertrack.validation.characteristics import operating_characteristics
from livertrack.validation.simulations import scenarios

TABLE = Path(livertrack.validation.__file__).with_name("operating_characteristics.csv")


def main() -> None:
    families = list(dict.fromkeys(scenario.family for scenario in scenarios()))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", nargs="*", choices=families, default=families)
    parser.add_argument("--trials", type=int, help="at most this many per scenario")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--date", type=date.fromisoformat, required=True)
    arguments = parser.parse_args()
    for family in arguments.families:
        start = time.perf_counter()
        with joblib.parallel_config(n_jobs=arguments.workers):
            found = operating_characteristics(
                families=[family], n=arguments.trials, measured=arguments.date
            )
        store(found)
        outside = found[found["verdict"] != "inside"]
        print(f"{family}: {len(found)} claims, {time.perf_counter() - start:.0f} s", flush=True)
        if len(outside):
            columns = ["setting", "quantity", "kind", "estimate", "nominal", "verdict"]
            print(outside[columns].to_string(index=False), flush=True)


def store(found: pd.DataFrame) -> None:
    """Put the rows of ``found`` into the table, in the order of the registry."""
    parts = [found]
    if TABLE.is_file():
        kept = pd.read_csv(TABLE, keep_default_na=False, dtype={"opening": str, "date": str})
        parts.append(kept[~kept["family"].isin(found["family"].unique())])
    order = {
        (scenario.name, claim.key): place
        for place, (scenario, claim) in enumerate(
            (scenario, claim) for scenario in scenarios() for claim in scenario.claims
        )
    }
    whole = pd.concat(parts, ignore_index=True)
    places = [order.get(key, -1) for key in zip(whole["scenario"], whole["key"], strict=True)]
    whole = whole.assign(place=places)
    whole = whole[whole["place"] >= 0].sort_values("place").drop(columns="place")
    for column in ("estimate", "mc_error", "band_low", "band_high"):
        whole[column] = pd.to_numeric(whole[column]).round(6)
    whole.to_csv(TABLE, index=False)


if __name__ == "__main__":
    main()
