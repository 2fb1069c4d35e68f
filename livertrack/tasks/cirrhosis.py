"""Cirrhosis stage from T1W and T2W volumes: mild, moderate, severe.

After the stage estimation on CirrMRI600+ (arXiv 2502.18225), with what its code lacks: a fusion of
the two sequences that does with one of them, and a loss that knows the order of stages.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from livertrack.endpoints.biopsy_models import OrdinalLogistic
from livertrack.endpoints.cross_validation.learners import Tabular
from livertrack.imaging.learning.sequence_dropout import SequenceDropout
from livertrack.imaging.learning.settings import Shapes, Training
from livertrack.simulate.staging import simulate_cirrhosis
from livertrack.simulate.staging_files import write_cirrmri
from livertrack.tasks._task import ImageTask
from livertrack.tasks._volumes import SlabRules
from livertrack.tasks.cirrmri import FOLDERS, MEASURES, placed_maps, read_cirrmri

_SOURCE = "arXiv 2502.18225, CirrMRI600+: 310 T1W and 318 T2W volumes, per slice"
#: how slabs are cut; a model remembers it
RULES = SlabRules()


def simulate(folder: Path, n: int, seed: int) -> Path:
    """Write ``n`` simulated subjects in the layout of CirrMRI600+."""
    return write_cirrmri(simulate_cirrhosis(n, seed=seed), Path(folder), seed=seed)


def _build(
    used: tuple[int, ...], view: Literal["2.5d", "3d"], shapes: Shapes, outputs: int
) -> Any:
    from livertrack.imaging.learning.cirrhosis_network import CirrhosisNetwork

    sequences, depth = shapes["images"][:2]
    return CirrhosisNetwork(
        sequences=sequences, depth=depth, outputs=outputs, view=view, used=used
    )


def _ordinal(columns: list[str]) -> Tabular:
    pipeline = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(),
        OrdinalLogistic(),
    )  # fmt: skip
    return Tabular(pipeline, columns, grid={"ordinallogistic__C": [0.01, 0.1, 1.0]})


_PUBLISHED = pd.DataFrame(
    [
        ("accuracy, T1W", "accuracy", "row", "T1W", 0.728),
        ("accuracy, T2W", "accuracy", "row", "T2W", 0.638),
    ],
    columns=["figure", "metric", "level", "model", "published"],
).assign(source=_SOURCE)

TASK = ImageTask(
    name="cirrhosis", title="Stage of cirrhosis", outcome="STAGE", kind="ordinal",
    networks={
        "fused": partial(_build, (), "2.5d"),
        "T1W": partial(_build, (0,), "2.5d"),
        "T2W": partial(_build, (1,), "2.5d"),
        "fused 3D": partial(_build, (), "3d"),
    },
    training=Training(epochs=5, batch=32, rate=1e-2, augment=SequenceDropout()),
    baselines={
        "mean intensity": _ordinal([f"{sequence}_MEAN" for sequence in FOLDERS]),
        "radiomics": _ordinal([f"{s}_{name}" for s in FOLDERS for name in MEASURES[1:]]),
    },
    preparation={"sequences": list(FOLDERS), "slabs": RULES.settings()},
    read=partial(read_cirrmri, rules=RULES), simulate=simulate, published=_PUBLISHED,
    n_published=337, n_folds=5, ensemble=False, deployed=("fused",),
    paramcd="CIRRP", placed=partial(placed_maps, rules=RULES),
)  # fmt: skip
