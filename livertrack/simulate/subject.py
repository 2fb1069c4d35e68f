"""One subject: anatomy, states at baseline, states at every visit, scans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from livertrack._seeds import generator
from livertrack.simulate.anatomy import Anatomy, draw_anatomy
from livertrack.simulate.fields import smooth_field
from livertrack.simulate.scan import SEQUENCES, SimulatedScan, draw_textures, simulate_scan
from livertrack.simulate.scanner import Scanner, ScanSettings, draw_scanner
from livertrack.simulate.severity import Severity, draw_severity
from livertrack.simulate.states import baseline_states, evolve, subject_rates

#: Visits with their time in weeks.
VISITS: dict[str, int] = {"Baseline": 0, "Week 12": 12, "Week 48": 48}
SHAPE = (96, 72, 32)
SPACING = (3.0, 3.0, 4.0)


@dataclass(frozen=True)
class SimulatedSubject:
    """One subject through the trial.

    Attributes
    ----------
    anatomy : Anatomy
        Reference anatomy.
    states : dict from visit to array (x, y, z), uint8
        True liver states on the reference anatomy.
    scans : dict from visit to SimulatedScan
        Only the visits that were asked for.
    severity : Severity
        What was drawn at baseline.
    """

    anatomy: Anatomy
    states: dict[str, np.ndarray]
    scans: dict[str, SimulatedScan]
    severity: Severity


def simulate_subject(
    seed: int,
    subject: int | str = 1,
    *,
    dose: float = 0.0,
    effect: float = 1.0,
    shape: Sequence[int] = SHAPE,
    spacing: Sequence[float] = SPACING,
    age: float = 52.0,
    bmi: float = 34.0,
    diabetes: bool = False,
    visits: Mapping[str, int] | None = None,
    scan_visits: Sequence[str] | None = None,
    severity: Severity | None = None,
    scanner: Scanner | None = None,
    settings: ScanSettings | None = None,
    region_mm: float = 20.0,
    repeats: Mapping[str, str] | None = None,
    stopped_week: float | None = None,
) -> SimulatedSubject:
    """Simulate one subject in memory.

    Parameters
    ----------
    seed : int
        Seed of the trial.
    subject : int or str
        Which of its subjects; each has a stream of its own.
    dose : float
        0 for placebo, 1 for the full dose. With ``effect=0`` it changes nothing at all.
    effect : float
        Multiplies the effect of the dose.
    shape, spacing : (int, int, int), (float, float, float)
        Grid, and voxel size in mm.
    age, bmi, diabetes : float, float, bool
        Years, kg/m2, type 2 diabetes.
    visits : mapping from visit to week, optional
        The first is the baseline.
    scan_visits : sequence of str, optional
        Visits with a scan; all by default.
    severity : Severity, optional
        Illness at baseline; drawn from age, body mass index and diabetes where absent.
    scanner : Scanner, optional
        A scanner is drawn where none is given.
    settings : ScanSettings, optional
        Protocol and noise.
    region_mm : float
        Smoothness of the tissue regions, see `baseline_states`.
    repeats : mapping from name to visit, optional
        Scans made again after repositioning: the tissue of the visit, with motion, gain and noise
        of their own on the same scanner.
    stopped_week : float, optional
        Week in which treatment was stopped; tissue turns as in the reference arm from then on.

    Returns
    -------
    SimulatedSubject
    """
    visits = dict(visits or VISITS)
    settings = settings or ScanSettings()
    stream = generator(seed, "subject", subject)
    severity = severity or draw_severity(
        generator(seed, "severity", subject), age=age, bmi=bmi, diabetes=diabetes
    )
    anatomy = draw_anatomy(stream, shape=shape, spacing=spacing, bmi=bmi)
    first = baseline_states(stream, anatomy, severity.proportions, region_mm=region_mm)
    turning = smooth_field(stream, shape, spacing, 0.7 * region_mm)
    textures = draw_textures(stream, anatomy)
    if scanner is None:
        scanner = draw_scanner(stream, "scanner", SEQUENCES, settings)
    last = max(visits.values())
    states, scans = {}, {}
    for visit, week in visits.items():
        rates = subject_rates(
            dose=dose, effect=effect, elapsed=week / max(last, 1), response=severity.response,
            stopped=None if stopped_week is None else stopped_week / max(last, 1),
        )  # fmt: skip
        states[visit] = evolve(first, turning, rates)
        if scan_visits is None or visit in scan_visits:
            scans[visit] = simulate_scan(
                generator(seed, "scan", subject, visit), anatomy, states[visit], textures,
                scanner=scanner, physiology=severity.physiology, settings=settings,
            )  # fmt: skip
    for repeat, visit in (repeats or {}).items():
        scans[repeat] = simulate_scan(
            generator(seed, "scan", subject, repeat), anatomy, states[visit], textures,
            scanner=scanner, physiology=severity.physiology, settings=settings,
        )  # fmt: skip
    return SimulatedSubject(anatomy, states, scans, severity)
