"""Options each endpoint takes in a plan. What is not listed here cannot be set there.

One module per family of endpoints. A new endpoint is one class here, registered under the name a
plan uses, and one function in `livertrack.pipeline.analyses` registered under the same name.
Options are named as the keywords of the endpoint function.
"""

from livertrack.plan_options import (
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
from livertrack.plan_options.base import OPTIONS, Options
from livertrack.plan_options.multiplicity import Multiplicity

__all__ = [
    "OPTIONS", "Multiplicity", "Options", "agreement", "composition", "design", "events",
    "imaging", "missing_data", "models", "ordinal", "pathways", "prediction",
    "responders",
]  # fmt: skip
