"""Shear stiffness from T1W, T2W and DWI and a clinical table, in kPa.

After Ali et al. (2026): a transformer on routine sequences takes the place of an elastography.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from livertrack.endpoints.cross_validation.learners import Tabular
from livertrack.endpoints.cross_validation.splits import Kind
from livertrack.imaging.learning.sequence_dropout import SequenceDropout
from livertrack.imaging.learning.settings import Shapes, Training
from livertrack.simulate.staging import SPACING, stiffness_examinations
from livertrack.simulate.staging_files import write_stiffness
from livertrack.tasks._stiffness_files import (
    CLINICAL,
    RULES,
    SEQUENCES,
    CaseMaker,
    read_stiffness,
)
from livertrack.tasks._task import Cases, ImageTask
from livertrack.tasks._volumes import as_read
from livertrack.tasks.cirrmri import MEASURES
from livertrack.tasks.stiffness_checks import StiffnessChecks, stiffness_checks

__all__ = [
    "TASK",
    "StiffnessChecks",
    "simulate",
    "simulate_cases",
    "stiffness_checks",
    "task_for",
]

_SOURCE = "Ali et al. (2026): 3680 examinations of 3376 patients; 1224 temporal, 365 external"
_CORRELATION: dict[Kind, tuple[str, float]] = {
    "k-fold": ("r, ten folds", 0.78),
    "temporal": ("r, latest examinations", 0.77),
    "external": ("r, another institution", 0.76),
}


def simulate(
    folder: Path, n: int, seed: int, *, external: bool = False, repeated: int = 0
) -> Path:
    """Write ``n`` simulated subjects in the task's layout, the first ones with two visits."""
    made = stiffness_examinations(n, seed=seed, external=external, repeated=repeated)
    return write_stiffness(made, Path(folder), seed=seed)


def simulate_cases(n: int, *, seed: int, external: bool = False, repeated: int = 0) -> Cases:
    """Cases of `simulate` without files; no volume outlives its turn, whatever ``n``."""
    maker = CaseMaker(RULES, simulated=True)
    for row, volumes in stiffness_examinations(n, seed=seed, external=external, repeated=repeated):
        held = {name: as_read(*volume, SPACING) for name, volume in volumes.items()}
        maker.add(row, {name: held.get(name) for name in SEQUENCES})
    return maker.cases()


def task_for(split: Kind) -> ImageTask:
    """Give the task with the published figure of a split (none for a site left out)."""
    return replace(TASK, published=_published(split))


def _published(split: Kind) -> pd.DataFrame:
    figures = [_CORRELATION[split]] if split in _CORRELATION else []
    rows = [(figure, "r", "subject", "transformer", value) for figure, value in figures]
    columns = ["figure", "metric", "level", "model", "published"]
    return pd.DataFrame(rows, columns=columns).assign(source=_SOURCE)


def _build(shapes: Shapes, outputs: int) -> Any:
    from livertrack.imaging.learning.stiffness_network import StiffnessNetwork

    sequences, slices, features = shapes["tokens"]
    return StiffnessNetwork(
        sequences=sequences, slices=slices, features=features, clinical=shapes["clinical"][0],
        outputs=outputs,
    )  # fmt: skip


def _ridge(columns: list[str]) -> Tabular:
    pipeline = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), Ridge()
    )
    return Tabular(pipeline, columns, grid={"ridge__alpha": [1.0, 10.0, 100.0]})


_MEASURED = [f"{sequence}_{name}" for sequence in SEQUENCES for name in MEASURES[1:]]

TASK = ImageTask(
    name="stiffness", title="Shear stiffness of the liver", outcome="KPA", kind="continuous",
    networks={"transformer": _build},
    training=Training(
        epochs=8, batch=32, rate=3e-3, decay=0.1, augment=SequenceDropout(share=0.1)
    ),
    baselines={
        "mean intensity": _ridge([f"{sequence}_MEAN" for sequence in SEQUENCES]),
        "clinical": _ridge([f"Z_{name}" for name in CLINICAL]),
        "radiomics": _ridge(_MEASURED),
    },
    preparation={
        "sequences": list(SEQUENCES), "slabs": RULES.settings(),
        "clinical": {name: list(how) for name, how in CLINICAL.items()},
    },
    read=partial(read_stiffness, rules=RULES), simulate=simulate,
    published=_published("k-fold"), n_published=3376, n_folds=10, ensemble=False,
    deployed=("transformer",), hashed=("tokens",), paramcd="STIFFP",
    further=lambda found, cases: {"stiffness_checks": stiffness_checks(found, cases)},
)  # fmt: skip
