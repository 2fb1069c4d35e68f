"""How ill a subject is at baseline, and how that subject responds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from livertrack.simulate import tissue
from livertrack.simulate.scan import Physiology

#: Standard deviation of the log of a subject's response to whatever happens in the trial.
RESPONSE_SPREAD = 0.35


@dataclass(frozen=True)
class Severity:
    """How ill a subject is at baseline.

    Attributes
    ----------
    proportions : mapping from code to float
        Share of the parenchyma in each abnormal state; the rest is normal.
    response : float
        Multiplies improvement (and divides worsening) of this subject; mean 1, whatever the arm.
    physiology : Physiology
        MR properties of this subject's tissue.
    """

    proportions: Mapping[int, float]
    response: float
    physiology: Physiology


def draw_severity(
    rng: np.random.Generator, *, age: float = 52.0, bmi: float = 34.0, diabetes: bool = False
) -> Severity:
    """Draw a subject's illness at baseline.

    The medians give a whole-liver fat fraction near 12 %: trials of fatty liver disease
    enrol above 10 % (FLIGHT-FXR, NCT02855164). Fat grows with body mass index and diabetes,
    fibrosis with age and diabetes.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    age, bmi, diabetes : float, float, bool
        Years, kg/m2, type 2 diabetes.

    Returns
    -------
    Severity
    """
    fat = 0.03 * (bmi - 34.0) + 0.15 * diabetes
    scar = 0.02 * (age - 52.0) + 0.30 * diabetes
    medians = {
        tissue.SEVERE: (0.22, fat, 0.50), tissue.MILD: (0.18, 0.3 * fat, 0.30),
        tissue.FINE: (0.10, scar, 0.50), tissue.COARSE: (0.05, 1.5 * scar, 0.80),
        tissue.INFLAMED: (0.09, 0.5 * fat + 0.3 * scar, 0.50), tissue.IRON: (0.04, 0.0, 0.5),
    }  # fmt: skip
    shares = {
        code: median * float(np.exp(shift + rng.normal(0.0, spread)))
        for code, (median, shift, spread) in medians.items()
    }
    excess = max(1.0, sum(shares.values()) / 0.92)
    response = float(np.exp(rng.normal(-(RESPONSE_SPREAD**2) / 2, RESPONSE_SPREAD)))
    fat_factor, t1_factor, iron_factor, uptake_factor = np.exp(
        rng.normal(0.0, [0.12, 0.03, 0.08, 0.08])
    ).tolist()
    physiology = Physiology(fat_factor, t1_factor, iron_factor, uptake_factor)
    return Severity({k: v / excess for k, v in shares.items()}, response, physiology)
