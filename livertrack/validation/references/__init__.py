"""Reference numbers: published tables and other programs, computed again here."""

from __future__ import annotations

import pandas as pd

from livertrack.validation.references import agreement, events, models, published, responders
from livertrack.validation.references import separation as effects
from livertrack.validation.references._data import reference_numbers

_MODULES = (models, effects, responders, events, agreement)

COLUMNS = [
    "family", "method", "quantity", "value", "published", "difference", "tolerance", "passed",
    "source",
]  # fmt: skip


def reference_table() -> pd.DataFrame:
    """Compute every reference number and compare.

    Returns
    -------
    DataFrame
        One row per number: ``family, method, quantity, value`` (ours), ``published`` (the
        reference), ``difference, tolerance, passed, source``. The tolerance is half a unit of the
        last published digit, or what two converged programs may differ by.
    """
    rows = [*published.rows(), *_beside_programs()]
    table = pd.DataFrame(rows)
    table["difference"] = table["value"] - table["published"]
    # a NaN of ours passes nowhere
    table["passed"] = table["difference"].abs() <= table["tolerance"] * 1.000001
    place = {family: number for number, family in enumerate(FAMILIES)}
    order = table["family"].map(place)
    return table.assign(order=order).sort_values("order", kind="stable")[COLUMNS]


def _beside_programs() -> list[dict[str, object]]:
    """Rows of the numbers of other programs on the invented trial."""
    ours: dict[str, dict[str, float]] = {}
    for module in _MODULES:
        for method, check in module.CHECKS.items():
            ours[method] = check()
    rows: list[dict[str, object]] = []
    for number in reference_numbers().to_dict("records"):
        method, quantity = str(number["method"]), str(number["quantity"])
        rows.append(
            {
                "family": FAMILY_OF[method], "method": method, "quantity": quantity,
                "value": float(ours[method][quantity]), "published": float(number["value"]),
                "tolerance": float(number["tolerance"]), "source": str(number["source"]),
            }
        )  # fmt: skip
    return rows


FAMILIES = {
    "Pathways and prediction": ("lt.change_pathways",),
    "Separation of arms": ("lt.separation", "lt.compare_separation"),
    "Models of change": (
        "lt.ancova", "lt.mmrm", "lt.impute", "lt.power", "lt.signature_summary",
        "lt.subgroup_forest",
    ),
    "Responders": (
        "lt.risk_difference", "lt.risk_ratio", "lt.odds_ratio", "lt.cmh_test", "lt.g_computation",
    ),
    "Events": (
        "lt.kaplan_meier", "lt.log_rank", "lt.cox", "lt.rmst", "lt.cumulative_incidence",
        "lt.fine_gray", "lt.recurrent_events", "lt.win_ratio",
    ),
    "Ordinal endpoints": ("lt.proportional_odds", "lt.shift_table", "lt.weighted_kappa"),
    "Agreement and repeatability": ("lt.icc", "lt.bland_altman", "lt.repeatability"),
    "Compositions": (
        "lt.clr", "lt.aitchison_distance", "lt.permanova", "lt.composition_regression",
    ),
    "Multiplicity and interim looks": (
        "lt.adjust_pvalues", "lt.max_t", "lt.graphical_test", "lt.group_sequential",
    ),
}  # fmt: skip
FAMILY_OF = {method: family for family, methods in FAMILIES.items() for method in methods}
