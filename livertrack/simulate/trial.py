"""A whole trial with a known truth, written as a study folder."""

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from livertrack._seeds import generator
from livertrack.errors import UsageError
from livertrack.simulate.anatomy import NOMINAL_FOV
from livertrack.simulate.clinic import ClinicSettings
from livertrack.simulate.cohort import arm_doses, cohort_severity, draw_cohort
from livertrack.simulate.dropout import simulate_dropout
from livertrack.simulate.intercurrent import event_records, simulate_stopping
from livertrack.simulate.labs import simulate_labs
from livertrack.simulate.member import Member, simulate_member
from livertrack.simulate.scan import SEQUENCES
from livertrack.simulate.scanner import ScanSettings, draw_scanner
from livertrack.simulate.severity import Severity
from livertrack.simulate.states import planted_flows
from livertrack.simulate.study_plan import demo_plan
from livertrack.simulate.subject import SHAPE, SPACING, VISITS
from livertrack.simulate.write import write_plan, write_records, write_truth

ARMS = ("Placebo", "Low dose", "High dose")
#: repeat measurement -> the visit whose liver it measures again
REPEATS = {"Rescan": "Baseline"}


@dataclass(frozen=True)
class SimulatedTrial:
    """A simulated trial on disk.

    Attributes
    ----------
    path : Path
        The study folder.
    adsl : DataFrame
        One row per subject.
    n_scans : int
        Scans written; each has three sequences.
    """

    path: Path
    adsl: pd.DataFrame
    n_scans: int


def simulate_trial(
    path: str | Path,
    *,
    n_per_arm: int = 16,
    seed: int,
    effect: float = 1.0,
    arms: Sequence[str] = ARMS,
    prefix: str = "SIM",
    shape: Sequence[int] = SHAPE,
    spacing: Sequence[float] = SPACING,
    n_sites: int = 4,
    n_scanners: int = 3,
    dropout: float = 0.1,
    discontinuation: float = 0.0,
    missed_scans: float = 0.03,
    rescans: int = 0,
    scan: ScanSettings | None = None,
    clinic: ClinicSettings | None = None,
    images: bool = True,
    title: str = "Simulated trial in steatohepatitis",
    workers: int | None = None,
) -> SimulatedTrial:
    """Simulate a randomised liver trial whose truth is known, and write its study folder.

    Every subject has a liver with eight true tissue states that evolve along planted pathways
    (`livertrack.simulate.states.FLOWS`); images follow MR signal equations; biopsies, labs, fat
    fraction, stiffness and events are read from the same truth, with their errors. The truth is
    in ``truth/``; the study can be read without it.

    Parameters
    ----------
    path : str or Path
        Folder to write; must not exist, or be empty. It appears when everything is written.
    n_per_arm : int
        Subjects per arm.
    seed : int
        Decides everything; the files are the same, byte by byte, with any number of workers.
    effect : float
        Multiplies the difference of the active arms from the first one; with 0 all arms follow
        the first one's process exactly.
    arms : sequence of str
        The first is the reference; the others are increasing doses.
    prefix : str
        Beginning of every USUBJID; another one for a second cohort.
    shape, spacing : (int, int, int), (float, float, float)
        Voxels and voxel size in mm, along left, back, head.
    n_sites, n_scanners : int
        Sites and scanners; a subject stays on one scanner.
    dropout : float
        Proportion of subjects who leave; who leaves depends on observed ALT (missing at random).
    discontinuation : float
        Proportion of subjects who stop treatment but stay in the trial (dataset adice); from then
        on they follow the reference arm. Who stops depends on observed ALT at baseline.
    missed_scans : float
        Probability that a subject in the trial misses the MRI of a follow-up visit.
    rescans : int
        Subjects, drawn from all arms, whose baseline MRI is made twice, the second time after
        repositioning (AVISIT ``Rescan``): what differs between the two is noise.
    scan : ScanSettings, optional
        Protocol, noise, receive field, blur, gain, breathing; the defaults are published figures.
    clinic : ClinicSettings, optional
        Noise of labs, biopsies and imaging measures, rates of events; likewise.
    images : bool
        False leaves out the images (and the imaging part of the plan), for large trials of the
        statistics alone.
    title : str
        Title in the plan.
    workers : int, optional
        Processes; by default joblib's own setting (``joblib.parallel_config``), else one.

    Returns
    -------
    SimulatedTrial

    Raises
    ------
    UsageError
        The folder is not empty, or an argument makes no sense.

    Notes
    -----
    The default of every noise level and effect names its source where it is defined:
    `ScanSettings`, `ClinicSettings`, `draw_severity`, `FLOWS`, `LIVER_STATES`, `yearly_hazard`.

    Examples
    --------
    >>> import livertrack as lt
    >>> trial = lt.simulate_trial("demo/study", n_per_arm=15, seed=1)  # doctest: +SKIP
    """
    target = Path(path)
    grid = _checked(
        target, n_per_arm, arms, shape, spacing, n_sites, n_scanners,
        {"dropout": dropout, "discontinuation": discontinuation},
    )  # fmt: skip
    if not 0 <= rescans <= n_per_arm * len(arms):
        msg = f"simulate_trial: rescans is a number of subjects, got {rescans}"
        raise UsageError(msg)
    scan, clinic = scan or ScanSettings(), clinic or ClinicSettings()
    settings = {
        "n_per_arm": n_per_arm, "seed": seed, "effect": effect, "arms": list(arms),
        "prefix": prefix,
        "shape": list(grid[0]), "spacing": list(grid[1]), "n_sites": n_sites,
        "n_scanners": n_scanners, "dropout": dropout,
        "discontinuation": discontinuation, "missed_scans": missed_scans,
        "rescans": rescans, "images": images,
        "scan": dataclasses.asdict(scan), "clinic": dataclasses.asdict(clinic),
    }  # fmt: skip
    cohort = draw_cohort(
        seed, n_per_arm=n_per_arm, arms=arms, n_sites=n_sites, n_scanners=n_scanners,
        prefix=prefix,
    )  # fmt: skip
    cohort["DOSE"] = cohort["TRT01P"].map(dict(zip(arms, arm_doses(len(arms)), strict=True)))
    severities = cohort_severity(seed, cohort)
    labs = _labs(seed, cohort, severities, effect=effect, clinic=clinic)
    stopping = simulate_stopping(
        generator(seed, "stopping"), cohort, labs, proportion=discontinuation, visits=VISITS
    )
    cohort["STOP"] = stopping.to_numpy()
    labs = _labs(seed, cohort, severities, effect=effect, clinic=clinic)
    leaving = simulate_dropout(
        generator(seed, "dropout"), cohort, labs, dropout=dropout, weeks=tuple(VISITS.values())
    )
    # who had left by then did not stop: no record changes, only what would have been
    cohort["STOP"] = cohort["STOP"].where(~leaving["WEEK"].le(cohort["STOP"]))
    labs = _labs(seed, cohort, severities, effect=effect, clinic=clinic)
    members = _members(
        cohort.assign(LEAVE=leaving["WEEK"]), severities, n_scanners=n_scanners,
        missed_scans=missed_scans, rescans=rescans,
        common={
            "seed": seed, "effect": effect, "visits": dict(VISITS), "shape": grid[0],
            "spacing": grid[1], "scan": scan, "clinic": clinic, "images": images,
        },
    )  # fmt: skip
    adsl = _adsl(cohort, leaving)
    adice = event_records(
        adsl, cohort.set_index("USUBJID")["STOP"], leaving.set_index("USUBJID")["WEEK"], VISITS
    )
    elapsed = {visit: week / max(VISITS.values()) for visit, week in VISITS.items() if week}
    planted = planted_flows(arms, arm_doses(len(arms)), elapsed, effect)
    plan = demo_plan(
        title=title, seed=seed, arms=arms, visits=list(VISITS), sequences=SEQUENCES,
        spacing=grid[1], min_voxels=_enough_voxels(*grid), imaging=images,
        repeats=REPEATS if rescans else {},
    )  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        for name in ("images", "masks", "truth/maps", "truth/deformations")[: 4 * images]:
            (folder / name).mkdir(parents=True)
        (folder / "truth").mkdir(exist_ok=True)
        found = Parallel(n_jobs=workers)(delayed(simulate_member)(m, folder) for m in members)
        frames = {
            name: pd.concat([part[name] for part in found], ignore_index=True) for name in found[0]
        }
        attended = {(m.subject, visit) for m in members for visit in m.clinic_visits}
        kept = [pair in attended for pair in zip(labs["USUBJID"], labs["AVISIT"], strict=True)]
        write_records(folder, adsl, {**frames, "adlb": labs[kept], "adice": adice})
        write_truth(folder, frames, cohort, members, planted, labs, settings)
        write_plan(folder, plan)
        folder.chmod(0o755)
        if target.exists():
            target.rmdir()
        folder.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return SimulatedTrial(target, adsl, len(frames["maps"]))


def _labs(
    seed: int,
    cohort: pd.DataFrame,
    severities: Sequence[Severity],
    *,
    effect: float,
    clinic: ClinicSettings,
) -> pd.DataFrame:
    """Lab values of all subjects at all visits, whether they will attend or not."""
    parts = [
        simulate_labs(
            generator(seed, "labs", int(row["NUMBER"])), severity, dose=float(row["DOSE"]),
            effect=effect, visits=VISITS, settings=clinic, stopped=_week(row.get("STOP")),
        ).assign(USUBJID=row["USUBJID"])
        for row, severity in zip(cohort.to_dict("records"), severities, strict=True)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _members(
    cohort: pd.DataFrame,
    severities: Sequence[Severity],
    *,
    n_scanners: int,
    missed_scans: float,
    rescans: int,
    common: dict[str, Any],
) -> list[Member]:
    """Decide what happens to each subject: scanner, visits attended, scans and biopsies made."""
    seed, clinic = common["seed"], common["clinic"]
    scanners = [
        draw_scanner(generator(seed, "scanner", i), f"Scanner {i + 1}", SEQUENCES, common["scan"])
        for i in range(n_scanners)
    ]
    first, *_, last = VISITS
    again = set(generator(seed, "rescans").permutation(cohort["NUMBER"])[:rescans].tolist())
    members = []
    for row, severity in zip(cohort.to_dict("records"), severities, strict=True):
        here = tuple(visit for visit, week in VISITS.items() if not week > row["LEAVE"])
        rng = generator(seed, "attendance", int(row["NUMBER"]))
        missed = dict(zip(VISITS, rng.random(len(VISITS)) < missed_scans, strict=True))
        declines = rng.random() < clinic.missed_biopsy
        members.append(
            Member(
                number=int(row["NUMBER"]), subject=str(row["USUBJID"]), dose=float(row["DOSE"]),
                bmi=float(row["BMIBL"]), severity=severity, scanner=scanners[int(row["SCANNER"])],
                clinic_visits=here,
                scan_visits=tuple(v for v in here if v == first or not missed[v]),
                biopsy_visits=(first, last) if last in here and not declines else (first,),
                repeats=dict(REPEATS) if row["NUMBER"] in again else {},
                withdrawn_week=_week(row["LEAVE"]), stopped_week=_week(row["STOP"]),
                **common,
            )
        )  # fmt: skip
    return members


def _week(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _enough_voxels(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> int:
    """Smallest liver the plan accepts: 500 voxels, or a tenth of a liver on a coarse grid."""
    scale = float(np.min(np.array(shape) * spacing / NOMINAL_FOV))
    liver = 1.1e6 * scale**3 / float(np.prod(spacing))
    return max(1, min(500, int(0.1 * liver)))


def _checked(
    target: Path, n_per_arm: int, arms: Sequence[str], shape: Sequence[int],
    spacing: Sequence[float], n_sites: int, n_scanners: int, proportions: dict[str, float],
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:  # fmt: skip
    problems = []
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        problems.append(f"{target} exists and is not empty; choose another folder or remove it")
    if n_per_arm < 1:
        problems.append(f"n_per_arm must be at least 1, got {n_per_arm}")
    if len(set(arms)) != len(arms) or len(arms) < 2:
        problems.append("arms must be at least two different names, the reference first")
    if len(shape) != 3 or min(shape) < 8:
        problems.append(f"shape must be three numbers of at least 8 voxels, got {tuple(shape)}")
    if len(spacing) != 3 or min(spacing) <= 0:
        problems.append(f"spacing must be three positive lengths in mm, got {tuple(spacing)}")
    if n_sites < 1 or n_scanners < 1:
        problems.append("n_sites and n_scanners must be at least 1")
    problems += [
        f"{name} is a proportion below 1, got {value}"
        for name, value in proportions.items()
        if not 0 <= value < 1
    ]
    if problems:
        raise UsageError("simulate_trial: " + "; ".join(problems))
    x, y, z = (int(n) for n in shape)
    dx, dy, dz = (float(step) for step in spacing)
    return (x, y, z), (dx, dy, dz)


def _adsl(cohort: pd.DataFrame, leaving: pd.DataFrame) -> pd.DataFrame:
    columns = ["USUBJID", "SITEID", "TRT01P", "TRT01PN", "AGE", "SEX", "BMIBL", "DIABFL"]
    adsl = cohort[columns].assign(
        FASFL="Y", SAFFL="Y", SCANNER=[f"Scanner {i + 1}" for i in cohort["SCANNER"]]
    )
    return adsl.merge(leaving[["USUBJID", "EOSSTT", "DCSREAS"]], on="USUBJID", validate="1:1")
