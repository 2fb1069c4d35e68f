"""From an analysis of the plan to the endpoint function that answers it.

Each function here selects records, calls one endpoint and returns its result; it computes no
statistic. Parameters without any record at the visit are an error of the plan. A new endpoint is
one function, registered by `answers` under the name of its options in `livertrack.plan_options`.
"""

from __future__ import annotations

import pandas as pd

from livertrack.pipeline.analyses import (
    agreement,
    composition,
    design,
    events,
    imaging,
    missing_data,
    models,
    ordinal,
    pathways,
    prediction,
    responders,
)
from livertrack.pipeline.analyses._task import ADAPTERS, Answer, Task
from livertrack.plan import Analysis
from livertrack.study import Study

__all__ = [
    "ADAPTERS", "Answer", "Task", "agreement", "answer", "composition", "design", "events",
    "imaging", "missing_data", "models", "ordinal", "pathways", "prediction",
    "responders", "seed_of",
]  # fmt: skip


def answer(
    study: Study,
    analysis: Analysis,
    adpath: pd.DataFrame | None = None,
    *,
    adseq: pd.DataFrame | None = None,
    adnoise: pd.DataFrame | None = None,
) -> list[Answer]:
    """Results of one analysis of the plan.

    ``adpath``, ``adseq`` and ``adnoise`` are what imaging made: pathways, sequences of types over
    the visits, and pathways between a scan and its repeat.
    """
    return list(ADAPTERS[analysis.endpoint](Task(study, analysis, adpath, adseq, adnoise)))


def seed_of(study: Study, analysis: Analysis) -> int:
    """Seed of an analysis: a stream of its own from the plan's seed and the analysis id."""
    return Task(study, analysis).seed
