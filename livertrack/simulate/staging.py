"""Cohorts for cirrhosis stage and shear stiffness: T1W, T2W and DWI volumes with a known truth.

What shows severity is the grain of the liver's texture, nodules of its surface and the size of the
spleen. Gain, receive field, noise, blur and the contrast of the texture are drawn for every
scan, whatever the severity: a mean intensity has nothing to find.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from livertrack._seeds import generator
from livertrack.errors import UsageError
from livertrack.simulate._staging_anatomy import (
    SPACING,
    VENDORS,
    Vendor,
    Volume,
    acquire_sequence,
    draw_body,
)

__all__ = [
    "SPACING",
    "Examination",
    "StagingCohort",
    "Volume",
    "simulate_cirrhosis",
    "simulate_stiffness",
    "stiffness_examinations",
]

#: severity from which stage 2 and stage 3 begin, and the error of who reads it
_STAGES, _READ = (0.36, 0.68), 0.09


class StagingCohort(NamedTuple):
    """Frame with one row per subject, and the volumes of its sequences in the same order."""

    frame: pd.DataFrame
    scans: list[dict[str, Volume]]
    spacing: tuple[float, float, float] = SPACING


class Examination(NamedTuple):
    """One examination: its row of the frame, and the volumes of its sequences."""

    row: dict[str, Any]
    volumes: dict[str, Volume]


def simulate_cirrhosis(
    n: int, *, seed: int, missing: float = 0.14, sequences: Sequence[str] = ("T1W", "T2W")
) -> StagingCohort:
    """Subjects with cirrhosis of three radiological stages, T1W and T2W.

    Parameters
    ----------
    n : int
        Subjects.
    seed : int
        Decides everything; a subject does not depend on how many there are.
    missing : float
        Probability that one of the two sequences is missing (46 of 337 in CirrMRI600+).
    sequences : sequence of str
        Of T1W, T2W, DWI.

    Returns
    -------
    StagingCohort
        ``frame``: ``USUBJID, AGE`` (years), ``SEX, VENDOR, SEVERITY`` (truth, 0 to 1), ``STAGE``
        (1 mild, 2 moderate, 3 severe, read with error).
    """
    _require(n, missing)
    rows, scans = [], []
    for number in range(1, n + 1):
        rng = generator(seed, "cirrhosis", number)
        severity = float(rng.uniform())
        read = severity + _READ * float(rng.normal())
        stage = 1 + sum(read > cut for cut in _STAGES)
        age = float(np.clip(np.round(rng.normal(58, 10)), 22, 88))
        bmi = float(np.clip(rng.normal(28, 5), 17, 48))
        vendor = VENDORS[int(rng.choice(len(VENDORS), p=[0.5, 0.3, 0.2]))]
        sex = "F" if rng.random() < 0.42 else "M"
        held = list(sequences)
        if len(held) > 1 and rng.random() < missing:
            held.pop(int(rng.integers(len(held))))
        scans.append(_volumes(seed, number, held, severity, bmi, 0.05, vendor))
        rows.append({
            "USUBJID": str(number), "AGE": age, "SEX": sex, "VENDOR": vendor.name,
            "SEVERITY": severity, "STAGE": stage,
        })  # fmt: skip
    return StagingCohort(pd.DataFrame(rows), scans)


def simulate_stiffness(
    n: int, *, seed: int, missing: float = 0.08, external: bool = False, repeated: int = 0
) -> StagingCohort:
    """Subjects with chronic liver disease: T1W, T2W, DWI, a clinical table, and stiffness.

    Parameters
    ----------
    n : int
        Subjects.
    seed : int
        Decides everything; a subject does not depend on how many there are.
    missing : float
        Probability that a sequence (never the last one), or a clinical value, is missing.
    external : bool
        Another institution: one site of its own, most scans by vendor C.
    repeated : int
        Subjects, the first ones, with a second examination half a year to three years later.

    Returns
    -------
    StagingCohort
        ``frame``: ``USUBJID``, ``AVISIT`` (where there are second examinations), ``SITEID,
        VENDOR, SCANDT`` (ISO 8601), ``AGE`` (years), ``SEX, BMI`` (kg/m2), ``STEATOSIS`` (Y or
        N: fat fraction of 5 % or more), ``ALT, AST`` (U/L), ``PLAT`` (10^9/L), ``KPA``. Labs
        follow stiffness weakly; fat follows BMI and not stiffness.
    """
    made = list(
        stiffness_examinations(n, seed=seed, missing=missing, external=external, repeated=repeated)
    )
    frame = pd.DataFrame([examination.row for examination in made])
    return StagingCohort(frame, [examination.volumes for examination in made])


def stiffness_examinations(
    n: int, *, seed: int, missing: float = 0.08, external: bool = False, repeated: int = 0
) -> Iterator[Examination]:
    """Examinations of `simulate_stiffness` one by one, so that thousands need no memory."""
    _require(n, missing)
    if not 0 <= repeated <= n:
        msg = f"repeated is a number of subjects, 0 to {n}, got {repeated}"
        raise UsageError(msg)
    for number in range(1, n + 1):
        rng = generator(seed, "stiffness", "external" if external else "internal", number)
        severity = float(rng.beta(1.0, 1.4))
        site, chances = ("S9", (0.15, 0.15, 0.7)) if external else _site(rng)
        bmi = float(np.clip(rng.normal(30, 6), 16, 52))
        fat = float(np.clip(rng.gamma(1.2, 0.035) * np.exp(0.05 * (bmi - 30)), 0.0, 0.45))
        age = float(np.round(np.clip(rng.normal(50, 15), 10, 88)))
        sex = "F" if rng.random() < 0.5 else "M"
        day = pd.Timestamp("2018-01-01") + pd.Timedelta(days=int(rng.integers(0, 2000)))
        for visit in range(1 + (number <= repeated)):
            if visit:
                later = int(rng.integers(180, 1100))
                day = day + pd.Timedelta(days=later)
                age = age + round(later / 365.25)
                severity = float(np.clip(severity + rng.normal(0.02, 0.08), 0.0, 1.0))
            kpa = float(np.clip(1.9 * np.exp(1.45 * severity + rng.normal(0.0, 0.13)), 1.2, 12.0))
            vendor = VENDORS[int(rng.choice(len(VENDORS), p=chances))]
            values = {
                "AGE": age,
                "BMI": round(bmi, 1),
                "ALT": round(30 * float(np.exp(rng.normal(0.25 * severity, 0.5))), 1),
                "AST": round(27 * float(np.exp(rng.normal(0.5 * severity, 0.4))), 1),
                "PLAT": round(250 * float(np.exp(rng.normal(-0.45 * severity, 0.25)))),
            }
            sequences = ["T1W", "T2W", "DWI"]
            held = [s for s in sequences if rng.random() >= missing] or ["T1W"]
            gone = [name for name in values if rng.random() < missing]
            volumes = _volumes(
                seed, number + 100_000 * (1 + external), held, severity, bmi, fat, vendor,
                visit=visit,
            )  # fmt: skip
            name = f"{'X' if external else 'K'}{number:04d}"
            shown = {"AVISIT": f"Examination {visit + 1}"} if repeated else {}
            yield Examination(
                {
                    "USUBJID": name, **shown, "SITEID": site, "VENDOR": vendor.name,
                    "SCANDT": day.strftime("%Y-%m-%d"), **values, "SEX": sex,
                    "STEATOSIS": "Y" if fat >= 0.05 else "N", **dict.fromkeys(gone, np.nan),
                    "KPA": round(kpa, 2),
                },
                volumes,
            )  # fmt: skip


def _site(rng: np.random.Generator) -> tuple[str, tuple[float, float, float]]:
    """One of three sites and what scanners it has."""
    chances = ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.34, 0.33, 0.33))
    place = int(rng.choice(3, p=[0.5, 0.3, 0.2]))
    return f"S{place + 1}", chances[place]


def _volumes(
    seed: int, number: int, sequences: Sequence[str], severity: float, bmi: float, fat: float,
    vendor: Vendor, *, visit: int = 0,
) -> dict[str, Volume]:  # fmt: skip
    """Volumes of an examination; each sequence has a stream of its own, the body is the same."""
    rng = generator(seed, "staging", number, "body")
    contrast = 0.15 * float(np.exp(rng.normal(0.0, 0.25)))
    body = draw_body(rng, severity=severity, bmi=bmi)
    again: tuple[str | int, ...] = ("again", visit) if visit else ()
    return {
        name: acquire_sequence(
            generator(seed, "staging", number, name, *again), body, name, vendor=vendor,
            steatosis=fat, contrast=contrast, bmi=bmi,
        )
        for name in sequences
    }  # fmt: skip


def _require(n: int, missing: float) -> None:
    if n < 1 or not 0 <= missing < 1:
        msg = f"n is at least 1 and missing a proportion below 1, got {n} and {missing}"
        raise UsageError(msg)
