"""Frames of a fitted MMRM: coefficients, covariances, parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from livertrack.endpoints._linear import inference_columns
from livertrack.endpoints.mmrm._inference import Inference


def coefficient_table(inference: Inference, conf_level: float) -> pd.DataFrame:
    """Coefficients with t inference; NaN for aliased ones."""
    data = inference.fit.data
    names = data.frame.design.names
    eye = np.eye(len(names))[data.kept]
    columns = {key: np.full(len(names), np.nan) for key in ("estimate", "std_error", "df")}
    for key, values in zip(columns, inference.single(eye), strict=True):
        columns[key][data.kept] = values
    table = pd.DataFrame(inference_columns(**columns, conf_level=conf_level))
    table.insert(0, "term", list(names))
    return table.assign(n=inference.fit.n_obs)


def covariance_frames(inference: Inference) -> dict[Any, pd.DataFrame]:
    """Covariance matrices by group, as frames."""
    fit = inference.fit
    visits: list[Any] = list(fit.data.visits)
    matrices = fit.matrices()
    if not matrices:  # spatial
        places = np.array(visits if 0 < len(visits) <= 50 else [0.0, 1.0])
        if not 0 < len(visits) <= 50:
            visits = ["distance 0", "distance 1"]
        distance = np.abs(np.subtract.outer(places, places))
        theta = fit.natural.theta.reshape(-1, 2)
        scale = fit.data.scale**2
        matrices = [scale * variance * np.exp(-distance / reach) for variance, reach in theta]
    return {
        group: pd.DataFrame(matrix, index=visits, columns=visits)
        for group, matrix in zip(fit.data.groups, matrices, strict=True)
    }


def covariance_long(inference: Inference) -> pd.DataFrame:
    """Covariances and correlations of pairs of visits, one row each."""
    parts = []
    for group, frame in covariance_frames(inference).items():
        matrix = frame.to_numpy()
        a, b = np.tril_indices(len(matrix))
        scale = np.sqrt(np.diag(matrix))
        labels = [str(label) for label in frame.index]
        parts.append(
            pd.DataFrame(
                {
                    "group": str(group),
                    "visit_1": [labels[i] for i in b],
                    "visit_2": [labels[i] for i in a],
                    "covariance": matrix[a, b],
                    "correlation": matrix[a, b] / (scale[a] * scale[b]),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def parameter_table(inference: Inference) -> pd.DataFrame:
    """Covariance parameters on the scale of the data, with asymptotic standard errors."""
    fit = inference.fit
    scale = np.array([_unit(label, fit.data.scale) for label in fit.natural.labels])
    per_group = len(fit.natural.labels) // len(fit.data.groups)
    return pd.DataFrame(
        {
            "group": np.repeat([str(group) for group in fit.data.groups], per_group),
            "parameter": fit.natural.labels,
            "estimate": fit.natural.theta * scale,
            "std_error": np.sqrt(np.diag(fit.theta_vcov)) * scale,
        }
    )


def _unit(label: str, scale: float) -> float:
    """Variances and covariances carry the squared unit of the response, the others none."""
    return scale**2 if label.startswith(("UN(", "Var", "Covariance")) else 1.0
