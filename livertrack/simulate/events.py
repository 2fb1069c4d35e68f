"""Liver-related events: hazard by fibrosis and inflammation, censoring by withdrawal or end."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from livertrack.simulate import tissue
from livertrack.simulate.biopsy import CUTS

#: Liver-related complications per 100 person-years by fibrosis stage (F0 to F2, F3, F4): sums of
#: variceal haemorrhage, ascites, encephalopathy and hepatocellular cancer in Sanyal et al.,
#: N Engl J Med 2021;385:1559: 0.10, 1.67, 4.43.
RATES_PER_100_YEARS = (0.10, 1.67, 4.43)
#: of these, hepatocellular cancer (same source): 0.04, 0.34, 0.14; the others are decompensation.
CANCER_PER_100_YEARS = (0.04, 0.34, 0.14)
CANCER, DECOMPENSATION = "HEPATOCELLULAR CANCER", "DECOMPENSATION"
DAYS_PER_YEAR = 365.25


def yearly_hazard(shares: np.ndarray, *, scale: float) -> float:
    """Events per person-year of a liver of a given composition.

    The published rates are placed at the middle of the collagen range of stage 2, 3 and 4, and
    interpolated on the log scale; inflammation multiplies by ``exp(3 x (share - 0.10))``.

    Parameters
    ----------
    shares : array (8,)
        Share of the liver in each state.
    scale : float
        Multiplies the published rates.
    """
    rate = _by_stage(shares, RATES_PER_100_YEARS) / 100.0
    return float(scale * rate * np.exp(3.0 * (shares[tissue.INFLAMED - 1] - 0.10)))


def cancer_share(shares: np.ndarray) -> float:
    """Probability that the first event of such a liver is cancer and not decompensation."""
    return _by_stage(shares, CANCER_PER_100_YEARS) / _by_stage(shares, RATES_PER_100_YEARS)


def _by_stage(shares: np.ndarray, rates: tuple[float, ...]) -> float:
    """Interpolate rates of stages 2, 3 and 4 at the collagen of a liver, on the log scale."""
    collagen = shares[tissue.FINE - 1] + 2.5 * shares[tissue.COARSE - 1]
    cuts = CUTS["FIBROSIS"]
    middle = [(cuts[1] + cuts[2]) / 2, (cuts[2] + cuts[3]) / 2, 1.0]
    return float(np.exp(np.interp(collagen, middle, np.log(rates))))


def event_time(threshold: float, hazards: Sequence[float], starts: Sequence[float]) -> float:
    """Time in days at which the cumulative hazard reaches a threshold.

    Parameters
    ----------
    threshold : float
        Drawn from a unit exponential.
    hazards : sequence of float
        Events per year in each period.
    starts : sequence of float
        First day of each period, increasing from 0; the last has no end.
    """
    reached = 0.0
    ends = [*starts[1:], np.inf]
    for hazard, start, end in zip(hazards, starts, ends, strict=True):
        daily = hazard / DAYS_PER_YEAR
        if daily > 0 and reached + daily * (end - start) >= threshold:
            return float(start + (threshold - reached) / daily)
        reached += daily * (end - start) if np.isfinite(end) else 0.0
    return float("inf")


def simulate_event(
    rng: np.random.Generator,
    compositions: Sequence[np.ndarray],
    *,
    weeks: Sequence[float],
    scale: float,
    follow_up_weeks: tuple[float, float],
    withdrawn_week: float | None,
) -> dict[str, Any]:
    """Time to the first liver-related event of one subject, as an adtte row.

    Parameters
    ----------
    rng : Generator
        The subject's own stream, drawn from in the same way whatever the arm.
    compositions : sequence of arrays (8,)
        The liver at each visit; the hazard holds from that visit on.
    weeks : sequence of float
        Weeks of the visits.
    scale : float
        Multiplies the published rates.
    follow_up_weeks : (float, float)
        Range of the administrative end.
    withdrawn_week : float or None
        When the subject left the trial.

    Returns
    -------
    dict
        ``PARAMCD, PARAM, AVAL`` (days), ``CNSR`` (0 event, 1 end of follow-up, 2 withdrawal),
        ``EVNTDESC``, ``CAUSE`` (kind of the event), ``CNSDTDSC``.
    """
    threshold = float(rng.exponential())
    end = 7.0 * float(rng.uniform(*follow_up_weeks))
    hazards = [yearly_hazard(shares, scale=scale) for shares in compositions]
    time = event_time(threshold, hazards, [7.0 * week for week in weeks])
    leaves = np.inf if withdrawn_week is None else 7.0 * withdrawn_week
    stop = min(end, leaves)
    draw = float(rng.uniform())
    cause = ""
    if time <= stop:
        code, event, reason = 0, "LIVER-RELATED EVENT", ""
        last = max(i for i, week in enumerate(weeks) if 7.0 * week <= time)
        cause = CANCER if draw < cancer_share(compositions[last]) else DECOMPENSATION
    elif leaves < end:
        code, event, reason = 2, "", "WITHDRAWAL"
    else:
        code, event, reason = 1, "", "END OF FOLLOW-UP"
    return {
        "PARAMCD": "LRE", "PARAM": "Time to first liver-related event (days)",
        "AVAL": float(max(1.0, np.ceil(min(time, stop)))), "CNSR": code, "EVNTDESC": event,
        "CAUSE": cause, "CNSDTDSC": reason,
    }  # fmt: skip
