"""Simulations of agreement: intraclass correlation, limits of agreement, repeatability."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import row, two_arms

FAMILY = "Agreement and repeatability"
_FORMS = {
    "one-way": ("ICC1", "ICC1k"), "random": ("ICC2", "ICC2k"), "fixed": ("ICC3", "ICC3k"),
}  # fmt: skip


def _raters(
    rng: np.random.Generator, *, n: int, raters: int,
    design: Literal["one-way", "random", "fixed"], subject_sd: float = 1.2, missing: float = 0.0,
) -> Outcome:  # fmt: skip
    """Noise SD 1; raters: new for every subject, a sample (SD 0.4), or fixed."""
    value = subject_sd * rng.normal(size=(n, 1)) + rng.normal(size=(n, raters))
    if design == "random":
        value = value + 0.4 * rng.normal(size=(1, raters))
    elif design == "fixed":
        value = value + np.linspace(-0.6, 0.6, raters)
    subjects, columns = np.indices((n, raters))
    data = pd.DataFrame(
        {
            "USUBJID": np.char.add("S", subjects.ravel().astype(str)),
            "RATER": np.char.add("R", columns.ravel().astype(str)),
            "AVAL": value.ravel(),
        }
    )
    if missing:
        data = data[rng.random(len(data)) >= missing]
    table = lt.icc(data, rater="RATER", method="reml" if missing else "anova").table
    noise = 1 + (0.16 if design == "random" else 0)
    truth = [subject_sd**2 / (subject_sd**2 + noise / k) for k in (1, raters)]
    outcome = {}
    for form, value_ in zip(_FORMS[design], truth, strict=True):
        found = row(table, form=form)
        outcome[form] = covers(found["conf_low"], found["conf_high"], value_)
        outcome[f"{form} test"] = rejects(found["p_value"])
    return outcome


def _methods(rng: np.random.Generator, *, n: int) -> Outcome:
    """Normal differences with mean 0.3 and SD 1, unrelated to the size."""
    size, difference = rng.normal(10, 2, n), rng.normal(0.3, 1, n)
    data = two_arms(n, 0, FIRST=size + difference / 2, SECOND=size - difference / 2)
    table = lt.bland_altman(data, method_1="FIRST", method_2="SECOND").table
    z = float(norm.ppf(0.975))
    truth = {
        "bias": 0.3, "lower limit": 0.3 - z, "upper limit": 0.3 + z,
        "standard deviation": 1.0, "slope": 0.0,
    }  # fmt: skip
    found = {key: row(table, quantity=key) for key in truth}
    outcome = {
        key: covers(found[key]["conf_low"], found[key]["conf_high"], value)
        for key, value in truth.items()
    }
    outcome["slope test"] = rejects(found["slope"]["p_value"])
    return outcome


def _bias_test(rng: np.random.Generator, *, n: int) -> Outcome:
    size, difference = rng.normal(10, 2, n), rng.normal(0, 1, n)
    data = two_arms(n, 0, FIRST=size + difference / 2, SECOND=size - difference / 2)
    table = lt.bland_altman(data, method_1="FIRST", method_2="SECOND").table
    return {"bias": rejects(row(table, quantity="bias")["p_value"])}


def _retest(rng: np.random.Generator, *, n: int, cv: float) -> Outcome:
    """Test and retest; noise in proportion to the subject's value for the CV, constant else."""
    level = rng.uniform(5, 15, n)
    noise = rng.normal(size=(2, n))
    frames = [
        pd.DataFrame({"USUBJID": [f"{i:04d}" for i in range(n)], "PARAMCD": code, "AVAL": values})
        for code, scale in (("SD", np.full(n, 0.5)), ("CV", cv * level))
        for values in (level + scale * noise[0], level + scale * noise[1])
    ]
    table = lt.repeatability(pd.concat(frames, ignore_index=True)).table
    z = float(norm.ppf(0.975))
    truth = {
        ("SD", "within_sd"): 0.5, ("SD", "repeatability_coefficient"): z * math.sqrt(2) * 0.5,
        ("CV", "within_cv"): cv, ("CV", "repeatability_percent"): 100 * z * math.sqrt(2) * cv,
    }  # fmt: skip
    outcome = {}
    for (code, quantity), value in truth.items():
        found = row(table, parameter=code, quantity=quantity)
        outcome[quantity] = covers(found["conf_low"], found["conf_high"], value)
    real = row(table, parameter="SD", quantity="smallest_real_change")["estimate"]
    outcome["smallest_real_change"] = float(real >= z * math.sqrt(2) * 0.5)
    return outcome


_DESIGNS: tuple[tuple[Literal["one-way", "random", "fixed"], str], ...] = (
    ("one-way", "every subject has raters of its own"),
    ("random", "raters are a sample (SD 0.4)"),
    ("fixed", "raters are fixed (shifts up to 0.6)"),
)

SCENARIOS = (
    *(
        Scenario(
            name=f"raters, {design}", family=FAMILY,
            setting=f"20 subjects, three raters, {words}; subjects SD 1.2, noise SD 1",
            draw=partial(_raters, n=20, raters=3, design=design),
            claims=tuple(
                Claim(key=form, method="lt.icc", quantity=form) for form in _FORMS[design]
            ),
        )
        for design, words in _DESIGNS
    ),
    *(
        Scenario(
            name=f"raters, {design}, ratings missing", family=FAMILY, n=500,
            setting=f"20 subjects, three raters, a fifth of the ratings missing, {words}; "
            "subjects SD 1.2, noise SD 1",
            draw=partial(_raters, n=20, raters=3, design=design, missing=0.2),
            claims=tuple(
                Claim(key=form, method="lt.icc", quantity=f"{form}, REML")
                for form in _FORMS[design]
            ),
        )
        for design, words in _DESIGNS
    ),
    Scenario(
        name="raters, null", family=FAMILY,
        setting="20 subjects, three fixed raters, subjects all alike",
        draw=partial(_raters, n=20, raters=3, design="fixed", subject_sd=0.0),
        claims=(
            Claim(key="ICC3 test", method="lt.icc", quantity="F test of ICC3",
                  kind="type I error", nominal=0.05),
        ),
    ),
    *(
        Scenario(
            name=f"two methods, {n}", family=FAMILY,
            setting=f"{n} subjects, normal differences",
            draw=partial(_methods, n=n),
            claims=(
                Claim(key="bias", method="lt.bland_altman", quantity="Bias"),
                Claim(key="lower limit", method="lt.bland_altman",
                      quantity="Lower limit of agreement, exact"),
                Claim(key="upper limit", method="lt.bland_altman",
                      quantity="Upper limit of agreement, exact"),
                Claim(key="standard deviation", method="lt.bland_altman",
                      quantity="SD of the differences"),
                Claim(key="slope test", method="lt.bland_altman", quantity="Test of the slope",
                      kind="type I error", nominal=0.05),
            ),
        )
        for n in (15, 60)
    ),
    Scenario(
        name="two methods, no bias", family=FAMILY, setting="15 subjects, no bias",
        draw=partial(_bias_test, n=15),
        claims=(
            Claim(key="bias", method="lt.bland_altman", quantity="Test of the bias",
                  kind="type I error", nominal=0.05),
        ),
    ),
    *(
        Scenario(
            name=f"test and retest, {n}", family=FAMILY,
            setting=f"{n} subjects measured twice; noise SD 0.5, or CV 8 %",
            draw=partial(_retest, n=n, cv=0.08),
            claims=(
                Claim(key="within_sd", method="lt.repeatability", quantity="Within-subject SD"),
                Claim(key="repeatability_coefficient", method="lt.repeatability",
                      quantity="Repeatability coefficient"),
                Claim(key="within_cv", method="lt.repeatability", quantity="Within-subject CV"),
                Claim(key="smallest_real_change", method="lt.repeatability",
                      quantity="Smallest real change lies above the true coefficient"),
            ),
        )
        for n in (15, 50)
    ),
)  # fmt: skip
