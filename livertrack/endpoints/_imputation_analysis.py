"""Analysis of completed data sets: ANCOVA by visit, pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._design import Floats
from livertrack.endpoints._imputation_paths import Analyst
from livertrack.endpoints._linear import difference_text
from livertrack.errors import UsageError

if TYPE_CHECKING:
    from livertrack.endpoints.imputation import Imputation


@dataclass(frozen=True, kw_only=True)
class ImputedAnalysis(Result):
    """Pooled LS means and their differences by visit.

    ``table``: visit and arm columns, ``reference, estimate, std_error, df, statistic, p_value,
    conf_low, conf_high, fraction_missing, n_imputed, n_arm, n_ref, n, method``; positive = higher
    than reference. ``n`` = subjects of all arms, ``n_imputed`` = those whose record at the visit
    was imputed. ``lsmeans``: one row per visit and arm, ``n`` and ``n_imputed`` of the arm.
    ``intercurrent``: one row per event, strategy, assumption and arm: ``n_subjects, n_observed,
    n_missing`` (records after the event).
    """

    lsmeans: pd.DataFrame
    intercurrent: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("reference",)
    context: ClassVar[str] = "imputation"

    def __post_init__(self) -> None:
        super().__post_init__()
        keys = (self.settings["visit"], self.settings["arm"], "reference")
        object.__setattr__(self, "keys", keys)


def analyse_imputed(
    imputation: Imputation,
    formula: str | None,
    delta: float | Mapping[Any, float],
    conf_level: float,
) -> ImputedAnalysis:
    """Analyse completed data sets; see `Imputation.analyse`."""
    s = imputation.settings
    formula = formula or default_analysis(s)
    visits = list(imputation.grid[s["visit"]].cat.categories)
    analyst = Analyst(imputation, formula)
    paths = analyst.paths(_shift(imputation, delta)[None], range(len(visits)))
    imputed = imputation.handling.imputed
    arms = analyst.people[s["arm"]].astype(object).to_numpy()
    means, pairs = [], []
    for place, (visit, path) in enumerate(zip(visits, paths, strict=True)):
        at_visit = [part.copy() for part in path.at([1.0], conf_level)]
        for part in at_visit:
            part.insert(0, s["visit"], visit)
        mean, pair = at_visit
        own = [arms == arm for arm in mean[s["arm"]].astype(object)]
        mean["n_imputed"] = [int(imputed[members, place].sum()) for members in own]
        mean["n"] = [int(members.sum()) for members in own]
        pair["n_imputed"] = int(imputed[:, place].sum())
        pair["n_arm"] = [int((arms == arm).sum()) for arm in pair[s["arm"]].astype(object)]
        pair["n_ref"] = int((arms == s["reference"]).sum())
        pair["n"] = len(arms)
        means.append(mean)
        pairs.append(pair)
    table = pd.concat(pairs, ignore_index=True).assign(method=s["method"])
    text = difference_text(
        table.drop(columns=["fraction_missing", "n_imputed"]), arm=s["arm"], conf_level=conf_level,
        what=f"Difference in {s['value']}, missing records imputed ({s['assumed']})",
    )  # fmt: skip
    return ImputedAnalysis(
        table=table,
        lsmeans=pd.concat(means, ignore_index=True).assign(method=s["method"]),
        intercurrent=imputation.handling.summary,
        text=text,
        settings={**s, "analysis": formula, "delta": delta, "conf_level": conf_level},
        notes=imputation.notes,
    )


def default_analysis(settings: Mapping[str, Any]) -> str:
    """Response ~ covariates + arm."""
    names = [*settings["covariates"], settings["arm"]]
    return f"`{settings['value']}` ~ {' + '.join(f'`{name}`' for name in names)}"


def _shift(imputation: Imputation, delta: float | Mapping[Any, float]) -> Floats:
    """What is added to the imputed values (subjects x visits)."""
    s = imputation.settings
    arms = imputation.arms
    if isinstance(delta, Mapping):
        unknown = [arm for arm in delta if arm not in set(arms)]
        if unknown:
            msg = f"delta: no arm {unknown}; arms are {sorted(map(str, set(arms)))}"
            raise UsageError(msg)
        added = np.array([float(delta.get(arm, 0.0)) for arm in arms])
    else:
        added = np.where(arms == s["reference"], 0.0, float(delta))
    if not np.isfinite(added).all():
        msg = f"delta is a number, got {delta!r}"
        raise UsageError(msg)
    return np.asarray(added[:, None] * imputation.handling.imputed, float)
