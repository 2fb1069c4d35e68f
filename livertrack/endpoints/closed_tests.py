"""The closure principle: a hypothesis falls when every intersection that holds it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints.graphical import aligned, labelled
from livertrack.errors import DataError, UsageError

Vector = NDArray[np.float64]
Local = Literal["bonferroni", "simes", "fisher"]
_MOST = 14  # hypotheses: 16,383 intersections


@dataclass(frozen=True, kw_only=True)
class ClosedTest(Result):
    """Adjusted p-values (``table``) and the test of every intersection (``intersections``)."""

    intersections: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("hypothesis", "members")
    context: ClassVar[str] = "closed_test"


def closed_test(
    p: ArrayLike | pd.Series | Mapping[str, float],
    *,
    local: Local = "simes",
    weights: ArrayLike | pd.Series | Mapping[str, float] | None = None,
    intersections: Mapping[tuple[str, ...], float] | None = None,
    alpha: float = 0.05,
) -> ClosedTest:
    """Test hypotheses by testing all their intersections.

    Parameters
    ----------
    p : array, Series or mapping, one value per hypothesis
        Proportions; NaN is a test that could not be made. The index or the keys name the
        hypotheses, else they are H1, H2, ... At most 14 of them.
    local : {"bonferroni", "simes", "fisher"}
        Test of an intersection: weighted Bonferroni (any dependence; closed it is Holm), Simes
        (independent or positively dependent; closed it is Hommel), or Fisher's sum of logarithms
        (independent tests only, no weights).
    weights : same shape, optional
        Importance of the hypotheses, rescaled within each intersection; equal by default.
    intersections : mapping of tuples of names to p, optional
        P-values of intersections that were tested otherwise (an F test of several arms), in
        place of ``local``.
    alpha : float
        Familywise error rate.

    Returns
    -------
    ClosedTest
        ``.table``: ``hypothesis, p_value, p_adjusted, rejected, decided_by`` (the members of the
        intersection with the largest p), ``method``. ``.intersections``: ``members`` (joined by
        " & "), ``size, p_value, source``.

    Notes
    -----
    The adjusted p is the largest p of the intersections that hold the hypothesis, and does not
    depend on ``alpha``. A missing p counts as 1 in the intersections that hold it and stays
    missing itself.
    Source: Marcus, Peritz and Gabriel (1976).
    Checked against: R 4.2 ``p.adjust`` for Holm and Hommel, multxpert 0.1.1 (weighted Holm;
    tests/reference/closed_tests.R); Fisher by hand.
    """
    names, values = labelled(p, prefix="H")
    test, shares = _local(local, weights, names)
    if not 0 < alpha < 1:
        msg = f"alpha is a proportion such as 0.05, got {alpha!r}"
        raise UsageError(msg)
    if len(names) > _MOST:
        msg = (
            f"p: {len(names)} hypotheses have {2 ** len(names) - 1:,} intersections; at most "
            f"{_MOST} are tested, use adjust_pvalues or graphical_test"
        )
        raise UsageError(msg)
    given = _given(intersections, names)
    filled = np.nan_to_num(values, nan=1.0)
    adjusted, decided = np.zeros(len(names)), [""] * len(names)
    rows = []
    for size in range(1, len(names) + 1):
        for places in combinations(range(len(names)), size):
            at = list(places)
            members = " & ".join(names[i] for i in at)
            known = given.get(frozenset(at))
            value = test(filled[at], shares[at]) if known is None else known
            rows.append((members, size, value, local if known is None else "given"))
            for i in at:
                if value > adjusted[i] or not decided[i]:
                    adjusted[i], decided[i] = value, members
    missing = np.isnan(values)
    adjusted[missing] = np.nan
    rejected = np.nan_to_num(adjusted, nan=1.0) <= alpha
    method = f"closed test, {local} intersections" + (", some given" if given else "")
    table = pd.DataFrame(
        {
            "hypothesis": names, "p_value": values, "p_adjusted": adjusted, "rejected": rejected,
            "decided_by": decided, "method": method,
        }
    )  # fmt: skip
    return ClosedTest(
        table=table,
        intersections=pd.DataFrame(rows, columns=["members", "size", "p_value", "source"]),
        text=f"{int(rejected.sum())} of {len(names)} hypotheses are rejected at a familywise "
        f"error rate of {alpha:g} ({method}).",
        settings={
            "method": method, "alpha": alpha, "local": local, "weights": shares.tolist(),
            "hypotheses": names, "given": len(given),
        },
        notes=(f"{int(missing.sum())} of {len(names)} p-values are missing; never rejected",)
        if missing.any()
        else (),
    )  # fmt: skip


def _local(
    local: str, weights: ArrayLike | Mapping[str, float] | None, names: list[str]
) -> tuple[Callable[[Vector, Vector], float], Vector]:
    tests = {"bonferroni": _bonferroni, "simes": _simes, "fisher": _fisher}
    if local not in tests or (local == "fisher" and weights is not None):
        msg = f"local is bonferroni or simes, or fisher without weights; got {local!r}"
        raise UsageError(msg)
    shares = np.ones(len(names)) if weights is None else aligned(weights, names)
    if not (np.isfinite(shares).all() and (shares > 0).all()):
        msg = f"weights: {int((~(shares > 0)).sum())} of {len(names)} are not positive numbers"
        raise UsageError(msg)
    return tests[local], shares


def _given(
    intersections: Mapping[tuple[str, ...], float] | None, names: list[str]
) -> dict[frozenset[int], float]:
    found = {}
    for members, value in (intersections or {}).items():
        unknown = sorted(set(map(str, members)) - set(names))
        if unknown or not members:
            msg = f"intersections: no p-value for {', '.join(unknown) or 'an empty set'}"
            raise UsageError(msg)
        if not 0 <= value <= 1:
            msg = f"intersections: the p-value of {len(members)} hypotheses is no proportion"
            raise DataError(msg)
        found[frozenset(names.index(str(one)) for one in members)] = float(value)
    return found


def _bonferroni(p: Vector, w: Vector) -> float:
    return min(1.0, float((p * w.sum() / w).min()))


def _simes(p: Vector, w: Vector) -> float:
    order = np.argsort(p, kind="stable")
    return min(1.0, float((p[order] * w.sum() / np.cumsum(w[order])).min()))


def _fisher(p: Vector, w: Vector) -> float:
    with np.errstate(divide="ignore"):
        return float(stats.chi2.sf(-2 * np.log(p).sum(), 2 * len(p)))
