"""Speed of `lt.mmrm` beside R's mmrm and nlme::gls, on the same data in the same run.

    OMP_NUM_THREADS=1 python analysis/benchmarks/mmrm_speed.py --data DATA [--rounds 3]

Cases, all unstructured with Satterthwaite df of every coefficient, formula parsing included:
fev_data (200 subjects x 4 visits), a simulated trial (1000 x 6), bcva_data (1000 x 10). Rounds of
Python and R alternate, so that a busy machine slows both; the ratio is that of the medians.
Then the growth with the number of subjects (to 100,000 x 6), its peak memory, and 10,000
bootstrap refits of the 200 x 4 trial.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

import livertrack as lt

FORMULAS = {
    "fev": "FEV1 ~ RACE + SEX + ARMCD * AVISIT + us(AVISIT | USUBJID)",
    "trial": "CHG ~ BASE * AVISIT + TRT01P * AVISIT + us(AVISIT | USUBJID)",
    "bcva": "BCVA_CHG ~ BCVA_BL + RACE + ARMCD * AVISIT + us(AVISIT | USUBJID)",
}


def simulated(subjects: int, visits: int = 6, seed: int = 20250801) -> pd.DataFrame:
    """A two-arm trial with correlated visits and 15 % of records missing at the end."""
    rng = np.random.default_rng(seed)
    lag = np.abs(np.subtract.outer(np.arange(visits), np.arange(visits)))
    factor = np.linalg.cholesky(0.3 + 0.7 * 0.6**lag)
    arm, base = rng.integers(2, size=subjects), rng.normal(size=subjects)
    change = rng.standard_normal((subjects, visits)) @ factor.T - 0.4 * base[:, None]
    change -= 0.2 * arm[:, None] * np.arange(visits) / visits
    last = np.where(rng.random(subjects) < 0.3, rng.integers(1, visits, size=subjects), visits)
    change[np.arange(visits) >= last[:, None]] = np.nan
    return pd.DataFrame(
        {
            "USUBJID": np.repeat(np.arange(subjects), visits),
            "AVISIT": np.tile([f"Week {4 * v:02d}" for v in range(visits)], subjects),
            "TRT01P": np.repeat(np.where(arm, "Treatment", "Placebo"), visits),
            "BASE": np.repeat(base, visits),
            "CHG": change.ravel(),
        }
    )


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def beside_r(frames: dict[str, pd.DataFrame], rounds: int) -> pd.DataFrame:
    timings: list[tuple[str, str, float]] = []
    script = Path(__file__).with_suffix(".R")
    rscript = shutil.which("Rscript")
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in frames.items():
            frame.to_csv(Path(folder) / f"{name}.csv", index=False)
        for number in range(rounds):
            for name, frame in frames.items():
                lt.mmrm(frame, FORMULAS[name])  # both programs run warm
                timings += [
                    (name, "livertrack", seconds(lambda f=frame, n=name: lt.mmrm(f, FORMULAS[n])))
                    for _ in range(3)
                ]
            if rscript:
                gls = "1" if number == 0 else "0"
                run = subprocess.run(
                    [rscript, str(script), folder, "2", gls],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
                for line in run.stdout.strip().splitlines():
                    case, program, value = line.split(",")
                    timings.append((case, program, float(value)))
    table = pd.DataFrame(timings, columns=["case", "program", "seconds"])
    medians = table.pivot_table("seconds", "case", "program", aggfunc="median")
    for program in medians.columns.drop("livertrack"):
        medians[f"{program} / livertrack"] = medians[program] / medians["livertrack"]
    return medians


def growth(sizes: tuple[int, ...] = (1_000, 10_000, 100_000)) -> pd.DataFrame:
    rows = []
    for size in sizes:
        frame = simulated(size)
        best = min(seconds(lambda f=frame: lt.mmrm(f, FORMULAS["trial"])) for _ in range(3))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append({"subjects": size, "seconds": best, "peak_memory_mb": peak})
    return pd.DataFrame(rows)


def bootstrap(frame: pd.DataFrame, n: int = 10_000, workers: int = 2) -> float:
    fit = lt.mmrm(frame, FORMULAS["fev"])
    with joblib.parallel_config(n_jobs=workers):
        return seconds(lambda: fit.bootstrap(n, seed=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data sets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    folder = arguments.data / "tab_mmrm_artificial/derived_csv"
    frames = {
        "fev": pd.read_csv(folder / "fev_data.csv"),
        "trial": simulated(1_000),
        "bcva": pd.read_csv(folder / "bcva_data.csv.gz"),
    }
    medians, grown = beside_r(frames, arguments.rounds), growth()
    resampled = bootstrap(frames["fev"])
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(medians.to_string(float_format="{:.4g}".format), "\n")
    print(grown.to_string(index=False, float_format="{:.4g}".format), "\n")
    print(f"10,000 bootstrap refits of 200 x 4 on 2 workers: {resampled:.1f} s")
    if arguments.out:
        facts = {
            "seconds": json.loads(medians.to_json(orient="index")),
            "growth": grown.to_dict("records"),
            "bootstrap_seconds": resampled,
        }
        arguments.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
