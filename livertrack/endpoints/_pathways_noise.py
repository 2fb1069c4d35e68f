"""Transitions of repeat scans or of placebo, and flow beyond them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import require_level
from livertrack.endpoints._pathways_flows import flows
from livertrack.errors import DataError


def null_transitions(
    adpath: pd.DataFrame,
    *,
    arm: str | None = "TRT01P",
    reference: str | None = None,
    visit: str | None = None,
    subject: str = "USUBJID",
) -> pd.DataFrame:
    """Probability that a voxel of one type is called another although nothing was done.

    Parameters
    ----------
    adpath : DataFrame
        Pathway records of repeat scans (``arm=None``: all subjects are used), or of a trial.
    reference : str, optional
        Arm whose records are taken, e.g. placebo: then natural course is part of the null.

    Returns
    -------
    DataFrame
        ``visit, region, from_type, to_type, probability, baseline, n``: ``probability`` sums to
        one over ``to_type``; it is the mean flow divided by the mean baseline proportion, that
        is, subjects weigh as they have of the from-type. NaN where no subject has it.

    Notes
    -----
    Denominator: all of the from-type in the subjects' baseline regions (``n`` subjects).
    """
    data = adpath.assign(_all="all") if arm is None else adpath
    column = arm or "_all"
    if reference is not None:
        require_level(data, column, reference, what="reference")
        data = data[data[column] == reference]
    every = flows(data, arm=column, visit=visit, subject=subject)
    count = every.present.sum(axis=0)
    if not count.any():
        msg = "adpath: no record with a flow; null transitions need two usable scans of a subject"
        raise DataError(msg)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.nansum(every.cube, axis=0) / count[..., None, None]
        start = mean.sum(axis=-1)
        probability = np.where(start[..., None] > 0, mean / start[..., None], np.nan)
    index = pd.MultiIndex.from_product(
        [every.visits, every.regions, every.types, every.types],
        names=["visit", "region", "from_type", "to_type"],
    )
    return pd.DataFrame(
        {
            "probability": probability.ravel(),
            "baseline": np.repeat(start.ravel(), len(every.types)),
            "n": np.repeat(count.ravel(), len(every.types) ** 2),
        },
        index=index,
    ).reset_index()


def excess_flow(matrices: pd.DataFrame, null: pd.DataFrame) -> pd.DataFrame:
    """Mean flows of each arm beside what the null predicts from the arm's own baseline.

    Parameters
    ----------
    matrices : DataFrame
        `ChangePathways.matrices`.
    null : DataFrame
        From `null_transitions`, at the same visits and regions.

    Returns
    -------
    DataFrame
        ``matrices`` with ``expected`` (baseline proportion x null probability) and ``excess``
        (mean - expected; sums to zero over ``to_type``). Descriptive: the null is an estimate.
    """
    keys = ["visit", "region", "from_type", "to_type"]
    merged = matrices.merge(null[[*keys, "probability"]], on=keys, how="left", validate="m:1")
    start = merged.groupby(["visit", "region", "arm", "from_type"])["mean"].transform("sum")
    # a type that is absent has nothing to lose, whatever the null says of it
    expected = np.where(start == 0, 0.0, start * merged["probability"])
    return merged.drop(columns="probability").assign(
        expected=expected, excess=merged["mean"] - expected
    )
