"""Imaging measures that a trial has already: fat fraction, stiffness, T1."""

import numpy as np
import pandas as pd

from livertrack.simulate import tissue
from livertrack.simulate.clinic import ClinicSettings
from livertrack.simulate.scan import Physiology

PARAMETERS = {
    "PDFF": "MRI proton density fat fraction (%)",
    "STIFF": "Liver stiffness (kPa)",
    "T1": "T1 relaxation time (ms)",
}


def true_measures(shares: np.ndarray, physiology: Physiology) -> dict[str, float]:
    """Noise-free measures of a liver.

    Parameters
    ----------
    shares : array (8,)
        Share of the liver in each state.
    physiology : Physiology
        Factors of the subject.

    Returns
    -------
    dict
        PDFF in % and T1 in ms: means over the parenchyma; STIFF in kPa: 2.1 plus 3.0, 7.5 and 1.5
        per unit share of fine fibrosis, coarse fibrosis and inflammation.
    """
    states = [state for state in tissue.LIVER_STATES if state.code != tissue.VESSEL]
    weight = np.array([shares[state.code - 1] for state in states])
    weight = weight / max(weight.sum(), 1e-12)
    fat = float(weight @ np.array([state.fat for state in states])) * physiology.fat
    t1 = float(weight @ np.array([state.t1 for state in states])) * physiology.t1
    stiff = (
        2.1 + 3.0 * weight[tissue.FINE - 1] + 7.5 * weight[tissue.COARSE - 1]
        + 1.5 * weight[tissue.INFLAMED - 1]
    )  # fmt: skip
    return {"PDFF": 100.0 * fat, "STIFF": float(stiff), "T1": t1}


def simulate_measures(
    rng: np.random.Generator,
    shares: np.ndarray,
    physiology: Physiology,
    *,
    visit: str,
    week: float,
    settings: ClinicSettings,
) -> pd.DataFrame:
    """Measure PDFF, STIFF and T1 once: ``PARAMCD, PARAM, AVISIT, AVISITN, AVAL``."""
    true = true_measures(shares, physiology)
    z = rng.normal(0.0, 1.0, 3)
    measured = {
        "PDFF": max(true["PDFF"] + settings.pdff_sd * z[0], 0.0),
        "STIFF": true["STIFF"] * _relative(z[1], settings.stiffness_cv),
        "T1": true["T1"] * _relative(z[2], settings.t1_cv),
    }
    rows = [
        (code, PARAMETERS[code], visit, week, round(value, 2)) for code, value in measured.items()
    ]
    return pd.DataFrame(rows, columns=["PARAMCD", "PARAM", "AVISIT", "AVISITN", "AVAL"])


def _relative(z: float, cv: float) -> float:
    """Log-normal factor of mean 1 and the given coefficient of variation."""
    log_sd = np.sqrt(np.log1p(cv**2))
    return float(np.exp(z * log_sd - log_sd**2 / 2))
