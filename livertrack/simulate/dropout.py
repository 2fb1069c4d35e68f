"""Who leaves the trial: it depends on what was observed before, never on the truth."""

import itertools

import numpy as np
import pandas as pd

#: How much more likely one standard deviation of observed ALT makes leaving, on the log scale.
ALT_SLOPE = 0.6


def simulate_dropout(
    rng: np.random.Generator,
    cohort: pd.DataFrame,
    labs: pd.DataFrame,
    *,
    dropout: float,
    weeks: tuple[int, ...],
) -> pd.DataFrame:
    """Choose who leaves the trial, and when.

    Exactly ``round(dropout * n)`` subjects leave, in equal parts between consecutive visits (what
    is left over goes to the last interval). Missing at random: those with a higher ALT at the last
    visit that was observed leave sooner.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    cohort : DataFrame
        One row per subject with ``USUBJID``.
    labs : DataFrame
        All lab values; ALT is used.
    dropout : float
        Proportion of subjects who leave, 0 to 1.
    weeks : tuple of int
        Weeks of the visits, baseline first.

    Returns
    -------
    DataFrame
        ``USUBJID, WEEK`` (week of leaving, missing for those who stay), ``EOSSTT, DCSREAS``.
    """
    leave = pd.Series(np.nan, index=cohort["USUBJID"])
    total = round(dropout * len(cohort))
    intervals = list(itertools.pairwise(weeks))
    alt = labs[labs["PARAMCD"] == "ALT"].pivot_table(
        index="USUBJID", columns="AVISITN", values="AVAL"
    )
    for number, (start, end) in enumerate(intervals):
        n = total // len(intervals)
        if number == len(intervals) - 1:
            n = total - n * (len(intervals) - 1)
        staying = leave.index[leave.isna()]
        seen = alt.loc[staying, start]
        z = (seen - seen.mean()) / max(float(seen.std(ddof=0)), 1e-9)
        # The n largest of weight plus Gumbel noise: sampling without replacement by exp(weight).
        key = ALT_SLOPE * z.to_numpy() + rng.gumbel(size=len(staying))
        chosen = staying[np.argsort(-key, kind="stable")[:n]]
        leave[chosen] = np.round(rng.uniform(start + 0.5, end - 0.5, n), 1)
    reasons = rng.choice(
        ["WITHDRAWAL BY SUBJECT", "LOST TO FOLLOW-UP", "ADVERSE EVENT"], len(leave)
    )
    gone = leave.notna().to_numpy()
    return pd.DataFrame(
        {
            "USUBJID": leave.index,
            "WEEK": leave.to_numpy(),
            "EOSSTT": np.where(gone, "DISCONTINUED", "COMPLETED"),
            "DCSREAS": np.where(gone, reasons, ""),
        }
    )
