"""Laboratory values: ALT, AST, platelets at every visit."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from livertrack.simulate import tissue
from livertrack.simulate.clinic import ClinicSettings
from livertrack.simulate.severity import Severity

PARAMETERS = {
    "ALT": "Alanine aminotransferase (U/L)",
    "AST": "Aspartate aminotransferase (U/L)",
    "PLAT": "Platelets (10^9/L)",
}


def alt_change(dose: float, effect: float, elapsed: float, settings: ClinicSettings) -> float:
    """Mean change of ALT from baseline, U/L.

    It is reached a quarter of the way (week 12 of 48) and kept.
    """
    final = settings.alt_placebo + effect * dose * (settings.alt_active - settings.alt_placebo)
    return float(final * np.interp(elapsed, [0.0, 0.25], [0.0, 1.0]))


def simulate_labs(
    rng: np.random.Generator,
    severity: Severity,
    *,
    dose: float,
    effect: float,
    visits: Mapping[str, int],
    settings: ClinicSettings,
    stopped: float | None = None,
) -> pd.DataFrame:
    """Laboratory values of one subject at all visits.

    Parameters
    ----------
    rng : Generator
        The subject's own stream; it is drawn from in the same way whatever the arm.
    severity : Severity
        ALT rises with inflammation and severe steatosis; platelets fall with fibrosis.
    dose, effect : float
        0 to 1; multiplier of the difference from the reference arm.
    visits : mapping from visit to week
        The first is the baseline.
    settings : ClinicSettings
        Changes and coefficients of variation.
    stopped : float, optional
        Week in which treatment was stopped: later values follow the reference arm.

    Returns
    -------
    DataFrame
        ``PARAMCD, PARAM, AVISIT, AVISITN, AVAL``, and without noise ``TRUE`` and, had treatment
        gone on, ``UNSTOPPED``; the change is multiplied by the subject's response, so that ALT and
        tissue move together.
    """
    share = severity.proportions
    own = rng.normal(0.0, [0.18, 0.10, 0.16])
    usual = 18.0 + 220.0 * share.get(tissue.INFLAMED, 0.0) + 70.0 * share.get(tissue.SEVERE, 0.0)
    usual *= float(np.exp(own[0]))
    collagen = share.get(tissue.FINE, 0.0) + 2.5 * share.get(tissue.COARSE, 0.0)
    platelets = (270.0 - 90.0 * collagen) * float(np.exp(own[2]))
    last = max(max(visits.values()), 1)
    rows = []

    def values(dose: float, week: int) -> dict[str, float]:
        change = alt_change(dose, effect, week / last, settings) * severity.response
        alt = max(usual + change, 14.0)
        return {"ALT": alt, "AST": (12.0 + 0.6 * alt) * float(np.exp(own[1])), "PLAT": platelets}

    for visit, week in visits.items():
        treated = values(dose, week)
        true = treated if stopped is None or week <= stopped else values(0.0, week)
        noise = rng.normal(0.0, 1.0, 3)
        spread = (settings.alt_cv, settings.ast_cv, settings.platelet_cv)
        for (code, value), z, cv in zip(true.items(), noise, spread, strict=True):
            log_sd = np.sqrt(np.log1p(cv**2))
            measured = value * float(np.exp(z * log_sd - log_sd**2 / 2))
            rows.append(
                (code, PARAMETERS[code], visit, week, round(measured, 1), value, treated[code])
            )
    columns = ["PARAMCD", "PARAM", "AVISIT", "AVISITN", "AVAL", "TRUE", "UNSTOPPED"]
    return pd.DataFrame(rows, columns=columns)
