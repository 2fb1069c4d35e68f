"""Gatekeeping: families of hypotheses in order, each opened by rejections in the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from livertrack._results import Result
from livertrack.endpoints.graphical import labelled
from livertrack.errors import UsageError

Vector = NDArray[np.float64]
Component = Literal["bonferroni", "holm", "hochberg"]
_STEPS = 80  # halvings of the search for an adjusted p


@dataclass(frozen=True, kw_only=True)
class Gatekeeping(Result):
    """Decisions (``table``) and the level each family received (``families``)."""

    families: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("family", "hypothesis")
    context: ClassVar[str] = "gatekeeping"


def gatekeeping(
    p: ArrayLike | pd.Series | Mapping[str, float],
    families: Sequence[Sequence[str]] | Mapping[str, Sequence[str]],
    *,
    component: Component | Sequence[Component] = "holm",
    truncation: float | Sequence[float] = 1.0,
    alpha: float = 0.05,
) -> Gatekeeping:
    """Test ordered families; what a family does not need of alpha goes to the next.

    Parameters
    ----------
    p : array, Series or mapping, one value per hypothesis
        Unadjusted p-values; NaN is a test that could not be made and is never rejected. The index
        or the keys name the hypotheses, else they are H1, H2, ...
    families : sequence of sequences of names, or mapping of family to names
        In order; every hypothesis in one family.
    component : {"bonferroni", "holm", "hochberg"} or one per family
        Test within a family. Hochberg needs independence or positive dependence.
    truncation : float or one per family
        Share of a family's level that its steps reuse, 0 to 1. With 1 in a family (the default)
        the next one is tested only when all of the family is rejected: serial gatekeeping. Below
        1 every rejection passes something on: parallel gatekeeping. The last family uses 1.
    alpha : float
        Familywise error rate over all families.

    Returns
    -------
    Gatekeeping
        ``.table``: ``family, hypothesis, p_value, p_adjusted, rejected, method``. ``.families``:
        ``family, component, truncation, level`` (received), ``n, n_rejected``.

    Notes
    -----
    Ordered p-values of a family of n are compared with (g / (n - i + 1) + (1 - g) / n) times its
    level, g the truncation, from the smallest (Holm) or from the largest (Hochberg); Bonferroni
    with level / n. A family passes on its level less g + (1 - g) a / n of it, where a of its n
    hypotheses are accepted (Bonferroni: less a / n of it), and all of it when a = 0.
    The adjusted p is the smallest ``alpha`` at which the hypothesis is rejected. It is at least
    that of the best of the family before: a closed gate cannot be passed.
    Source: Dmitrienko, Tamhane and Wiens (2008).
    Checked against: R multxpert 0.1.1 ``pargateadjp`` (tests/reference/closed_tests.R); the
    graphical procedure for Bonferroni families.
    """
    names, values = labelled(p, prefix="H")
    if not 0 < alpha < 1:
        msg = f"alpha is a proportion such as 0.05, got {alpha!r}"
        raise UsageError(msg)
    titles, places = _placed(families, names)
    kinds = _per_family(component, len(places), "component")
    shares = [float(one) for one in _per_family(truncation, len(places), "truncation")]
    shares[-1] = 1.0
    if not set(kinds) <= {"bonferroni", "holm", "hochberg"}:
        msg = f"component is bonferroni, holm or hochberg; got {sorted(set(map(str, kinds)))}"
        raise UsageError(msg)
    if not all(0 <= one <= 1 for one in shares):
        msg = f"truncation is a share between 0 and 1, got {shares}"
        raise UsageError(msg)
    filled = np.nan_to_num(values, nan=2.0)
    rejected, levels = _stages(filled, places, kinds, shares, alpha)
    adjusted = _adjusted(filled, places, kinds, shares)
    adjusted[np.isnan(values)] = np.nan
    shown = [f"{kind}, truncation {share:g}" for kind, share in zip(kinds, shares, strict=True)]
    method = "multistage gatekeeping"
    table = pd.DataFrame(
        [
            {
                "family": title, "hypothesis": names[i], "p_value": values[i],
                "p_adjusted": adjusted[i], "rejected": bool(rejected[i]), "method": method,
            }
            for title, at in zip(titles, places, strict=True)
            for i in at
        ]
    )  # fmt: skip
    stages = pd.DataFrame(
        {
            "family": titles, "component": kinds, "truncation": shares, "level": levels,
            "n": [len(at) for at in places],
            "n_rejected": [int(rejected[at].sum()) for at in places],
        }
    )  # fmt: skip
    missing = int(np.isnan(values).sum())
    counts = "; ".join(f"{row.family} {row.n_rejected} of {row.n}" for row in stages.itertuples())
    return Gatekeeping(
        table=table,
        families=stages,
        text=f"Rejected at a familywise error rate of {alpha:g}: {counts}.",
        settings={
            "method": method,
            "alpha": alpha,
            "components": shown,
            "families": titles,
            "hypotheses": names,
        },
        notes=(f"{missing} of {len(names)} p-values are missing; never rejected",)
        if missing
        else (),
    )


def _placed(
    families: Sequence[Sequence[str]] | Mapping[str, Sequence[str]], names: list[str]
) -> tuple[list[str], list[list[int]]]:
    if isinstance(families, Mapping):
        titles, members = list(map(str, families)), [list(map(str, f)) for f in families.values()]
    else:
        members = [list(map(str, family)) for family in families]
        titles = [f"family {number}" for number in range(1, len(members) + 1)]
    listed = [name for family in members for name in family]
    unknown, absent = sorted(set(listed) - set(names)), sorted(set(names) - set(listed))
    if unknown or absent or len(set(listed)) < len(listed) or not all(members) or not members:
        msg = (
            f"families: {len(unknown)} name(s) without a p-value, {len(absent)} hypothesis(es) in "
            f"no family, {len(listed) - len(set(listed))} listed twice, "
            f"{sum(not family for family in members)} empty; each belongs to one family"
        )
        raise UsageError(msg)
    return titles, [[names.index(name) for name in family] for family in members]


def _per_family(given: Any, count: int, what: str) -> list[Any]:
    values = list(given) if isinstance(given, (list, tuple)) else [given] * count
    if len(values) != count:
        msg = f"{what}: {count} families need one value or as many, got {len(values)}"
        raise UsageError(msg)
    return values


def _stages(
    p: Vector, places: list[list[int]], kinds: Sequence[object], shares: Sequence[float],
    alpha: float,
) -> tuple[NDArray[np.bool_], list[float]]:  # fmt: skip
    """Rejections, and the level that each family receives."""
    rejected, levels, level = np.zeros(len(p), bool), [], alpha
    for at, kind, share in zip(places, kinds, shares, strict=True):
        levels.append(level)
        if level <= 0:
            continue
        rejected[at] = _family(p[at], str(kind), share, level)
        accepted, n = int((~rejected[at]).sum()), len(at)
        share = 0.0 if kind == "bonferroni" else share
        level *= 1.0 if not accepted else 1 - share - (1 - share) * accepted / n
    return rejected, levels


def _family(p: Vector, kind: str, share: float, level: float) -> NDArray[np.bool_]:
    n, order = len(p), np.argsort(p, kind="stable")
    if kind == "bonferroni":
        return np.asarray(p * n <= level)
    bounds = (share / (n - np.arange(n)) + (1 - share) / n) * level
    below = p[order] <= bounds
    if kind == "holm":
        count = n if below.all() else int(np.argmin(below))
    else:
        count = int(np.flatnonzero(below)[-1]) + 1 if below.any() else 0
    result = np.zeros(n, bool)
    result[order[:count]] = True
    return result


def _adjusted(
    p: Vector, places: list[list[int]], kinds: Sequence[object], shares: Sequence[float]
) -> Vector:
    """Smallest level at which each hypothesis is rejected; 1 where none below 1 does."""
    adjusted = np.ones(len(p))
    for i in range(len(p)):
        low, high = 0.0, 1.0
        if not _stages(p, places, kinds, shares, high)[0][i]:
            continue
        for _ in range(_STEPS):
            middle = (low + high) / 2
            if _stages(p, places, kinds, shares, middle)[0][i]:
                high = middle
            else:
                low = middle
            if high - low < 1e-15:
                break
        adjusted[i] = high
    return adjusted
