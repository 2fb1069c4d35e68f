"""A task that trains in a second: bright grain or none, slices of one subject alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

import livertrack as lt
from livertrack.imaging.learning.settings import Training
from livertrack.tasks import Cases, ImageTask


class Grain(nn.Module):
    """Mean square of one convolution."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.conv(images).square().mean((2, 3)))


def toy_cases(n: int = 24, slices: int = 2, seed: int = 0) -> Cases:
    """Subjects whose slices have a coarse or a fine grain, of random mean."""
    rng = np.random.default_rng(seed)
    rows, images = [], []
    for number in range(n):
        for place in range(slices):
            grain = rng.normal(0, 1.0 if number % 2 else 0.4, (1, 8, 8))
            images.append(grain - grain.mean() + rng.normal())
            rows.append({
                "USUBJID": f"T{seed}{number:02d}", "SLICE": place, "COARSE": number % 2,
                "SITEID": str(number // 2 % 2), "MEAN": images[-1].mean(),
            })  # fmt: skip
    return Cases.of(pd.DataFrame(rows), {"images": np.stack(images)}, simulated=True)


def toy_task(**changes: Any) -> ImageTask:
    """The declaration."""
    settings: dict[str, Any] = {
        "name": "toy", "title": "Grain", "outcome": "COARSE", "kind": "binary",
        "networks": {"one": lambda _, k: Grain(k), "two": lambda _, k: Grain(k)},
        "training": Training(epochs=30, batch=8, rate=3e-2),
        "baselines": {"mean intensity": lt.Tabular(LogisticRegression(), ["MEAN"])},
        "preparation": {"size": [8, 8]},
        "read": lambda folder: toy_cases(),
        "simulate": lambda folder, n, seed: Path(folder),
        "published": pd.DataFrame([
            {"figure": "accuracy", "metric": "accuracy", "level": "subject", "model": "",
             "published": 0.92, "source": "a paper"},
            {"figure": "accuracy of a slice", "metric": "accuracy", "level": "row",
             "model": "one", "published": 0.8, "source": "a paper"},
        ]),
        "n_published": 24, "n_folds": 3,
    }  # fmt: skip
    return ImageTask(**{**settings, **changes})
