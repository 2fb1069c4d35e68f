"""Agreement and repeatability under one roof: see the modules named for each method."""

from livertrack.endpoints.bland_altman import BlandAltman, bland_altman
from livertrack.endpoints.icc import IntraclassCorrelation, icc
from livertrack.endpoints.repeatability import Repeatability, repeatability
from livertrack.endpoints.weighted_kappa import WeightedKappa, weighted_kappa

__all__ = [
    "BlandAltman",
    "IntraclassCorrelation",
    "Repeatability",
    "WeightedKappa",
    "bland_altman",
    "icc",
    "repeatability",
    "weighted_kappa",
]
