"""Results -> figures: readable in black and white, one colour per tissue type, no statistics."""

from livertrack.figures._dispatch import model_figure, plot_result
from livertrack.figures._palette import arm_style, type_colour, type_hatch, type_marker
from livertrack.figures._style import figure_of, save_figure
from livertrack.figures.agreement import bland_altman_plot
from livertrack.figures.consort import consort
from livertrack.figures.forest import estimates_by, forest
from livertrack.figures.pathways import alluvial, pathway_matrix
from livertrack.figures.prediction import (
    calibration_plot,
    confusion_matrices,
    prediction_panels,
    roc_curves,
)
from livertrack.figures.signatures import signature_trajectories
from livertrack.figures.survival import kaplan_meier_curve
from livertrack.figures.vocabulary import (
    exemplar_patches,
    intensity_profiles,
    label_map,
    label_maps,
)

__all__ = [
    "alluvial",
    "arm_style",
    "bland_altman_plot",
    "calibration_plot",
    "confusion_matrices",
    "consort",
    "estimates_by",
    "exemplar_patches",
    "figure_of",
    "forest",
    "intensity_profiles",
    "kaplan_meier_curve",
    "label_map",
    "label_maps",
    "model_figure",
    "pathway_matrix",
    "plot_result",
    "prediction_panels",
    "roc_curves",
    "save_figure",
    "signature_trajectories",
    "type_colour",
    "type_hatch",
    "type_marker",
]
