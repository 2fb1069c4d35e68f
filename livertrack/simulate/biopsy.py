"""Biopsies: a needle core in the right lobe, read by the NASH CRN rules, with reader error.

Scores follow Kleiner et al., Hepatology 2005;41:1313, with lobular inflammation 0 to 3 and the
diagnosis of steatohepatitis when steatosis, lobular inflammation and ballooning are all present
(Bedossa et al., Hepatology 2012;56:1751).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import ndimage

from livertrack.simulate import tissue
from livertrack.simulate.anatomy import Anatomy
from livertrack.simulate.clinic import ClinicSettings

PARAMETERS = {
    "STEATOSIS": "Steatosis grade (score)",
    "INFLAM": "Lobular inflammation grade (score)",
    "BALLOON": "Ballooning grade (score)",
    "FIBROSIS": "Fibrosis stage (score)",
    "NAS": "NAFLD activity score (score)",
    "NASH": "Steatohepatitis (yes (1) or no (0))",
}
#: Upper ends: steatosis in % of hepatocytes, inflammatory foci per 200x field, and the model's own
#: scales of ballooning and collagen.
CUTS: dict[str, tuple[float, ...]] = {
    "STEATOSIS": (5.0, 33.0, 66.0),
    "INFLAM": (0.5, 2.0, 4.0),
    "BALLOON": (0.55, 1.10),
    "FIBROSIS": (0.05, 0.15, 0.33, 0.75),
}
CORE_LENGTH_MM, CORE_RADIUS_MM = 20.0, 1.5


def core_shares(rng: np.random.Generator, anatomy: Anatomy, states: np.ndarray) -> np.ndarray:
    """Share of each state in a needle core, array (8,); vessels do not count.

    The needle enters a random place of the right lobe and runs 20 mm across the body, tilted by
    up to 20 degrees.
    """
    right = anatomy.right_lobe & anatomy.parenchyma
    inside = ndimage.binary_erosion(right) if right.sum() > 2000 else right
    places = np.argwhere(inside if inside.any() else anatomy.parenchyma)
    start = places[rng.integers(len(places))] * np.asarray(anatomy.spacing)
    tilt = np.deg2rad(rng.uniform(-20.0, 20.0, 2))
    direction = np.array([1.0, np.tan(tilt[0]), np.tan(tilt[1])])
    direction /= np.linalg.norm(direction)
    along = np.arange(-CORE_LENGTH_MM / 2, CORE_LENGTH_MM / 2 + 0.1, 0.5)
    across = CORE_RADIUS_MM * np.array([(0, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)])
    points = start + along[:, None, None] * direction + across
    index = np.rint(points.reshape(-1, 3) / anatomy.spacing).astype(int)
    index = np.clip(index, 0, np.asarray(states.shape) - 1)
    seen = states[tuple(index.T)].astype(int)
    seen = seen[(seen > 0) & (seen != tissue.VESSEL)]
    counts = np.bincount(seen, minlength=tissue.N_STATES + 1)[1:]
    shares: np.ndarray = counts / max(counts.sum(), 1)
    return shares


def true_scores(shares: np.ndarray) -> dict[str, int]:
    """Scores an error-free reader gives to tissue of a given composition.

    Parameters
    ----------
    shares : array (8,)
        Share of each state; they need not sum to one where vessels were left out.

    Returns
    -------
    dict
        STEATOSIS 0 to 3 by the share of hepatocytes with fat (5, 33, 66 %), INFLAM 0 to 3 by foci
        (14 per unit share of inflammation), BALLOON 0 to 2 (5 x inflammation + 1.2 x severe
        steatosis), FIBROSIS 0 to 4 by collagen (fine + 2.5 x coarse fibrosis).
    """
    shares = shares / max(shares.sum(), 1e-12)
    fatty = 100.0 * sum(shares[s.code - 1] * s.hepatocyte_fat for s in tissue.LIVER_STATES)
    inflamed, severe = shares[tissue.INFLAMED - 1], shares[tissue.SEVERE - 1]
    amounts = {
        "STEATOSIS": fatty,
        "INFLAM": 14.0 * inflamed,
        "BALLOON": 5.0 * inflamed + 1.2 * severe,
        "FIBROSIS": shares[tissue.FINE - 1] + 2.5 * shares[tissue.COARSE - 1],
    }
    return {name: int(np.searchsorted(CUTS[name], amounts[name], "right")) for name in CUTS}


def read_scores(
    rng: np.random.Generator, true: Mapping[str, int], misread: Mapping[str, float]
) -> dict[str, int]:
    """Scores a reader gives: each is off by one grade, up or down alike, with its probability.

    At the ends of a scale the only neighbour is taken with half the probability.
    """
    read = {}
    for name, grade in true.items():
        step = int(rng.choice([-1, 1])) if rng.random() < misread.get(name, 0.0) else 0
        read[name] = int(np.clip(grade + step, 0, len(CUTS[name])))
    return read


def with_summary(scores: Mapping[str, int]) -> dict[str, int]:
    """Add NAS (steatosis + inflammation + ballooning) and NASH (1 where all three are present)."""
    parts = [scores["STEATOSIS"], scores["INFLAM"], scores["BALLOON"]]
    return {**scores, "NAS": sum(parts), "NASH": int(min(parts) >= 1)}


def simulate_biopsy(
    rng: np.random.Generator,
    anatomy: Anatomy,
    states: np.ndarray,
    *,
    visit: str,
    week: int,
    settings: ClinicSettings,
) -> pd.DataFrame:
    """One biopsy of one subject: ``PARAMCD, PARAM, AVISIT, AVISITN, AVAL``, six rows."""
    core = core_shares(rng, anatomy, states)
    whole = np.bincount(states[anatomy.parenchyma].astype(int), minlength=tissue.N_STATES + 1)[1:]
    whole = whole / max(whole.sum(), 1)
    weight = settings.core_weight if core.sum() > 0 else 0.0
    seen = weight * core + (1.0 - weight) * whole
    scores = with_summary(read_scores(rng, true_scores(seen), settings.misread))
    rows = [(code, PARAMETERS[code], visit, week, value) for code, value in scores.items()]
    return pd.DataFrame(rows, columns=["PARAMCD", "PARAM", "AVISIT", "AVISITN", "AVAL"])
