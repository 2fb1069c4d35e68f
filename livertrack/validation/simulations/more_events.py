"""Simulations of competing and recurrent events in models."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import (
    ACTIVE,
    REFERENCE,
    is_active,
    row,
    two_arms,
)

FAMILY = "Events"


def _subdistribution(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    """Incidence 1 - (1 - 0.6 (1 - exp(-t))) ^ exp(effect x arm): proportional subdistributions."""
    active = is_active(n, n)
    ratio = np.exp(effect * active)
    ever = 1 - 0.4**ratio
    first = rng.random(2 * n) < ever
    # time to the event of interest, given that it comes first
    u = rng.random(2 * n) * ever
    time = np.where(
        first, -np.log(1 - (1 - (1 - u) ** (1 / ratio)) / 0.6), rng.exponential(1.0, 2 * n)
    )
    stop = rng.uniform(0.5, 4.0, 2 * n)
    data = two_arms(
        n, n, AVAL=np.minimum(time, stop), CNSR=(time > stop).astype(int),
        CAUSE=np.where(first, "event", "other"), ACTIVE=active.astype(float),
    )  # fmt: skip
    found = row(lt.fine_gray(data, "ACTIVE", event="event").table, term="ACTIVE")
    return {
        "limits": covers(found["conf_low"], found["conf_high"], effect),
        "test": rejects(found["p_value"]),
    }


def _recurrent(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    """Rate 1.5 per unit of time with gamma frailty (variance 0.6); followed 0.5 to 2 units."""
    active = is_active(n, n)
    rate = 1.5 * rng.gamma(1 / 0.6, 0.6, 2 * n) * np.exp(effect * active)
    stop = rng.uniform(0.5, 2.0, 2 * n)
    counts = rng.poisson(rate * stop)
    subject = np.repeat(np.arange(2 * n), counts)
    times = np.concatenate([rng.random(len(subject)) * stop[subject], stop])
    subject = np.concatenate([subject, np.arange(2 * n)])
    data = pd.DataFrame(
        {
            "USUBJID": np.char.add("S", subject.astype(str)),
            "TRT01P": np.where(active[subject], ACTIVE, REFERENCE), "AVAL": times,
            "CNSR": np.repeat([0, 1], [len(subject) - 2 * n, 2 * n]),
        }
    )  # fmt: skip
    result = lt.recurrent_events(data, reference=REFERENCE)
    outcome = {}
    for model in ("Andersen-Gill", "negative binomial"):
        found = row(result.table, model=model)
        outcome[model] = covers(found["conf_low"], found["conf_high"], effect)
        outcome[f"{model} test"] = rejects(found["p_value"])
    # the mean number of events by time 0.5, when everyone is still followed
    curve = result.mean_function[result.mean_function["arm"] == REFERENCE]
    last = curve[curve["time"] <= 0.5].iloc[-1]
    outcome["mean"] = covers(last["conf_low"], last["conf_high"], 0.75)
    return outcome


def _models(*, test: bool) -> tuple[Claim, ...]:
    names = ("Andersen-Gill", "negative binomial")
    call = "lt.recurrent_events"
    if test:
        return tuple(
            Claim(key=f"{name} test", method=call, quantity=f"Rate ratio, {name}, test",
                  kind="type I error", nominal=0.05)
            for name in names
        )  # fmt: skip
    return tuple(
        Claim(key=name, method=call, quantity=f"Log rate ratio, {name}") for name in names
    )


SCENARIOS = (
    Scenario(
        name="subdistribution, effect", family=FAMILY,
        setting="60 v 60 subjects, competing event, subdistribution hazard ratio 0.6",
        draw=partial(_subdistribution, n=60, effect=math.log(0.6)),
        claims=(
            Claim(key="limits", method="lt.fine_gray",
                  quantity="Log subdistribution hazard ratio"),
        ),
    ),
    Scenario(
        name="subdistribution, null", family=FAMILY,
        setting="60 v 60 subjects, competing event, arms alike",
        draw=partial(_subdistribution, n=60, effect=0.0),
        claims=(
            Claim(key="test", method="lt.fine_gray", quantity="Wald test", kind="type I error",
                  nominal=0.05),
        ),
    ),
    Scenario(
        name="recurrent, effect", family=FAMILY,
        setting="50 v 50 subjects, 1.9 events each, gamma frailty, rate ratio 0.6",
        draw=partial(_recurrent, n=50, effect=math.log(0.6)),
        claims=(
            *_models(test=False),
            Claim(key="mean", method="lt.recurrent_events", quantity="Mean number of events"),
        ),
    ),
    Scenario(
        name="recurrent, null", family=FAMILY,
        setting="50 v 50 subjects, 1.9 events each, gamma frailty, arms alike",
        draw=partial(_recurrent, n=50, effect=0.0), claims=_models(test=True),
    ),
)  # fmt: skip
