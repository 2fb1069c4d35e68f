"""The package's own qualification: reference numbers, and how its methods behave in simulation."""

from livertrack.validation.characteristics import (
    compare_with_release,
    operating_characteristics,
    released_characteristics,
)
from livertrack.validation.curves import released_power, released_separation
from livertrack.validation.references import reference_table

__all__ = [
    "compare_with_release",
    "operating_characteristics",
    "reference_table",
    "released_characteristics",
    "released_power",
    "released_separation",
]
