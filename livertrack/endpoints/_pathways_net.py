"""Mean flow matrices by arm, and the net change of each tissue type."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from livertrack.endpoints._adjust import Covariates
from livertrack.endpoints._pathways_flows import Flows
from livertrack.endpoints._permutation import Alternative, max_t_test, welch_limits


def mean_matrices(every: Flows, arms: Sequence[str]) -> pd.DataFrame:
    """Mean flow of each arm: rows visit x region x arm x from-type x to-type.

    Denominator: subjects of the arm with a record of the visit and region (``n``).
    """
    parts = []
    for (v, visit), (r, region), arm in product(
        enumerate(every.visits), enumerate(every.regions), arms
    ):
        here = every.cube[(every.arm == arm) & every.present[:, v, r], v, r]
        n = len(here)
        mean = here.mean(axis=0) if n else np.full(here.shape[1:], np.nan)
        deviation = here.std(axis=0, ddof=1) if n > 1 else np.full(here.shape[1:], np.nan)
        pairs = list(product(every.types, every.types))
        parts.append(
            pd.DataFrame(
                {
                    "visit": visit, "region": region, "arm": arm,
                    "from_type": [a for a, _ in pairs], "to_type": [b for _, b in pairs],
                    "mean": mean.ravel(), "std_dev": deviation.ravel(), "n": n,
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def net_change(
    every: Flows,
    *,
    arms: Sequence[str],
    reference: str,
    n_perm: int | None,
    seed: int,
    conf_level: float,
    alternative: Alternative,
    strata: np.ndarray | None = None,
    shared: np.ndarray | None = None,
    adjust_baseline: bool = False,
) -> pd.DataFrame:
    """Gains minus losses of each type, by arm, and the difference from the reference.

    ``p_adjusted`` is step-down max-T over arms, visits, regions and types: a family apart from
    that of the single flows. The reference's own rows have no difference. ``shared`` (subjects,
    covariates) and the type's own baseline proportion adjust as in the flows.
    """
    baseline, follow_up = every.cube.sum(axis=-1), every.cube.sum(axis=-2)
    kept = np.einsum("nvrii->nvri", every.cube)
    parts = {"baseline": baseline, "follow_up": follow_up, "gain": follow_up - kept,
             "loss": baseline - kept, "net": follow_up - baseline}  # fmt: skip
    flat = {name: part.reshape(len(part), -1) for name, part in parts.items()}
    covariates = None
    if adjust_baseline or (shared is not None and shared.shape[1]):
        numbers = np.empty((len(every.subjects), 0)) if shared is None else shared
        covariates = Covariates(numbers, flat["baseline"] if adjust_baseline else None)
    test = max_t_test(
        flat["net"], every.arm, arms=arms, reference=reference, n_perm=n_perm, seed=seed,
        strata=strata, alternative=alternative, conf_level=conf_level, covariates=covariates,
    )  # fmt: skip
    rows = pd.DataFrame(
        product(every.visits, every.regions, every.types), columns=["visit", "region", "type"]
    )
    frames = []
    for name in [reference, *arms]:
        here = rows.assign(arm=name, n=(~np.isnan(flat["net"][every.arm == name])).sum(axis=0))
        for part, values in flat.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                here[part] = np.nansum(values[every.arm == name], axis=0) / here["n"].to_numpy()
        if name != reference:
            number = list(arms).index(name)
            pair = test.pairs[number]
            seen = pair.observed
            low, high = welch_limits(seen, conf_level)
            here = here.assign(
                estimate=seen.estimate, std_error=seen.std_error, statistic=seen.statistic,
                conf_low=low, conf_high=high, p_value=pair.p_value,
                p_adjusted=test.p_adjusted[number],
            )  # fmt: skip
        frames.append(here)
    return pd.concat(frames, ignore_index=True)
