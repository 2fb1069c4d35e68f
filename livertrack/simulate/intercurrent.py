"""Intercurrent events: who stops treatment and stays, who leaves, and what would have been."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

#: events in the words of the plan
STOPPED = "Discontinuation of treatment"
LEFT = "Withdrawal from the trial"
#: how much more likely one standard deviation of baseline ALT makes stopping, on the log scale
ALT_SLOPE = 0.4


def simulate_stopping(
    rng: np.random.Generator,
    cohort: pd.DataFrame,
    labs: pd.DataFrame,
    *,
    proportion: float,
    visits: Mapping[str, int],
) -> pd.Series:
    """Choose who stops treatment but stays in the trial, and when.

    Exactly ``round(proportion * n)`` subjects stop, at a week drawn evenly between baseline and
    the last visit; those with a higher measured ALT at baseline do so more often (at random given
    what is observed). From then on their ALT follows the course of the reference arm, and their
    tissue turns at its rates.

    Returns
    -------
    Series
        Week of stopping by USUBJID, missing for those who do not.
    """
    first, *_, last = visits.values()
    alt = labs[labs["PARAMCD"].eq("ALT") & labs["AVISITN"].eq(first)].set_index("USUBJID")["AVAL"]
    seen = alt.reindex(cohort["USUBJID"])
    z = ((seen - seen.mean()) / max(float(seen.std(ddof=0)), 1e-9)).to_numpy(float)
    # The n largest of weight plus Gumbel noise: sampling without replacement by exp(weight).
    key = ALT_SLOPE * z + rng.gumbel(size=len(z))
    when = np.round(rng.uniform(first + 0.5, last - 0.5, len(z)), 1)
    chosen = np.argsort(-key, kind="stable")[: round(proportion * len(z))]
    week = np.full(len(z), np.nan)
    week[chosen] = when[chosen]
    return pd.Series(week, index=seen.index)


def event_records(
    adsl: pd.DataFrame, stopped: pd.Series, left: pd.Series, visits: Mapping[str, int]
) -> pd.DataFrame:
    """Records of adice: stopping treatment, leaving the trial.

    Parameters
    ----------
    adsl : DataFrame
        ``USUBJID, SITEID, DCSREAS``.
    stopped, left : Series
        Weeks by USUBJID, missing where it did not happen.
    visits : mapping from visit to week

    Returns
    -------
    DataFrame
        ``USUBJID, SITEID, ICETERM, ICEREAS, AVISIT, AVISITN, ASTDY``, sorted.
    """
    rows = []
    for record in adsl.sort_values("USUBJID").to_dict("records"):
        subject = record["USUBJID"]
        stop, leave = float(stopped[subject]), float(left[subject])
        happened = [] if np.isnan(stop) else [(STOPPED, stop, "")]
        happened += [] if np.isnan(leave) else [(LEFT, leave, str(record["DCSREAS"]))]
        for term, week, reason in happened:
            visit = next(name for name, at in visits.items() if at > week)
            rows.append(
                (subject, record["SITEID"], term, reason, visit, visits[visit],
                 round(week * 7) + 1)
            )  # fmt: skip
    columns = ["USUBJID", "SITEID", "ICETERM", "ICEREAS", "AVISIT", "AVISITN", "ASTDY"]
    return pd.DataFrame(rows, columns=columns)
