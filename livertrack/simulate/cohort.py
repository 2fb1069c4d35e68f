"""Who is in the trial: covariates, sites, scanners, randomisation, illness at baseline."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from livertrack._seeds import generator
from livertrack.simulate.severity import Severity, draw_severity


def draw_cohort(
    seed: int, *, n_per_arm: int, arms: Sequence[str], n_sites: int, n_scanners: int,
    prefix: str = "SIM",
) -> pd.DataFrame:  # fmt: skip
    """Draw the subjects of a trial, one row each.

    Age, sex, body mass index and diabetes are those of trials of steatohepatitis: mean age about
    52 years, two thirds women, mean 35 kg/m2, half with type 2 diabetes (FLINT: Neuschwander-Tetri
    et al., Lancet 2015;385:956). Randomisation is 1:1, in permuted blocks within diabetes; what is
    left over in the strata is allocated together, so that the arms are of equal size.

    Returns
    -------
    DataFrame
        ``NUMBER`` (1, 2, ...), ``USUBJID, SITEID, TRT01P, TRT01PN, AGE, SEX, BMIBL, DIABFL,
        SCANNER`` (index of the scanner, 0 upwards).
    """
    n = n_per_arm * len(arms)
    rng = generator(seed, "cohort")
    site = rng.integers(0, n_sites, n)
    scanner = [_scanner_of(int(s), i, n_sites, n_scanners) for i, s in enumerate(site)]
    diabetes = rng.random(n) < 0.5
    female = rng.random(n) < 0.63
    age = np.clip(np.rint(rng.normal(52, 11, n)), 20, 78).astype(int)
    bmi = np.clip(rng.normal(34.0 + 1.0 * diabetes, 5.0, n), 23, 52).round(1)
    arm = _randomise(generator(seed, "randomisation"), diabetes, len(arms))
    return pd.DataFrame(
        {
            "NUMBER": np.arange(1, n + 1),
            "USUBJID": [f"{prefix}-{s + 1:02d}-{i + 1:03d}" for i, s in enumerate(site)],
            "SITEID": [f"{s + 1:02d}" for s in site],
            "TRT01P": [arms[a] for a in arm],
            "TRT01PN": arm + 1,
            "AGE": age,
            "SEX": np.where(female, "F", "M"),
            "BMIBL": bmi,
            "DIABFL": np.where(diabetes, "Y", "N"),
            "SCANNER": scanner,
        }
    )


def cohort_severity(seed: int, cohort: pd.DataFrame) -> list[Severity]:
    """Illness of each subject at baseline, in the order of the cohort, whatever the arm."""
    return [
        draw_severity(
            generator(seed, "severity", int(row["NUMBER"])),
            age=float(row["AGE"]), bmi=float(row["BMIBL"]), diabetes=row["DIABFL"] == "Y",
        )
        for row in cohort.to_dict("records")
    ]  # fmt: skip


def arm_doses(n_arms: int) -> list[float]:
    """Dose of each arm: 0 for the first, two thirds to 1 in equal steps for the others.

    Two active arms get 2/3 and 1, which places both published changes of ALT (see `labs`).
    """
    active = n_arms - 1
    if active < 1:
        return [0.0] * n_arms
    return [0.0, *np.linspace(2 / 3, 1.0, active).tolist()] if active > 1 else [0.0, 1.0]


def _scanner_of(site: int, subject: int, n_sites: int, n_scanners: int) -> int:
    """Scanner of a subject: sites share scanners where these are fewer, else have several."""
    own = [s for s in range(n_scanners) if s % n_sites == site] or [site % n_scanners]
    return own[subject % len(own)]


def _randomise(rng: np.random.Generator, stratum: np.ndarray, n_arms: int) -> np.ndarray:
    """Arm index of each subject: permuted blocks of one subject per arm within strata."""
    arm = np.full(stratum.size, -1)
    left: list[int] = []
    for level in (False, True):
        members = np.flatnonzero(stratum == level)
        whole = members.size - members.size % n_arms
        for start in range(0, whole, n_arms):
            arm[members[start : start + n_arms]] = rng.permutation(n_arms)
        left += members[whole:].tolist()
    for start in range(0, len(left), n_arms):
        arm[left[start : start + n_arms]] = rng.permutation(n_arms)
    return arm
