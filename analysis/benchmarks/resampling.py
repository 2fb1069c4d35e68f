"""Speed of 10,000 resamples on 200 subjects, beside scipy, pingouin and R, in one run.

    OMP_NUM_THREADS=1 python analysis/benchmarks/resampling.py [--rounds 5] [--resamples 10000]

Cases: BCa limits of Hedges g and of the AUC, and step-down max-T p-values of 30 measures. One call
of `lt.separation` gives g, the AUC and Cliff's delta together; its whole time stands beside each
single quantity of the others. scipy gets vectorised statistics; pingouin takes one resample at a
time (percentile limits: it has no BCa); R boot and coin run in one process of their own. coin
standardises by the permutation variance, the others are Welch's statistic. Rounds alternate, so
that a busy machine slows all; a ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
from numpy.typing import NDArray
from scipy import stats
from scipy.special import gammaln

import livertrack as lt

Array = NDArray[np.float64]
TYPES = [f"TV{number:02d}" for number in range(1, 31)]


def trial(subjects: int = 200, seed: int = 20250801) -> pd.DataFrame:
    """Two arms; a change 0.4 SD apart; 30 correlated measures of which three differ."""
    rng = np.random.default_rng(seed)
    active = np.arange(subjects) % 2 == 1
    types = 0.6 * rng.normal(size=(subjects, 1)) + 0.8 * rng.normal(size=(subjects, len(TYPES)))
    types[:, :3] += 0.5 * active[:, None]
    frame = pd.DataFrame(types, columns=TYPES)
    frame.insert(0, "CHG", rng.normal(size=subjects) + 0.4 * active)
    frame.insert(0, "TRT01P", np.where(active, "A", "P"))
    frame.insert(0, "USUBJID", [f"{number:04d}" for number in range(subjects)])
    return frame


def hedges(x: Array, y: Array, axis: int = -1) -> Array:
    m, n = x.shape[axis], y.shape[axis]
    df = m + n - 2
    j = np.exp(gammaln(df / 2) - np.log(df / 2) / 2 - gammaln((df - 1) / 2))
    pooled = ((m - 1) * x.var(axis=axis, ddof=1) + (n - 1) * y.var(axis=axis, ddof=1)) / df
    return np.asarray(j * (x.mean(axis=axis) - y.mean(axis=axis)) / np.sqrt(pooled))


def auc(x: Array, y: Array, axis: int = -1) -> Array:
    m, n = x.shape[axis], y.shape[axis]
    ranks = stats.rankdata(np.concatenate([x, y], axis=axis), axis=axis)
    wins = np.take(ranks, np.arange(m), axis=axis).sum(axis=axis) - m * (m + 1) / 2
    return np.asarray(wins / (m * n))


def welch(x: Array, y: Array, axis: int = -1) -> Array:
    error = x.var(axis=axis, ddof=1) / x.shape[axis] + y.var(axis=axis, ddof=1) / y.shape[axis]
    return np.asarray(np.abs(x.mean(axis=axis) - y.mean(axis=axis)) / np.sqrt(error))


def step_down(observed: Array, null: Array) -> Array:
    """Step-down max-T from the null distribution (resamples x measures) of scipy."""
    order = np.argsort(-observed)
    largest = np.maximum.accumulate(null[:, order[::-1]], axis=1)[:, ::-1]
    p = (1 + (largest >= observed[order]).sum(0)) / (len(null) + 1)
    return np.maximum.accumulate(p)[np.argsort(order)]


def cases(data: pd.DataFrame, n: int) -> dict[tuple[str, str], Callable[[], object]]:
    active = data["TRT01P"].eq("A").to_numpy()
    change, types = data["CHG"].to_numpy(), data[TYPES].to_numpy().T
    x, y = change[active], change[~active]

    def ours() -> object:
        return lt.separation(data, reference="P", n_boot=n, seed=1)

    def scipy_bca(statistic: Callable[..., Array]) -> object:
        return stats.bootstrap(
            (x, y), statistic, n_resamples=n, method="BCa", vectorized=True, batch=1000, rng=1
        )

    def scipy_max_t() -> Array:
        test = stats.permutation_test(
            (types[:, active], types[:, ~active]), welch, n_resamples=n, vectorized=True,
            batch=1000, axis=-1, alternative="greater", rng=1,
        )  # fmt: skip
        return step_down(test.statistic, test.null_distribution)

    def pingouin_limits(statistic: Callable[..., Array]) -> object:
        return pingouin.compute_bootci(
            x, y, func=lambda a, b: float(statistic(a, b)), n_boot=n, method="per",
            paired=False, seed=1, decimals=6,
        )  # fmt: skip

    return {
        ("g", "livertrack"): ours,
        ("g", "scipy"): lambda: scipy_bca(hedges),
        ("g", "pingouin"): lambda: pingouin_limits(hedges),
        ("auc", "livertrack"): ours,
        ("auc", "scipy"): lambda: scipy_bca(auc),
        ("auc", "pingouin"): lambda: pingouin_limits(auc),
        ("max-T", "livertrack"): lambda: lt.max_t(
            data, values=TYPES, reference="P", n_perm=n, seed=1
        ),
        ("max-T", "scipy"): scipy_max_t,
    }


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_r(data: pd.DataFrame, n: int) -> list[tuple[str, str, float]]:
    rscript = shutil.which("Rscript")
    if rscript is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        data.to_csv(Path(folder) / "trial.csv", index=False)
        script = Path(__file__).with_suffix(".R")
        run = subprocess.run(
            [rscript, str(script), folder, str(n)], check=True, capture_output=True, text=True
        )
    rows = [line.split(",") for line in run.stdout.strip().splitlines()]
    return [(case, program, float(value)) for case, program, value in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data = trial()
    calls = cases(data, arguments.resamples)
    for call in cases(data, 50).values():
        call()  # everything is imported and warm
    timings: list[tuple[str, str, float]] = []
    for _ in range(arguments.rounds):
        timings += [(*name, seconds(call)) for name, call in calls.items()]
        timings += in_r(data, arguments.resamples)
    table = pd.DataFrame(timings, columns=["case", "program", "seconds"])
    medians = table.pivot_table("seconds", "case", "program", aggfunc="median")
    for program in medians.columns.drop("livertrack"):
        medians[f"{program} / livertrack"] = medians[program] / medians["livertrack"]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"{arguments.resamples:,} resamples, 200 subjects; seconds (median) and ratios")
    print(medians.T.to_string(float_format="{:.3g}".format, na_rep="-"))
    if arguments.out:
        facts = {"seconds": json.loads(medians.to_json(orient="index"))}
        arguments.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
