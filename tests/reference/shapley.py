"""Shapley values of the Python library shap, exact and interventional, for two models.

    pip install shap==0.51.0
    python tests/reference/shapley.py

Writes shapley.csv: ``model, row, feature, value``. Data and models are those of
`shapley_models` below, which the test imports.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression


def shapley_models():
    """Background (30, 5), rows to explain (6, 5), and two fitted classifiers by name."""
    rng = np.random.default_rng(20261121)
    x = rng.normal(size=(120, 5))
    x[:, 1] = 0.7 * x[:, 0] + 0.7 * x[:, 1]
    y = (x[:, 0] + x[:, 2] * x[:, 3] + rng.normal(0, 0.5, 120) > 0).astype(int)
    models = {
        "logistic": LogisticRegression().fit(x, y),
        "forest": RandomForestClassifier(20, max_depth=4, random_state=1).fit(x, y),
    }
    return x[:30], x[-6:], models


def main() -> None:
    import shap

    background, rows, models = shapley_models()
    lines = ["model,row,feature,value"]
    for name, model in models.items():
        masker = shap.maskers.Independent(background, max_samples=len(background))
        explain = shap.explainers.Exact(lambda x, m=model: m.predict_proba(x)[:, 1], masker)
        for row, values in enumerate(explain(rows).values):
            lines += [f"{name},{row},{k},{float(v)!r}" for k, v in enumerate(values)]
    out = Path(__file__).with_suffix(".csv")
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
