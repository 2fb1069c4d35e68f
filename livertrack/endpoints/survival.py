"""Time-to-event endpoints under one roof: see the modules named for each method."""

from livertrack.endpoints.competing_risks import CumulativeIncidence, cumulative_incidence
from livertrack.endpoints.cox import Cox, cox
from livertrack.endpoints.fine_gray import FineGray, fine_gray
from livertrack.endpoints.kaplan_meier import KaplanMeier, kaplan_meier
from livertrack.endpoints.log_rank import LogRank, log_rank
from livertrack.endpoints.recurrent_events import RecurrentEvents, recurrent_events
from livertrack.endpoints.rmst import RestrictedMean, rmst

__all__ = [
    "Cox",
    "CumulativeIncidence",
    "FineGray",
    "KaplanMeier",
    "LogRank",
    "RecurrentEvents",
    "RestrictedMean",
    "cox",
    "cumulative_incidence",
    "fine_gray",
    "kaplan_meier",
    "log_rank",
    "recurrent_events",
    "rmst",
]
