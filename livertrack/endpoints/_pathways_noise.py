"""Transitions of repeat scans or of placebo, and flow beyond them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import require_columns, require_level
from livertrack.endpoints._pathways_flows import Flows, flows
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


def aligned_null(null: pd.DataFrame, every: Flows) -> tuple[np.ndarray, list[str]]:
    """Null probabilities (visits, regions, types, types) for flows, and what had to be assumed.

    A null of one visit (repeat scans) serves every visit; a region that it lacks is served by
    the whole liver; a from-type that it lacks is taken as free of noise.
    """
    require_columns(null, ["visit", "region", "from_type", "to_type", "probability"], name="null")
    known_visits = list(dict.fromkeys(null["visit"].astype(str)))
    lost = [v for v in every.visits if v not in known_visits]
    if lost and len(known_visits) > 1:
        msg = f"null: no transitions for visit(s) {lost}; it has {known_visits}"
        raise DataError(msg)
    regions = set(null["region"].astype(str))
    lacking = [r for r in every.regions if r not in regions]
    if lacking and "" not in regions:
        msg = f"null: no transitions for region(s) {lacking}, nor for the whole liver"
        raise DataError(msg)
    cells = null.assign(visit=null["visit"].astype(str), region=null["region"].astype(str))
    table = cells.set_index(["visit", "region", "from_type", "to_type"])["probability"]
    k = len(every.types)
    cube = np.empty((len(every.visits), len(every.regions), k, k))
    pairs = pd.MultiIndex.from_product([every.types, every.types])
    for v, r in np.ndindex(cube.shape[:2]):
        visit = every.visits[v] if every.visits[v] in known_visits else known_visits[0]
        region = every.regions[r] if every.regions[r] in regions else ""
        cube[v, r] = table.loc[visit, region].reindex(pairs).to_numpy(float).reshape(k, k)
    unknown = np.asarray(np.isnan(cube).all(axis=-1))
    cube = np.where(np.isnan(cube), 0.0, cube)
    cube[unknown] = np.broadcast_to(np.eye(k), cube.shape)[unknown]
    total = cube.sum(axis=-1)
    if (np.abs(total - 1) > 1e-6).any():
        msg = "null: probabilities of the to-types do not sum to one; give every row of it"
        raise DataError(msg)
    notes = []
    if lacking:
        notes.append(f"noise of {len(lacking)} region(s) taken from the whole liver")
    if unknown.any():
        silent = np.atleast_1d(unknown.reshape(-1, k).any(axis=0))
        absent = [str(t) for t, u in zip(every.types, silent, strict=True) if u]
        notes.append(f"no noise known for from-type(s) {', '.join(absent)}: taken as none")
    return cube, notes


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
