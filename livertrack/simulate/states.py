"""Where the tissue states lie at baseline, and which of them turn into which others.

A fixed smooth field per subject ranks the voxels of every state; a flow that moves a share *r* of
a state takes the *r* highest (improvement) or lowest (worsening) ranks. Changes are therefore
coherent in space, nested in time (what has turned at week 12 has turned at week 48) and exact in
amount.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from livertrack.simulate import tissue
from livertrack.simulate.anatomy import Anatomy
from livertrack.simulate.fields import ranks_within, smooth_field


@dataclass(frozen=True)
class Flow:
    """One planted pathway.

    Attributes
    ----------
    source, target : int
        Tissue codes before and after.
    placebo, active : float
        Share of the source that has turned at the last visit, in the reference arm and under the
        full dose at ``effect=1``.
    early : float
        Share of the final change that is present a quarter of the way (week 12 of 48).
    steepness : float
        A dose of a fraction *d* of the full one has ``d ** steepness`` of its effect.
    """

    source: int
    target: int
    placebo: float
    active: float
    early: float = 0.5
    steepness: float = 1.0

    @property
    def better(self) -> bool:
        """Whether the flow is an improvement."""
        return SEVERITY[self.target] < SEVERITY[self.source]

    def rate(self, dose: float, effect: float, elapsed: float) -> float:
        """Return the expected share of the source that has turned.

        Parameters
        ----------
        dose : float
            0 for the reference arm, 1 for the full dose.
        effect : float
            Multiplies the difference from the reference arm; 0 makes all arms alike.
        elapsed : float
            Time since baseline as a fraction of the whole, 0 to 1.
        """
        share = dose**self.steepness if dose > 0 else 0.0
        final = self.placebo + effect * share * (self.active - self.placebo)
        shape = np.interp(elapsed, [0.0, 0.25, 1.0], [0.0, self.early, 1.0])
        return float(np.clip(final, 0.0, 1.0) * shape)


SEVERITY = {
    tissue.NORMAL: 0, tissue.IRON: 1, tissue.MILD: 2, tissue.SEVERE: 3, tissue.INFLAMED: 4,
    tissue.FINE: 5, tissue.COARSE: 6, tissue.VESSEL: 7,
}  # fmt: skip

#: Planted pathways. The reference arm drifts a little along the natural course of steatohepatitis
#: (steatosis, inflammation, fine then coarse fibrosis). The active arms clear fat and
#: inflammation, and at the full dose some fine fibrosis; the mean relative fall of the fat
#: fraction is then about 30 %. The responder limit of trials is 30 % (Loomba et al., Hepatology
#: 2021;73:881). Iron and vessels never turn: they are the negative controls.
FLOWS: tuple[Flow, ...] = (
    Flow(tissue.NORMAL, tissue.MILD, placebo=0.08, active=0.02),
    Flow(tissue.MILD, tissue.NORMAL, placebo=0.08, active=0.42),
    Flow(tissue.MILD, tissue.SEVERE, placebo=0.06, active=0.01),
    Flow(tissue.MILD, tissue.INFLAMED, placebo=0.06, active=0.01),
    Flow(tissue.SEVERE, tissue.NORMAL, placebo=0.02, active=0.22),
    Flow(tissue.SEVERE, tissue.MILD, placebo=0.08, active=0.36),
    Flow(tissue.INFLAMED, tissue.NORMAL, placebo=0.06, active=0.45),
    Flow(tissue.INFLAMED, tissue.FINE, placebo=0.06, active=0.02, early=0.25),
    Flow(tissue.FINE, tissue.NORMAL, placebo=0.03, active=0.25, early=0.1, steepness=3.0),
    Flow(tissue.FINE, tissue.COARSE, placebo=0.08, active=0.02, early=0.2, steepness=2.0),
)


def baseline_states(
    rng: np.random.Generator,
    anatomy: Anatomy,
    proportions: Mapping[int, float],
    *,
    region_mm: float,
) -> np.ndarray:
    """Map of liver states at baseline.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    anatomy : Anatomy
        The subject's anatomy.
    proportions : mapping from code to float
        Share of the parenchyma in each abnormal state; the rest is normal.
    region_mm : float
        Standard deviation of the kernel that makes the fields smooth, mm; regions are about
        three times as wide.

    Returns
    -------
    array (x, y, z), uint8
        Codes 1 to 8 in the liver, 0 elsewhere.
    """
    shape = anatomy.liver.shape
    states = np.where(anatomy.liver, anatomy.tissues, 0).astype(np.uint8)
    total = int(anatomy.parenchyma.sum())
    # Each process has a field of its own; severe steatosis is the core of the fatty regions.
    for advanced, outer in (
        (tissue.COARSE, None),
        (tissue.FINE, None),
        (tissue.SEVERE, tissue.MILD),
        (tissue.INFLAMED, None),
        (tissue.IRON, None),
    ):
        field = smooth_field(rng, shape, anatomy.spacing, region_mm)
        free = states == tissue.NORMAL
        ranks = ranks_within(field, free)
        wanted = proportions.get(advanced, 0.0) * total / max(ranks.size, 1)
        codes = np.full(ranks.size, tissue.NORMAL, np.uint8)
        if outer is not None:
            more = wanted + proportions.get(outer, 0.0) * total / max(ranks.size, 1)
            codes[ranks > 1 - more] = outer
        codes[ranks > 1 - wanted] = advanced
        states[free] = codes
    return states


def evolve(
    states: np.ndarray, turning: np.ndarray, rates: Mapping[tuple[int, int], float]
) -> np.ndarray:
    """Map of states after some flows.

    Parameters
    ----------
    states : array (x, y, z), uint8
        Map at baseline.
    turning : array (x, y, z)
        The subject's fixed smooth field.
    rates : mapping from (source, target) to float
        Share of each source that turns; the shares of one source are scaled down where they
        exceed 0.95 together.

    Returns
    -------
    array (x, y, z), uint8
        A new map; the share of a source that turned equals its rate up to one voxel.
    """
    after = states.copy()
    for source in sorted({source for source, _ in rates}):
        region = states == source
        ranks = ranks_within(turning, region)
        flows = {target: rate for (origin, target), rate in rates.items() if origin == source}
        excess = max(1.0, sum(flows.values()) / 0.95)
        better = sorted(
            (t for t in flows if SEVERITY[t] < SEVERITY[source]), key=lambda t: SEVERITY[t]
        )
        worse = sorted(
            (t for t in flows if SEVERITY[t] > SEVERITY[source]), key=lambda t: SEVERITY[t]
        )
        codes = np.full(ranks.size, source, np.uint8)
        upper = 1.0
        for target in better:
            lower = upper - flows[target] / excess
            codes[(ranks <= upper) & (ranks > lower)] = target
            upper = lower
        lower = 0.0
        for target in reversed(worse):
            upper = lower + flows[target] / excess
            codes[(ranks >= lower) & (ranks < upper)] = target
            lower = upper
        after[region] = codes
    return after


def subject_rates(
    *, dose: float, effect: float, elapsed: float, response: float, stopped: float | None = None
) -> dict[tuple[int, int], float]:
    """Rates of one subject: improvement is multiplied, worsening divided, by ``response``.

    After treatment is ``stopped`` (fraction of the whole time) the increments are those of the
    reference arm.
    """
    rates = {}
    for flow in FLOWS:
        if stopped is None or elapsed <= stopped:
            rate = flow.rate(dose, effect, elapsed)
        else:
            later = flow.rate(0.0, effect, elapsed) - flow.rate(0.0, effect, stopped)
            rate = flow.rate(dose, effect, stopped) + later
        rates[flow.source, flow.target] = rate * response if flow.better else rate / response
    return rates


def flow_table(
    before: np.ndarray, after: np.ndarray, region: np.ndarray | None = None
) -> pd.DataFrame:
    """Cross-tabulate two maps: ``FROMTYPE, TOTYPE, AVAL`` (share of the region), ``NVOX``.

    All pairs of liver states are rows; AVAL sums to 1 over them. The region defaults to the
    voxels that are liver in the first map.
    """
    inside = before > 0 if region is None else region & (before > 0)
    n = tissue.N_STATES
    pairs = (before[inside].astype(int) - 1) * n + after[inside].astype(int) - 1
    counts = np.bincount(pairs, minlength=n * n)
    return pd.DataFrame(
        {
            "FROMTYPE": np.repeat(np.arange(1, n + 1), n),
            "TOTYPE": np.tile(np.arange(1, n + 1), n),
            "AVAL": counts / max(counts.sum(), 1),
            "NVOX": int(counts.sum()),
        }
    )


def composition(states: np.ndarray) -> np.ndarray:
    """Share of the liver in each state, shape (8,)."""
    counts = np.bincount(states[states > 0].astype(int), minlength=tissue.N_STATES + 1)[1:]
    shares: np.ndarray = counts / max(counts.sum(), 1)
    return shares


def planted_flows(
    arms: Sequence[str], doses: Sequence[float], elapsed: Mapping[str, float], effect: float
) -> pd.DataFrame:
    """List expected rates: ``TRT01P, AVISIT, FROMTYPE, TOTYPE, RATE`` (share of FROMTYPE)."""
    rows = [
        {
            "TRT01P": arm, "AVISIT": visit, "FROMTYPE": flow.source, "TOTYPE": flow.target,
            "RATE": flow.rate(dose, effect, time),
        }
        for arm, dose in zip(arms, doses, strict=True)
        for visit, time in elapsed.items()
        for flow in FLOWS
    ]  # fmt: skip
    return pd.DataFrame(rows)
