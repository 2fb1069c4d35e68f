"""The invented trial that the package ships, and the numbers of other programs on it."""

from __future__ import annotations

from importlib import resources

import pandas as pd

_FOLDER = resources.files("livertrack.validation").joinpath("data")


def trial() -> pd.DataFrame:
    """Return the trial: 80 subjects in two arms, one row each; no such subject exists."""
    data = _read("trial.csv", dtype={"SITEID": str})
    data["TRT01P"] = pd.Categorical(data["TRT01P"], ["Placebo", "Active"])
    return data.assign(ACTIVE=(data["TRT01P"] == "Active").astype(float))


def recurrences() -> pd.DataFrame:
    """Return the events that recur, with the end of follow-up (CNSR 1), of 60 subjects."""
    return _read("recurrences.csv")


def flows() -> pd.DataFrame:
    """Return the flows among three types of 12 subjects, as pathway records."""
    return _read("flows.csv").assign(AVISIT="Week 48", AVISITN=48, REGION="")


def reference_numbers() -> pd.DataFrame:
    """Return the numbers of other programs: ``method, quantity, value, tolerance, source``."""
    return _read("reference_numbers.csv")


def with_limits(name: str, estimate: float, low: float, high: float) -> dict[str, float]:
    """Name an estimate and its limits as the reference does."""
    return {name: estimate, f"{name}, lower limit": low, f"{name}, upper limit": high}


def _read(name: str, **options: object) -> pd.DataFrame:
    with _FOLDER.joinpath(name).open(encoding="utf-8") as stream:
        return pd.read_csv(stream, **options)  # type: ignore[call-overload,no-any-return]
