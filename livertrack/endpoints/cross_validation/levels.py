"""From rows (slices, scans) to subjects, and the net benefit of acting on a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._splits import Problem

Vector = NDArray[np.float64]
Combine = Literal["mean", "median", "max"]


def by_subject(
    problem: Problem, predicted: Mapping[str, Vector], combine: Combine
) -> tuple[Problem, dict[str, Vector], int]:
    """Combine rows to one per subject, and count the subjects whose outcome varies.

    Predictions are combined as asked; an outcome that varies within a subject becomes its largest
    level (binary, ordinal) or its mean (continuous).
    """
    ids, place = np.unique(problem.subjects, return_inverse=True)
    seen = pd.Series(problem.y).groupby(place)
    varying = int((seen.max() > seen.min()).sum())
    level = seen.mean() if problem.task == "continuous" else seen.max()
    y = np.asarray(level, np.float64)
    sites = None
    if problem.sites is not None:
        sites = pd.Series(problem.sites).groupby(place).first().to_numpy(np.int64)
    joined = {
        name: pd.Series(p).groupby(place).agg(combine).to_numpy(float)
        for name, p in predicted.items()
    }
    return Problem(y, np.arange(len(ids)), sites, problem.task), joined, varying


def decision_curve(problem: Problem, predicted: Mapping[str, Vector]) -> pd.DataFrame:
    """Net benefit at thresholds 0.01 to 0.99 (Vickers and Elkin 2006); empty unless binary.

    Net benefit = true positives / n - false positives / n x threshold / (1 - threshold);
    ``net_benefit_all`` acts on everybody, acting on nobody is 0.
    """
    columns = ["feature_set", "threshold", "net_benefit", "net_benefit_all"]
    if problem.task != "binary":
        return pd.DataFrame(columns=columns)
    cuts = np.arange(1, 100) / 100
    odds = cuts / (1 - cuts)
    share = float(problem.y.mean())
    frames = []
    for name, p in predicted.items():
        called = p[None, :] >= cuts[:, None]
        hits = (called * problem.y).mean(axis=1)
        alarms = (called * (1 - problem.y)).mean(axis=1)
        frames.append(pd.DataFrame({
            "feature_set": name, "threshold": cuts, "net_benefit": hits - alarms * odds,
            "net_benefit_all": share - (1 - share) * odds,
        }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)[columns]
