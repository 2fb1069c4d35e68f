"""How far imputed values must be worse before a conclusion no longer holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scipy import optimize

from livertrack._results import Result
from livertrack.endpoints._imputation_analysis import default_analysis
from livertrack.endpoints._imputation_paths import Analyst, Path
from livertrack.errors import UsageError

if TYPE_CHECKING:
    from livertrack.endpoints.imputation import Imputation


@dataclass(frozen=True, kw_only=True)
class TippingPoint(Result):
    """Results at each pair of deltas.

    ``table``: ``delta`` (added to imputed values of all arms but the reference),
    ``delta_reference`` (to those of the reference arm), the arm, ``reference, estimate, ...,
    significant``.
    ``tipping``: per arm and ``delta_reference``: ``significant_at_zero``; ``tipping_delta``, the
    delta tried that is nearest to zero and no longer significant; ``tipping_exact``, where between
    that one and its neighbour p crosses the level. NaN where the result does not tip.
    """

    tipping: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("reference",)
    context: ClassVar[str] = "tipping_point"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "keys", (self.settings["arm"], "reference"))


def tipping_point_of(
    imputation: Imputation,
    deltas: Sequence[float],
    reference_deltas: Sequence[float],
    visit: Any | None,
    formula: str | None,
    conf_level: float,
) -> TippingPoint:
    """Analyse with deltas; see `Imputation.tipping_point`."""
    s = imputation.settings
    arm = s["arm"]
    steps = _steps(deltas, "deltas", none="deltas is empty")
    own_steps = _steps(reference_deltas, "reference_deltas")
    visits = list(imputation.grid[s["visit"]].cat.categories)
    visit = visits[-1] if visit is None else visit
    if visit not in visits:
        msg = f"tipping_point: {s['visit']} {visit!r} does not occur; visits are {visits}"
        raise UsageError(msg)
    formula = formula or default_analysis(s)
    is_reference = (imputation.arms == s["reference"])[:, None]
    imputed = imputation.handling.imputed
    directions = np.array([imputed & ~is_reference, imputed & is_reference], float)
    (path,) = Analyst(imputation, formula).paths(directions, [visits.index(visit)])
    alpha = 1 - conf_level
    parts, rows = [], []
    for other in own_steps:
        line = []
        for delta in steps:
            found = path.at([delta, other], conf_level)[1]
            found.insert(0, "delta", delta)
            found.insert(1, "delta_reference", other)
            line.append(found)
        parts += line
        row = pd.concat(line, ignore_index=True)
        rows += [
            {
                arm: name, "delta_reference": other,
                **_tip(path, number, part, other, alpha=alpha, conf_level=conf_level),
            }
            for number, (name, part) in enumerate(row.groupby(arm, observed=True, sort=False))
        ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    table["significant"] = table["p_value"] < alpha
    tipping = pd.DataFrame(rows)
    at_visit = imputed[:, visits.index(visit)]
    return TippingPoint(
        table=table,
        tipping=tipping,
        text=f"Tipping point of {s['value']} at {visit}: {_text(tipping, arm)}",
        settings={
            **s, "analysis": formula, "deltas": steps, "reference_deltas": own_steps,
            "at_visit": visit, "conf_level": conf_level,
            "n_imputed_arm": int((at_visit & ~is_reference[:, 0]).sum()),
            "n_imputed_ref": int((at_visit & is_reference[:, 0]).sum()),
        },
        notes=imputation.notes,
    )  # fmt: skip


def _steps(values: Sequence[float], name: str, none: str = "") -> list[float]:
    """Distinct values in order, zero among them."""
    found = [float(value) for value in values]
    if (none and not found) or not np.isfinite(found).all():
        msg = f"tipping_point: {none if not found else f'{name} must be numbers'}"
        raise UsageError(msg)
    return sorted({*found, 0.0})


def _tip(
    path: Path, number: int, part: pd.DataFrame, other: float, *, alpha: float, conf_level: float
) -> dict[str, Any]:
    """Where one arm tips along ``delta`` at a given delta of the reference arm."""
    nan = float("nan")
    delta, p = part["delta"].to_numpy(), part["p_value"].to_numpy()
    at_zero = bool(p[delta == 0][0] < alpha)
    lost = np.flatnonzero(~(p < alpha))
    if not at_zero or not len(lost):
        return {"significant_at_zero": at_zero, "tipping_delta": nan, "tipping_exact": nan}
    place = int(lost[np.argmin(np.abs(delta[lost]))])
    neighbour = place - int(np.sign(delta[place]))

    def excess(size: float) -> float:
        return float(path.at([size, other], conf_level)[1]["p_value"].iloc[number]) - alpha

    exact = nan
    if np.isfinite(p[place]):
        low, high = sorted((float(delta[neighbour]), float(delta[place])))
        exact = float(optimize.brentq(excess, low, high, xtol=1e-10 * max(abs(low), abs(high))))
    return {
        "significant_at_zero": at_zero, "tipping_delta": float(delta[place]),
        "tipping_exact": exact,
    }  # fmt: skip


def _text(tipping: pd.DataFrame, arm: str) -> str:
    sentences = []
    for row in tipping[tipping["delta_reference"] == 0].to_dict("records"):
        if not row["significant_at_zero"]:
            sentences.append(f"{row[arm]}: not significant without a delta.")
        elif np.isnan(row["tipping_delta"]):
            sentences.append(f"{row[arm]}: significant at every delta tried.")
        else:
            exact = row["tipping_exact"]
            at = row["tipping_delta"] if np.isnan(exact) else exact
            sentences.append(
                f"{row[arm]}: no longer significant when {at:.3g} is added to imputed values."
            )
    return " ".join(sentences)
