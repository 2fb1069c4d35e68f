"""Simulations of families of hypotheses: many-to-one comparisons, closed tests, gatekeeping."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import norm

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario

FAMILY = "Multiplicity and interim looks"
_DOSES = ("Placebo", "Low", "Middle", "High")


def _dunnett(rng: np.random.Generator, *, n: int, effects: tuple[float, ...]) -> Outcome:
    """Arms of unequal size and a baseline that explains half of the variance."""
    sizes = [2 * n, n, n, n]
    arm = np.repeat(_DOSES, sizes)
    base = rng.normal(size=len(arm))
    truth = dict(zip(_DOSES[1:], effects, strict=True))
    shift = np.array([truth.get(str(a), 0.0) for a in arm])
    data = pd.DataFrame({
        "USUBJID": np.arange(len(arm)).astype(str), "TRT01P": arm, "BASE": base,
        "CHG": base + shift + rng.normal(size=len(arm)),
    })  # fmt: skip
    table = lt.dunnett(data, reference="Placebo", covariates="BASE").table.set_index("arm")
    true = pd.Series(truth).reindex(table.index)
    null = true.eq(0)
    return {
        "limits": float(((table["conf_low"] <= true) & (true <= table["conf_high"])).all()),
        "single-step": float((table["p_adjusted"][null] <= 0.05).any()),
        "step-down": float((table["p_step_down"][null] <= 0.05).any()),
    }


def _correlated(
    rng: np.random.Generator, shift: np.ndarray, rho: float
) -> tuple[np.ndarray, np.ndarray]:
    noise = math.sqrt(rho) * rng.normal() + math.sqrt(1 - rho) * rng.normal(size=len(shift))
    z = shift + noise
    return z, norm.sf(z)


def _together(rng: np.random.Generator, *, rho: float) -> Outcome:
    """Five estimates with standard error 1; two of them are away from zero."""
    truth = np.array([3.0, 1.5, 0.0, 0.0, 0.0])
    z, _ = _correlated(rng, truth, rho)
    matrix = np.full((5, 5), rho)
    np.fill_diagonal(matrix, 1.0)
    outcome = {}
    for method in ("single-step", "bonferroni", "sidak"):
        table = lt.simultaneous_intervals(
            z, np.ones(5), correlation=matrix if method == "single-step" else None, method=method
        ).table
        outcome[method] = float(
            ((table["conf_low"] <= truth) & (truth <= table["conf_high"])).all()
        )
    step = lt.simultaneous_intervals(z, np.ones(5), method="holm", alternative="greater").table
    outcome["holm"] = float((step["conf_low"] <= truth).all())
    return outcome


def _closed(rng: np.random.Generator, *, rho: float) -> Outcome:
    """Five one-sided tests, two hypotheses false."""
    shift = np.array([3.0, 2.0, 0.0, 0.0, 0.0])
    _, p = _correlated(rng, shift, rho)
    outcome = {}
    for local in ("bonferroni", "simes", "fisher") if rho == 0 else ("bonferroni", "simes"):
        table = lt.closed_test(p, local=local).table
        outcome[local] = float(table["rejected"].to_numpy()[shift == 0].any())
    return outcome


def _gates(rng: np.random.Generator, *, rho: float) -> Outcome:
    """Primary and secondary family of two; one hypothesis of each is false."""
    shift = np.array([3.0, 0.0, 3.0, 0.0])
    _, p = _correlated(rng, shift, rho)
    outcome = {}
    for key, truncation in (("serial", 1.0), ("parallel", 0.5)):
        for component in ("holm", "hochberg"):
            table = lt.gatekeeping(
                dict(zip("ABCD", p, strict=True)), [["A", "B"], ["C", "D"]],
                component=component, truncation=truncation,
            ).table  # fmt: skip
            wrong = table["rejected"] & table["hypothesis"].isin(["B", "D"])
            outcome[f"{key}, {component}"] = float(wrong.any())
    return outcome


def _familywise(key: str, method: str, quantity: str, bound: str = "at most") -> Claim:
    return Claim(
        key=key, method=method, quantity=quantity, kind="familywise error", nominal=0.05,
        bound="equal" if bound == "equal" else "at most",
    )  # fmt: skip


SCENARIOS = (
    Scenario(
        name="many to one, null", family=FAMILY, n=300,
        setting="24 on the reference, 12 on each of three doses, baseline adjusted, arms alike",
        draw=partial(_dunnett, n=12, effects=(0.0, 0.0, 0.0)),
        claims=(
            Claim(key="limits", method="lt.dunnett", quantity="Simultaneous intervals"),
            _familywise("single-step", "lt.dunnett", "Single-step test", "equal"),
            _familywise("step-down", "lt.dunnett", "Step-down test", "equal"),
        ),
    ),
    Scenario(
        name="many to one, two differ", family=FAMILY, n=300,
        setting="24 on the reference, 12 on each of three doses, two doses 1 and 1.5 SD better",
        draw=partial(_dunnett, n=12, effects=(0.0, 1.0, 1.5)),
        claims=(
            Claim(key="limits", method="lt.dunnett", quantity="Simultaneous intervals"),
            _familywise("single-step", "lt.dunnett", "Single-step test"),
            _familywise("step-down", "lt.dunnett", "Step-down test"),
        ),
    ),
    Scenario(
        name="five estimates together", family=FAMILY, n=2000,
        setting="five normal estimates with correlation 0.5, two away from zero",
        draw=partial(_together, rho=0.5),
        claims=(
            Claim(key="single-step", method="lt.simultaneous_intervals", quantity="Single-step"),
            *(
                Claim(key=key, method="lt.simultaneous_intervals", quantity=words,
                      bound="at least")
                for key, words in (
                    ("bonferroni", "Bonferroni"), ("sidak", "Sidak"),
                    ("holm", "One-sided limits of Holm's test"),
                )
            ),
        ),
    ),
    *(
        Scenario(
            name=f"closed tests, correlation {rho:g}", family=FAMILY, n=2000,
            setting=f"five one-sided tests with correlation {rho:g}, two false",
            draw=partial(_closed, rho=rho),
            claims=tuple(
                _familywise(key, "lt.closed_test", words)
                for key, words in (
                    ("bonferroni", "Bonferroni intersections"), ("simes", "Simes intersections"),
                    *((("fisher", "Fisher intersections"),) if rho == 0 else ()),
                )
            ),
        )
        for rho in (0.0, 0.5)
    ),
    Scenario(
        name="gates", family=FAMILY,
        setting="two families of two tests with correlation 0.3, one of each false",
        draw=partial(_gates, rho=0.3),
        claims=tuple(
            _familywise(f"{key}, {component}", "lt.gatekeeping", f"{words}, {component.title()}")
            for key, words in (("serial", "Serial gates"), ("parallel", "Truncated by half"))
            for component in ("holm", "hochberg")
        ),
    ),
)  # fmt: skip
