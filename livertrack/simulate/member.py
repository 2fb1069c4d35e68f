"""One subject of a trial: scans written to the study folder, clinical rows and truth returned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from livertrack._seeds import generator
from livertrack.simulate.biopsy import simulate_biopsy
from livertrack.simulate.clinic import ClinicSettings
from livertrack.simulate.events import simulate_event
from livertrack.simulate.measures import simulate_measures
from livertrack.simulate.scan import SEQUENCES, SimulatedScan
from livertrack.simulate.scanner import Scanner, ScanSettings
from livertrack.simulate.severity import Severity
from livertrack.simulate.states import composition, flow_table
from livertrack.simulate.subject import SimulatedSubject, simulate_subject


@dataclass(frozen=True)
class Member:
    """What is needed to simulate one subject of a trial, decided before its images are."""

    seed: int
    number: int
    subject: str
    dose: float
    effect: float
    bmi: float
    severity: Severity
    scanner: Scanner
    visits: dict[str, int]
    clinic_visits: tuple[str, ...]
    scan_visits: tuple[str, ...]
    biopsy_visits: tuple[str, ...]
    withdrawn_week: float | None
    stopped_week: float | None
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    scan: ScanSettings
    clinic: ClinicSettings
    images: bool
    repeats: dict[str, str]

    def number_of(self, visit: str) -> float:
        """AVISITN of a visit (its week) or of a repeat, which comes just after its visit."""
        return (
            self.visits[visit] if visit in self.visits else self.visits[self.repeats[visit]] + 0.1
        )


def simulate_member(member: Member, folder: Path) -> dict[str, pd.DataFrame]:
    """Simulate one subject, write its volumes under ``folder``, return its rows.

    Returns
    -------
    dict of DataFrames
        ``images, maps, deformations, adbx, adim, adtte, composition, pathways``, each with
        USUBJID.
    """
    subject = simulate_subject(
        member.seed, member.number, dose=member.dose, effect=member.effect, shape=member.shape,
        spacing=member.spacing, bmi=member.bmi, visits=member.visits,
        scan_visits=member.scan_visits if member.images else (), severity=member.severity,
        scanner=member.scanner, settings=member.scan,
        repeats=member.repeats if member.images else None, stopped_week=member.stopped_week,
    )  # fmt: skip
    shares = {visit: composition(states) for visit, states in subject.states.items()}
    rows: dict[str, list[Any]] = {"images": [], "maps": [], "deformations": []}
    for visit, scan in subject.scans.items():
        for kind, found in _write_scan(member, visit, scan, folder).items():
            rows[kind] += found
    frames = {kind: pd.DataFrame(found) for kind, found in rows.items()}
    frames |= _clinical(member, subject, shares)
    frames |= _truth(member, subject, shares)
    return {
        name: frame.assign(USUBJID=member.subject)[["USUBJID", *frame.columns]]
        for name, frame in frames.items()
    }


def _clinical(
    member: Member, subject: SimulatedSubject, shares: dict[str, np.ndarray]
) -> dict[str, pd.DataFrame]:
    physiology = subject.severity.physiology
    measures = [
        simulate_measures(
            generator(member.seed, "measures", member.number, visit),
            shares[member.repeats.get(visit, visit)], physiology, visit=visit,
            week=member.number_of(visit), settings=member.clinic,
        )
        for visit in (*member.scan_visits, *member.repeats)
    ]  # fmt: skip
    biopsies = [
        simulate_biopsy(
            generator(member.seed, "biopsy", member.number, visit), subject.anatomy,
            subject.states[visit], visit=visit, week=member.visits[visit], settings=member.clinic,
        )
        for visit in member.biopsy_visits
    ]  # fmt: skip
    event = simulate_event(
        generator(member.seed, "event", member.number), list(shares.values()),
        weeks=list(member.visits.values()), scale=member.clinic.event_scale,
        follow_up_weeks=member.clinic.follow_up_weeks, withdrawn_week=member.withdrawn_week,
    )  # fmt: skip
    return {
        "adim": pd.concat(measures, ignore_index=True),
        "adbx": pd.concat(biopsies, ignore_index=True),
        "adtte": pd.DataFrame([event]),
    }


def _truth(
    member: Member, subject: SimulatedSubject, shares: dict[str, np.ndarray]
) -> dict[str, pd.DataFrame]:
    first, *later = member.visits
    parts = [
        pd.DataFrame(
            {
                "AVISIT": visit, "AVISITN": member.visits[visit],
                "TYPE": np.arange(1, share.size + 1), "AVAL": share,
            }
        )
        for visit, share in shares.items()
    ]  # fmt: skip
    flows = []
    for visit in later:
        table = flow_table(subject.states[first], subject.states[visit])
        table.insert(0, "AVISIT", visit)
        table.insert(1, "AVISITN", member.visits[visit])
        table.insert(2, "REGION", "")
        flows.append(table)
    return {
        "composition": pd.concat(parts, ignore_index=True),
        "pathways": pd.concat(flows, ignore_index=True) if flows else pd.DataFrame(),
    }


def _write_scan(
    member: Member, visit: str, scan: SimulatedScan, folder: Path
) -> dict[str, list[dict[str, Any]]]:
    stem = f"sub-{_label(member.subject)}_ses-{_label(visit)}"
    key = {"AVISIT": visit, "AVISITN": member.number_of(visit)}
    mask = f"masks/{stem}_mask.nii.gz"
    truth = f"truth/maps/{stem}_truth.nii.gz"
    control = f"truth/deformations/{stem}_control.nii.gz"
    _save(folder / mask, scan.mask, scan.affine)
    _save(folder / truth, scan.truth, scan.affine)
    images = []
    for sequence in SEQUENCES:
        image = f"images/{stem}_{sequence}.nii.gz"
        _save(folder / image, scan.images[sequence], scan.affine)
        images.append({**key, "SEQUENCE": sequence, "IMAGE": image, "MASK": mask})
    motion = scan.motion
    points = np.asarray(motion.control.shape[1:])
    spread = (np.asarray(scan.mask.shape) - 1) / (points - 1)
    affine = scan.affine @ np.diag([*spread, 1.0])
    _save(folder / control, np.moveaxis(motion.control, 0, -1).astype(np.float32), affine)
    x, y, z = motion.translation.tolist()
    rms = float(np.sqrt(np.mean(np.sum(motion.control.astype(float) ** 2, axis=0))))
    return {
        "images": images,
        "maps": [{**key, "MAP": truth}],
        "deformations": [
            {**key, "LEFTMM": x, "BACKMM": y, "HEADMM": z, "SMOOTHRMSMM": rms, "CONTROL": control}
        ],
    }


def _save(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    image: Any = nib.Nifti1Image(array, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _label(name: str) -> str:
    """Letters and digits of a name, as a file name takes them."""
    return "".join(c for c in name if c.isalnum())
