"""Which figure shows which result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livertrack._views import frame_of
from livertrack.endpoints.mmrm import Mmrm
from livertrack.endpoints.mmrm_diagnostics import mmrm_diagnostics
from livertrack.errors import UsageError
from livertrack.figures.agreement import bland_altman_plot
from livertrack.figures.boundaries import boundary_plot
from livertrack.figures.compared import comparison_panels
from livertrack.figures.consort import consort
from livertrack.figures.diagnostics import mmrm_diagnostic_panels
from livertrack.figures.forest import estimates_by, forest
from livertrack.figures.graph import hypothesis_graph
from livertrack.figures.incidence import incidence_curves, mean_event_curves
from livertrack.figures.lines import composition_lines, max_t_lines, odds_forest, subgroup_lines
from livertrack.figures.noise import real_change_panels
from livertrack.figures.pathways import pathway_matrix
from livertrack.figures.prediction import cross_validation_panels, prediction_panels
from livertrack.figures.prognosis import importance_bars, prognosis_panels
from livertrack.figures.replication import replication_forest
from livertrack.figures.shapley import shapley_points
from livertrack.figures.shift import rater_heat_map, shift_heat_map
from livertrack.figures.signatures import signature_trajectories
from livertrack.figures.survival import kaplan_meier_curve
from livertrack.figures.tipping_point import tipping_point_plot
from livertrack.figures.wins import win_bars


def plot_result(result: Any, **options: Any) -> Any:
    """Draw a result, live or read back from its ARD, in the way of its endpoint.

    Parameters
    ----------
    result : Result or StoredResult
    **options
        Passed to the function of the endpoint, e.g. ``arms`` for their order.

    Returns
    -------
    Axes or ndarray of Axes

    Raises
    ------
    UsageError
        There is no figure for this endpoint.
    """
    draw = _FIGURES.get(result.context)
    if draw is None:
        msg = f"no figure shows {result.context!r}; there are figures of {', '.join(_FIGURES)}"
        raise UsageError(msg)
    return draw(result, **options)


def model_figure(result: Any, **options: Any) -> Any | None:
    """Draw adjusted means (or differences) over the visits; None with a single visit."""
    frame = frame_of(result, "lsmeans")
    frame = frame if len(frame) else frame_of(result, "table")
    visit = next((c for c in ("AVISIT", "visit") if c in frame.columns), None)
    if visit is None or frame[visit].nunique() < 2:
        return None
    options["order"] = options.pop("visits", None)
    return _lsmeans(result, **options)


def _lsmeans(result: Any, **options: Any) -> Any:
    """LS means where the result has them, else its contrasts, over visits where it has some."""
    frame = frame_of(result, "lsmeans")
    frame = frame if len(frame) else frame_of(result, "table")
    arm = str(result.settings.get("arm", "arm"))
    arm = arm if arm in frame.columns else "arm"
    visit = next((c for c in ("AVISIT", "visit") if c in frame.columns), None)
    if visit is None:
        frame, visit = frame.assign(visit=""), "visit"
    return estimates_by(frame, by=visit, arm=arm, **options)


def _mmrm(result: Any, **options: Any) -> Any:
    """Diagnostics of a fitted model; adjusted means of a comparison of arms."""
    if isinstance(result, Mmrm):
        return mmrm_diagnostic_panels(mmrm_diagnostics(result), **options)
    return _lsmeans(result, **options)


_FIGURES: dict[str, Callable[..., Any]] = {
    "separation": forest,
    "change_pathways": pathway_matrix,
    "replicate": replication_forest,
    "disposition": consort,
    "signature_summary": signature_trajectories,
    "kaplan_meier": kaplan_meier_curve,
    "ancova": _lsmeans,
    "mmrm": _mmrm,
    "mmrm_diagnostics": mmrm_diagnostic_panels,
    "imputation": _lsmeans,
    "tipping_point": tipping_point_plot,
    "bland_altman": bland_altman_plot,
    "biopsy_prediction": prediction_panels,
    "cross_validate": cross_validation_panels,
    "permutation_importance": importance_bars,
    "shapley_values": shapley_points,
    "prognosis": prognosis_panels,
    "compare_separation": lambda result, **options: comparison_panels([result], **options),
    "max_t": max_t_lines,
    "graphical_test": hypothesis_graph,
    "cumulative_incidence": incidence_curves,
    "recurrent_events": mean_event_curves,
    "win_ratio": win_bars,
    "proportional_odds": odds_forest,
    "shift_table": shift_heat_map,
    "weighted_kappa": rater_heat_map,
    "real_change": real_change_panels,
    "composition_regression": composition_lines,
    "subgroup_forest": subgroup_lines,
    "group_sequential": boundary_plot,
}
