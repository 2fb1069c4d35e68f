"""Writes the invented trial behind the reference numbers that the package ships.

    python tests/reference/qualification.py && Rscript tests/reference/qualification.R

Three files under livertrack/validation/data: a trial of two arms (one row per subject), its
recurrent events, and flows between tissue types. No subject exists.
"""

from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parents[2] / "livertrack/validation/data"


def trial(rng: np.random.Generator, n: int = 80) -> pd.DataFrame:
    active = np.arange(n) % 2 == 0
    stratum = np.where(rng.random(n) < 0.4, "diabetes", "none")
    age = np.round(rng.normal(52, 10, n), 1)
    base = np.round(rng.gamma(9, 1.9, n), 2)
    frailty = rng.normal(size=n)
    chg = 2.5 - 0.25 * base - 2.4 * active + 0.8 * (stratum == "diabetes") + rng.normal(0, 3, n)
    alt = 10 - 8 * active + 2.0 * chg + rng.normal(0, 14, n)
    visits = chg[:, None] * [0.4, 0.7, 1.0] + rng.normal(0, 1.2, (n, 3)) * [1.0, 1.1, 1.2]
    hazard = 0.05 * np.exp(-0.5 * active + 0.02 * (age - 52) + 0.4 * frailty)
    event, stop = rng.exponential(1 / hazard), np.minimum(rng.exponential(40, n), 36)
    cause = np.where(rng.random(n) < 0.65, "progression", "transplant")
    stage = np.digitize(1.2 * frailty + rng.logistic(size=n), [-1.5, 0, 1.2, 2.6])
    later = np.digitize(
        1.2 * frailty + 0.6 * rng.logistic(size=n) - 0.6 * active, [-1.5, 0, 1.2, 2.6]
    )
    true = rng.normal(12, 3, n)
    readings = true[:, None] + [0.0, 0.7, -0.4] + rng.normal(0, 1.4, (n, 3))
    logs = np.log([0.45, 0.25, 0.15, 0.1, 0.05]) + rng.normal(0, 0.45, (n, 5))
    logs[:, 2] += 0.35 * active
    shares = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    shares = np.round(shares, 4)
    shares[:, 0] = np.round(1 - shares[:, 1:].sum(axis=1), 4)
    # some leave before the last visits, some miss one between
    visits[rng.random((n, 3)) < [0.0, 0.06, 0.0]] = np.nan
    left = rng.random(n) < 0.18
    visits[left, 2] = np.nan
    visits[left & (rng.random(n) < 0.5), 1] = np.nan
    alt[rng.random(n) < 0.06] = np.nan
    frame = pd.DataFrame(
        {
            "USUBJID": [f"Q{number:03d}" for number in range(1, n + 1)],
            "SITEID": np.array(["01", "02", "03"])[rng.integers(0, 3, n)],
            "TRT01P": np.where(active, "Active", "Placebo"), "STRATUM": stratum, "AGE": age,
            "BASE": base, "CHG": np.where(left, np.nan, np.round(chg, 2)), "ALT": np.round(alt, 1),
            "CHG12": np.round(visits[:, 0], 2), "CHG24": np.round(visits[:, 1], 2),
            "CHG48": np.round(visits[:, 2], 2),
            "RESPONSE": (rng.random(n) < np.where(active, 0.5, 0.25) + 0.01 * (base - 17)).astype(int),
            "TIME": np.maximum(np.ceil(2 * np.minimum(event, stop)) / 2, 0.5),
            "CNSR": (event > stop).astype(int), "CAUSE": np.where(event > stop, "", cause),
            "STAGE0": stage, "STAGE1": later,
            **{f"RATER{k + 1}": np.round(readings[:, k], 2) for k in range(3)},
        }
    )  # fmt: skip
    return frame.assign(**{f"TV{k + 1:02d}": shares[:, k] for k in range(5)})


def recurrences(rng: np.random.Generator, n: int = 60) -> pd.DataFrame:
    rows = []
    for number in range(n):
        arm = ("Active", "Placebo")[number % 2]
        rate = 0.12 * rng.gamma(1.5, 1 / 1.5) * (0.6 if arm == "Active" else 1.0)
        end, time = round(float(rng.uniform(8, 24)), 1), 0.0
        while (time := round(time + float(rng.exponential(1 / rate)) + 0.05, 1)) < end:
            rows.append((f"Q{number + 1:03d}", arm, time, 0))
        rows.append((f"Q{number + 1:03d}", arm, end, 1))
    return pd.DataFrame(rows, columns=["USUBJID", "TRT01P", "AVAL", "CNSR"])


def flows(rng: np.random.Generator, n: int = 12) -> pd.DataFrame:
    rows = []
    for number in range(n):
        arm = ("Active", "Placebo")[number % 2]
        cube = rng.gamma(0.6, 1, (3, 3)) + 4 * np.eye(3)
        cube[0, 1] += 1.2 * (arm == "Active")
        cube = np.round(cube / cube.sum(), 4)
        cube[2, 2] = round(1 - (cube.sum() - cube[2, 2]), 4)
        rows += [
            (f"Q{number + 1:03d}", arm, i + 1, j + 1, cube[i, j])
            for i in range(3)
            for j in range(3)
        ]
    return pd.DataFrame(rows, columns=["USUBJID", "TRT01P", "FROMTYPE", "TOTYPE", "AVAL"])


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20261121)
    trial(rng).to_csv(FOLDER / "trial.csv", index=False)
    recurrences(rng).to_csv(FOLDER / "recurrences.csv", index=False)
    flows(rng).to_csv(FOLDER / "flows.csv", index=False)


if __name__ == "__main__":
    main()
