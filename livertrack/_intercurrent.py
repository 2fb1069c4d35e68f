"""Intercurrent events of a study (adice), and what an estimand of the plan does about them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from livertrack._conform import finding
from livertrack.errors import PlanError
from livertrack.findings import Finding
from livertrack.plan import DataSettings, Estimand

COLUMNS = ("USUBJID", "ICETERM", "AVISIT", "AVISITN", "ASTDY")


def no_intercurrent_events() -> pd.DataFrame:
    """Frame of a study without adice."""
    return pd.DataFrame(columns=list(COLUMNS), dtype=object)


def prepare_events(
    frame: pd.DataFrame, adsl: pd.DataFrame, data: DataSettings
) -> tuple[pd.DataFrame, list[Finding]]:
    """Events of known subjects at visits after baseline, sorted; the others are findings."""
    if not {"USUBJID", "ICETERM", "AVISIT"} <= set(frame.columns):  # a finding of the dictionary
        return no_intercurrent_events(), []
    after = data.visits[data.visits.index(data.baseline) + 1 :]
    unplanned = frame["AVISIT"].notna() & ~frame["AVISIT"].isin(after)
    problem = "first visit affected is no visit of the plan after baseline"
    cure = f"use one of {', '.join(after)}; an event after the last visit needs no record"
    found = finding(frame, unplanned, "adice", "AVISIT", problem, cure)
    keep = frame["USUBJID"].isin(adsl["USUBJID"]) & frame["AVISIT"].isin(after)
    keep &= frame["ICETERM"].notna()
    absent = [column for column in COLUMNS if column not in frame.columns]
    events = frame[keep].assign(**dict.fromkeys(absent, float("nan")))
    extra = [column for column in ("ICEREAS",) if column in frame.columns]
    events = events[[*COLUMNS, *extra]].drop_duplicates(["USUBJID", "ICETERM", "AVISIT"])
    place = {visit: number for number, visit in enumerate(data.visits)}
    order = events.assign(place=events["AVISIT"].map(place))
    order = order.sort_values(["USUBJID", "place", "ICETERM"], kind="stable")
    return order.drop(columns="place").reset_index(drop=True), found


def strategies(events: pd.DataFrame, estimand: Estimand, subjects: Sequence[str]) -> pd.DataFrame:
    """Events of ``subjects`` with the strategy of the estimand, as `livertrack.impute` reads them.

    Returns
    -------
    DataFrame
        ``USUBJID, AVISIT, EVENT, STRATEGY, ASSUMPTION, VALUE``.

    Raises
    ------
    PlanError
        Events that the estimand does not name: every event that happened needs a strategy.
    """
    own = events[events["USUBJID"].isin(subjects)]
    named = {item.event.casefold(): item for item in estimand.intercurrent_events}
    terms = own["ICETERM"].astype(str).str.strip().str.casefold()
    unknown = int((~terms.isin(named)).sum())
    if unknown:
        known = "; ".join(repr(item.event) for item in estimand.intercurrent_events) or "none"
        msg = (
            f"estimand {estimand.id}: {unknown} of {len(own)} record(s) of adice have an ICETERM "
            f"it does not name; its events are {known}; give each a strategy"
        )
        raise PlanError(msg)
    items = [named[term] for term in terms]
    return pd.DataFrame(
        {
            "USUBJID": own["USUBJID"].to_numpy(),
            "AVISIT": own["AVISIT"].to_numpy(),
            "EVENT": [item.event for item in items],
            "STRATEGY": [item.strategy for item in items],
            "ASSUMPTION": [item.assumption for item in items],
            "VALUE": [float("nan") if item.value is None else item.value for item in items],
        }
    )
