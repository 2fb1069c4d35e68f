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
import yaml
from joblib import Parallel, delayed

from livertrack._files import write_json, write_text
from livertrack._seeds import generator
from livertrack.errors import UsageError
from livertrack.plan import Plan
from livertrack.simulate import tissue
from livertrack.simulate.clinic import ClinicSettings
from livertrack.simulate.cohort import arm_doses, cohort_severity, draw_cohort
from livertrack.simulate.dropout import simulate_dropout
from livertrack.simulate.labs import simulate_labs
from livertrack.simulate.member import Member, simulate_member
from livertrack.simulate.scan import SEQUENCES
from livertrack.simulate.scanner import ScanSettings, draw_scanner
from livertrack.simulate.states import planted_flows
from livertrack.simulate.study_plan import demo_plan
from livertrack.simulate.subject import SHAPE, SPACING, VISITS

ARMS = ("Placebo", "Low dose", "High dose")


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
    shape: Sequence[int] = SHAPE,
    spacing: Sequence[float] = SPACING,
    n_sites: int = 4,
    n_scanners: int = 3,
    dropout: float = 0.1,
    missed_scans: float = 0.03,
    scan: ScanSettings | None = None,
    clinic: ClinicSettings | None = None,
    images: bool = True,
    title: str = "Simulated trial in steatohepatitis",
    workers: int | None = None,
) -> SimulatedTrial:
    """Simulate a randomised liver trial whose tissue changes are known, and write its study folder.

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
    shape, spacing : (int, int, int), (float, float, float)
        Voxels and voxel size in mm, along left, back, head.
    n_sites, n_scanners : int
        Sites and scanners; a subject stays on one scanner.
    dropout : float
        Proportion of subjects who leave; who leaves depends on observed ALT (missing at random).
    missed_scans : float
        Probability that a subject in the trial misses the MRI of a follow-up visit.
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
    grid = _checked(target, n_per_arm, arms, shape, spacing, n_sites, n_scanners, dropout)
    scan, clinic = scan or ScanSettings(), clinic or ClinicSettings()
    settings = {
        "n_per_arm": n_per_arm, "seed": seed, "effect": effect, "arms": list(arms),
        "shape": list(grid[0]), "spacing": list(grid[1]), "n_sites": n_sites,
        "n_scanners": n_scanners, "dropout": dropout, "missed_scans": missed_scans,
        "images": images, "scan": dataclasses.asdict(scan), "clinic": dataclasses.asdict(clinic),
    }  # fmt: skip
    cohort = draw_cohort(
        seed, n_per_arm=n_per_arm, arms=arms, n_sites=n_sites, n_scanners=n_scanners
    )
    doses = dict(zip(arms, arm_doses(len(arms)), strict=True))
    severities = cohort_severity(seed, cohort)
    labs = pd.concat(
        [
            simulate_labs(
                generator(seed, "labs", int(row.NUMBER)), severity, dose=doses[row.TRT01P],
                effect=effect, visits=VISITS, settings=clinic,
            ).assign(USUBJID=row.USUBJID)
            for row, severity in zip(cohort.itertuples(), severities, strict=True)
        ],
        ignore_index=True,
    )  # fmt: skip
    leaving = simulate_dropout(
        generator(seed, "dropout"), cohort, labs, dropout=dropout, weeks=tuple(VISITS.values())
    )
    scanners = [
        draw_scanner(generator(seed, "scanner", i), f"Scanner {i + 1}", SEQUENCES, scan)
        for i in range(n_scanners)
    ]
    members = []
    for row, severity, week in zip(cohort.itertuples(), severities, leaving["WEEK"], strict=True):
        here = [v for v, w in VISITS.items() if w == 0 or not week < w]
        rng = generator(seed, "attendance", int(row.NUMBER))
        missed = dict(zip(VISITS, rng.random(len(VISITS)) < missed_scans, strict=True))
        declines = rng.random() < clinic.missed_biopsy
        first, last = list(VISITS)[0], list(VISITS)[-1]
        members.append(
            Member(
                seed=seed, number=int(row.NUMBER), subject=row.USUBJID, dose=doses[row.TRT01P],
                effect=effect, bmi=float(row.BMIBL), severity=severity,
                scanner=scanners[row.SCANNER], visits=dict(VISITS), clinic_visits=tuple(here),
                scan_visits=tuple(v for v in here if v == first or not missed[v]),
                biopsy_visits=(first, last) if last in here and not declines else (first,),
                withdrawn_week=None if np.isnan(week) else float(week),
                shape=grid[0], spacing=grid[1], scan=scan, clinic=clinic, images=images,
            )
        )  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        for name in (
            ("images", "masks", "truth/maps", "truth/deformations") if images else ("truth",)
        ):
            (folder / name).mkdir(parents=True)
        found = Parallel(n_jobs=workers)(delayed(simulate_member)(m, folder) for m in members)
        frames = {
            name: pd.concat([part[name] for part in found], ignore_index=True) for name in found[0]
        }
        adsl = _adsl(cohort, leaving)
        attended = {(m.subject, visit) for m in members for visit in m.clinic_visits}
        frames["adlb"] = labs[
            [pair in attended for pair in zip(labs["USUBJID"], labs["AVISIT"], strict=True)]
        ]
        _write_records(folder, adsl, frames)
        _write_truth(folder, frames, cohort, members, planted_flows(
            arms, list(doses.values()), {v: w / max(VISITS.values()) for v, w in VISITS.items() if w},
            effect,
        ), settings)  # fmt: skip
        liver = 1_100_000.0 * float(np.min(np.array(grid[0]) * grid[1] / (288, 216, 128))) ** 3
        _write_plan(folder, demo_plan(
            title=title, seed=seed, arms=arms, visits=list(VISITS), sequences=SEQUENCES,
            spacing=grid[1], min_voxels=max(1, min(500, int(0.1 * liver / np.prod(grid[1])))),
            imaging=images,
        ))  # fmt: skip
        folder.chmod(0o755)
        if target.exists():
            target.rmdir()
        folder.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return SimulatedTrial(target, adsl, len(frames["maps"]))


def _checked(
    target: Path, n_per_arm: int, arms: Sequence[str], shape: Sequence[int],
    spacing: Sequence[float], n_sites: int, n_scanners: int, dropout: float,
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
    if not 0 <= dropout < 1:
        problems.append(f"dropout is a proportion below 1, got {dropout}")
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


def _write_records(folder: Path, adsl: pd.DataFrame, frames: dict[str, pd.DataFrame]) -> None:
    (folder / "adam").mkdir()
    site = adsl[["USUBJID", "SITEID"]]
    _csv(folder / "adam/adsl.csv", adsl.sort_values("USUBJID"))
    for name in ("adlb", "adbx", "adim"):
        records = frames[name].merge(site, on="USUBJID", validate="m:1")
        records["ABLFL"] = np.where(records["AVISITN"] == 0, "Y", "")
        records["ADY"] = records["AVISITN"] * 7 + 1
        columns = [
            "USUBJID", "SITEID", "PARAMCD", "PARAM", "AVISIT", "AVISITN", "ADY", "AVAL", "ABLFL",
        ]  # fmt: skip
        ordered = records[columns].sort_values(["USUBJID", "PARAMCD", "AVISITN"])
        _csv(folder / f"adam/{name}.csv", ordered)
    events = frames["adtte"].merge(site, on="USUBJID", validate="1:1")
    _csv(folder / "adam/adtte.csv", events.sort_values("USUBJID"))
    if len(frames["images"]):
        _csv(folder / "images.csv", frames["images"])


def _write_truth(
    folder: Path,
    frames: dict[str, pd.DataFrame],
    cohort: pd.DataFrame,
    members: Sequence[Member],
    planted: pd.DataFrame,
    settings: dict[str, Any],
) -> None:
    truth = folder / "truth"
    arm = cohort[["USUBJID", "TRT01P"]]
    _csv(truth / "types.csv", tissue.types_frame())
    _csv(truth / "flows.csv", planted)
    for name in ("pathways", "composition"):
        _csv(truth / f"{name}.csv", arm.merge(frames[name], on="USUBJID", validate="1:m"))
    for name in ("maps", "deformations"):
        if len(frames[name]):
            _csv(truth / f"{name}.csv", frames[name])
    subjects = [
        {
            "USUBJID": m.subject, "DOSE": m.dose, "RESPONSE": m.severity.response,
            "SCANNER": m.scanner.name, "LEAVEWK": m.withdrawn_week,
            **{f"{k.upper()}FACTOR": v for k, v in dataclasses.asdict(m.severity.physiology).items()},
        }
        for m in members
    ]  # fmt: skip
    _csv(truth / "subjects.csv", pd.DataFrame(subjects))
    write_json(truth / "settings.json", settings)


def _write_plan(folder: Path, plan: dict[str, Any]) -> None:
    Plan.model_validate(plan)
    text = yaml.safe_dump(plan, sort_keys=False, allow_unicode=True, width=100)
    write_text(folder / "plan.yaml", text)


def _csv(path: Path, frame: pd.DataFrame) -> None:
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))
