"""CDISC out: ADaM datasets as SAS transport and Dataset-JSON, with their define.xml."""

from __future__ import annotations

from livertrack.cdisc.dataset_json import write_dataset_json
from livertrack.cdisc.define import write_define
from livertrack.cdisc.transport import write_transport
from livertrack.cdisc.variables import Dataset, Variable, describe, problems

__all__ = [
    "Dataset", "Variable", "describe", "problems", "write_dataset_json", "write_define",
    "write_transport",
]  # fmt: skip
