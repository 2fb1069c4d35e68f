"""Results -> figures: readable in black and white, one colour per tissue type, no statistics."""

from livertrack.figures._dispatch import model_figure, plot_result
from livertrack.figures._palette import arm_style, type_colour, type_hatch, type_marker
from livertrack.figures._style import figure_of, save_figure
from livertrack.figures.agreement import bland_altman_plot
from livertrack.figures.atlas import change_atlas_slices, change_map
from livertrack.figures.boundaries import boundary_plot
from livertrack.figures.compared import comparison_panels
from livertrack.figures.consort import consort
from livertrack.figures.diagnostics import mmrm_diagnostic_panels
from livertrack.figures.forest import estimates_by, forest
from livertrack.figures.graph import hypothesis_graph
from livertrack.figures.incidence import incidence_curves, mean_event_curves
from livertrack.figures.lines import (
    Line,
    composition_lines,
    line_forest,
    max_t_lines,
    odds_forest,
    subgroup_lines,
)
from livertrack.figures.noise import real_change_panels
from livertrack.figures.pathways import alluvial, pathway_matrix
from livertrack.figures.power import power_curves, separation_curves
from livertrack.figures.prediction import (
    calibration_plot,
    confusion_matrices,
    cross_validation_panels,
    model_forest,
    observed_against_predicted,
    prediction_panels,
    roc_curves,
)
from livertrack.figures.prognosis import importance_bars, prognosis_panels
from livertrack.figures.replication import replication_forest
from livertrack.figures.shapley import shapley_points
from livertrack.figures.shift import rater_heat_map, shift_heat_map
from livertrack.figures.signatures import signature_trajectories
from livertrack.figures.survival import kaplan_meier_curve
from livertrack.figures.task_maps import task_map_examples
from livertrack.figures.tipping_point import tipping_point_plot
from livertrack.figures.vocabulary import (
    exemplar_patches,
    intensity_profiles,
    label_map,
    label_maps,
)
from livertrack.figures.wins import win_bars

__all__ = [
    "Line",
    "alluvial",
    "arm_style",
    "bland_altman_plot",
    "boundary_plot",
    "calibration_plot",
    "change_atlas_slices",
    "change_map",
    "comparison_panels",
    "composition_lines",
    "confusion_matrices",
    "consort",
    "cross_validation_panels",
    "estimates_by",
    "exemplar_patches",
    "figure_of",
    "forest",
    "hypothesis_graph",
    "importance_bars",
    "incidence_curves",
    "intensity_profiles",
    "kaplan_meier_curve",
    "label_map",
    "label_maps",
    "line_forest",
    "max_t_lines",
    "mean_event_curves",
    "mmrm_diagnostic_panels",
    "model_figure",
    "model_forest",
    "observed_against_predicted",
    "odds_forest",
    "pathway_matrix",
    "plot_result",
    "power_curves",
    "prediction_panels",
    "prognosis_panels",
    "rater_heat_map",
    "real_change_panels",
    "replication_forest",
    "roc_curves",
    "save_figure",
    "separation_curves",
    "shapley_points",
    "shift_heat_map",
    "signature_trajectories",
    "subgroup_lines",
    "task_map_examples",
    "tipping_point_plot",
    "type_colour",
    "type_hatch",
    "type_marker",
    "win_bars",
]
