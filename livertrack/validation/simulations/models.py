"""Simulations of models of change: ANCOVA, MMRM, imputation, subgroups, power."""

from __future__ import annotations

import itertools
import math
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack.errors import DataError
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import (
    ACTIVE,
    REFERENCE,
    exponential,
    is_active,
    row,
    two_arms,
)

FAMILY = "Models of change"
_SD = np.array([1.0, 1.2, 1.4])
_VISITS = ["Week 12", "Week 24", "Week 48"]
_COVARIANCE = np.outer(_SD, _SD) * 0.7 ** np.abs(np.subtract.outer(np.arange(3), np.arange(3)))


def _ancova(rng: np.random.Generator, *, n_arm: int, n_ref: int, sd: float) -> Outcome:
    """Change with slope -0.5 on the baseline; no effect; SD ``sd`` and 1.

    A linear model covers any effect as it covers none.
    """
    active, base = is_active(n_arm, n_ref), rng.normal(size=n_arm + n_ref)
    noise = rng.normal(size=n_arm + n_ref) * np.where(active, sd, 1.0)
    data = two_arms(n_arm, n_ref, BASE=base, CHG=noise - 0.5 * base)
    outcome = {}
    for vcov in ("model", "HC3"):
        common: dict[str, Any] = {"arm": "TRT01P", "reference": REFERENCE, "vcov": vcov}
        fit = lt.ancova(data, "CHG ~ BASE + TRT01P", **common)
        found = fit.contrasts.iloc[0]
        outcome[vcov] = covers(found["conf_low"], found["conf_high"], 0.0)
        outcome[f"{vcov} test"] = rejects(found["p_value"])
        # at the mean baseline of this trial, where the least-squares mean is taken
        mean = row(fit.lsmeans, TRT01P=ACTIVE)
        outcome[f"{vcov} mean"] = covers(
            mean["conf_low"], mean["conf_high"], -0.5 * float(base.mean())
        )
    return outcome


def _repeated(rng: np.random.Generator, *, n: int, effect: float) -> pd.DataFrame:
    """Three visits; the odds of leaving grow with the last response: missing at random."""
    active = is_active(n, n)
    base = rng.normal(size=2 * n)
    y = rng.normal(size=(2 * n, 3)) @ np.linalg.cholesky(_COVARIANCE).T
    y += 0.4 * base[:, None] + effect * active[:, None] * np.array([0.4, 0.8, 1.0])
    gone = np.zeros((2 * n, 3), bool)
    for visit in (1, 2):
        leave = rng.random(2 * n) < 1 / (1 + np.exp(1.9 - 0.8 * y[:, visit - 1] / _SD[visit - 1]))
        gone[:, visit] = gone[:, visit - 1] | leave
    y[gone] = np.nan
    subjects = two_arms(n, n, BASE=base)
    data = subjects.loc[np.repeat(np.arange(2 * n), 3)].reset_index(drop=True)
    return data.assign(AVISIT=np.tile(_VISITS, 2 * n), CHG=y.ravel())


def _mmrm(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    data = _repeated(rng, n=n, effect=effect)
    formula = "CHG ~ BASE * AVISIT + TRT01P * AVISIT + us(AVISIT | USUBJID)"
    outcome: dict[str, float] = {}
    choices: tuple[tuple[str, Any, Any], ...] = (
        ("kenward-roger", "kenward-roger", "model"), ("satterthwaite", "satterthwaite", "model"),
        ("CR2", "satterthwaite", "CR2"), ("between-within", "between-within", "model"),
    )  # fmt: skip
    for key, df, vcov in choices:
        try:
            fit = lt.mmrm(data, formula, df=df, vcov=vcov)
            found = fit.contrasts(arm="TRT01P", reference=REFERENCE, by=["AVISIT"]).iloc[-1]
        except DataError:
            outcome |= {key: math.nan, f"{key} test": math.nan}
            continue
        outcome[key] = covers(found["conf_low"], found["conf_high"], effect)
        outcome[f"{key} test"] = rejects(found["p_value"])
    return outcome


_ONE_VARIANCE = (
    "The model has one variance for all arms; with the larger one in the smaller arm it is far "
    "too low. vcov='HC3' keeps its promise here."
)
_NESTED = ("ar1", "toep", "toeph", "us")


def _covariances(rng: np.random.Generator, *, n: int) -> Outcome:
    """Three visits with correlation 0.6 between neighbours: every structure holds."""
    visits = 3
    place = np.arange(visits)
    root = np.linalg.cholesky(0.6 ** np.abs(place[:, None] - place))
    change = rng.normal(size=(2 * n, visits)) @ root.T
    data = (
        two_arms(n, n)
        .loc[np.repeat(np.arange(2 * n), visits)]
        .assign(AVISIT=np.tile([f"V{number}" for number in place], 2 * n), CHG=change.ravel())
    )
    fits = [lt.mmrm(data, f"CHG ~ AVISIT + {name}(AVISIT | USUBJID)") for name in _NESTED]
    p = lt.compare_covariances(*fits)["p_value"].to_numpy()
    return {name: rejects(value) for name, value in zip(_NESTED[1:], p[1:], strict=True)}


def _imputed(
    rng: np.random.Generator, *, n: int, effect: float, draws: Literal["bayes", "conditional-mean"]
) -> Outcome:
    data = _repeated(rng, n=n, effect=effect)
    outcome = {}
    # of jump to reference only the null is known without more assumptions
    for strategy in ("MAR",) if effect else ("MAR", "JR"):
        imputed = lt.impute(
            data, reference=REFERENCE, strategy=strategy, draws=draws, n_imputations=20,
            seed=int(rng.integers(2**31)),
        )  # fmt: skip
        found = imputed.analyse().table.iloc[-1]
        outcome[strategy] = covers(found["conf_low"], found["conf_high"], effect)
        outcome[f"{strategy} test"] = rejects(found["p_value"])
    return outcome


def _subgroups(rng: np.random.Generator, *, n: int) -> Outcome:
    """The same effect in three regions: mean, risk and hazard."""
    active, region = is_active(n, n), np.arange(2 * n) % 3
    rate = np.array([0.6, 1.0, 1.5])[region] * np.where(active, 0.6, 1.0)
    time, censored = exponential(rng, rate, 0.2, 3.0)
    risk = np.array([0.2, 0.3, 0.4])[region] + 0.2 * active
    data = two_arms(
        n, n, REGION1=np.array(["A", "B", "C"])[region],
        CHG=0.5 * active + 0.3 * region + rng.normal(size=2 * n), AVAL=time, CNSR=censored,
        RESPONSE=(rng.random(2 * n) < risk).astype(int),
    )  # fmt: skip
    outcome = {}
    choices: tuple[tuple[Any, str, float], ...] = (
        ("mean difference", "CHG", 0.5), ("risk difference", "RESPONSE", 0.2),
        ("hazard ratio", "CHG", 0.6),
    )  # fmt: skip
    for effect, value, truth in choices:
        found = lt.subgroup_forest(
            data, subgroups=["REGION1"], effect=effect, value=value, reference=REFERENCE
        )
        outcome[effect] = rejects(found.interactions["p_value"].iloc[0])
        part = row(found.table, subgroup="REGION1", level="B")
        outcome[f"{effect} limits"] = covers(part["conf_low"], part["conf_high"], truth)
    return outcome


def _signature(rng: np.random.Generator, *, n: int) -> Outcome:
    """A proportion of tissue with mean 0.08, right-skewed (beta)."""
    data = two_arms(n, 0, AVAL=rng.beta(2, 23, n)).assign(PARAMCD="TV01", AVISIT="Baseline")
    found = row(lt.signature_summary(data).table, variable="AVAL")
    return {"mean": covers(found["conf_low"], found["conf_high"], 2 / 25)}


@cache
def _planned(retention: tuple[float, ...]) -> float:
    visits = len(retention)
    sd: Any = list(_SD[:visits]) if visits > 1 else 1.0
    table = lt.power(
        sd=sd, effect=0.9, n_ref=30, correlation=0.7, structure="ar1", retention=retention,
        baseline_correlation=0.4,
    ).table  # fmt: skip
    return float(table["power"].iloc[0])


def _power(rng: np.random.Generator, *, retention: tuple[float, ...]) -> Outcome:
    """The trial that `lt.power` plans: dropout completely at random, 0.9 at the last visit."""
    n, visits = 30, len(retention)
    active, base = is_active(n, n), rng.normal(size=2 * n)
    covariance = (1 - 0.16) * (_COVARIANCE[:visits, :visits] if visits > 1 else np.ones((1, 1)))
    sd = np.sqrt(np.diag(covariance) / (1 - 0.16))
    y = rng.normal(size=(2 * n, visits)) @ np.linalg.cholesky(covariance).T
    y += 0.4 * sd * base[:, None] + 0.9 * active[:, None] * np.arange(1, visits + 1) / visits
    y[rng.random(2 * n)[:, None] > np.array(retention)] = np.nan
    data = two_arms(n, n, BASE=base)
    if visits == 1:
        fit = lt.ancova(
            data.assign(CHG=y[:, 0]), "CHG ~ BASE + TRT01P", arm="TRT01P", reference=REFERENCE
        )
        return {"power": rejects(fit.contrasts["p_value"].iloc[0])}
    data = data.loc[np.repeat(np.arange(2 * n), visits)].reset_index(drop=True)
    data = data.assign(AVISIT=np.tile(_VISITS[:visits], 2 * n), CHG=y.ravel())
    model = lt.mmrm(
        data, "CHG ~ BASE * AVISIT + TRT01P * AVISIT + us(AVISIT | USUBJID)", df="kenward-roger"
    )
    table = model.contrasts(arm="TRT01P", reference=REFERENCE, by=["AVISIT"])
    return {"power": rejects(table["p_value"].iloc[-1])}


def _test(key: str, method: str, quantity: str, **more: Any) -> Claim:
    return Claim(
        key=key, method=method, quantity=quantity, kind="type I error", nominal=0.05, **more
    )


_DF = {
    "kenward-roger": "Kenward-Roger", "satterthwaite": "Satterthwaite",
    "CR2": "CR2 sandwich, Satterthwaite", "between-within": "between-within",
}  # fmt: skip
_IMPUTED: tuple[tuple[Literal["bayes", "conditional-mean"], str, int, int], ...] = (
    ("bayes", "Bayesian draws, Rubin", 40, 200),
    ("conditional-mean", "conditional mean, jackknife", 20, 200),
)
_FOREST: tuple[Literal["mean difference", "risk difference", "hazard ratio"], ...] = (
    "mean difference", "risk difference", "hazard ratio",
)  # fmt: skip

SCENARIOS = (
    Scenario(
        name="ancova", family=FAMILY,
        setting="20 v 20 subjects, one baseline covariate, equal SD",
        draw=partial(_ancova, n_arm=20, n_ref=20, sd=1.0),
        claims=(
            Claim(key="model", method="lt.ancova", quantity="Difference"),
            Claim(key="model mean", method="lt.ancova", quantity="Least-squares mean"),
            _test("model test", "lt.ancova", "Test of the difference"),
            Claim(key="HC3", method="lt.ancova", quantity="Difference, HC3"),
        ),
    ),
    Scenario(
        name="ancova, unequal", family=FAMILY,
        setting="15 v 45 subjects, one baseline covariate, SD 2 v 1",
        draw=partial(_ancova, n_arm=15, n_ref=45, sd=2.0),
        claims=(
            Claim(key="model", method="lt.ancova", quantity="Difference", note=_ONE_VARIANCE),
            _test("model test", "lt.ancova", "Test of the difference", note=_ONE_VARIANCE),
            Claim(key="HC3", method="lt.ancova", quantity="Difference, HC3"),
            _test("HC3 test", "lt.ancova", "Test of the difference, HC3"),
        ),
    ),
    *(
        Scenario(
            name=f"mmrm, {n}", family=FAMILY, n=500 if n == 20 else 300,
            setting=f"{n} v {n} subjects, three visits, about 30 % leave at random, unstructured",
            draw=partial(_mmrm, n=n, effect=0.6),
            claims=tuple(
                Claim(key=key, method="lt.mmrm", quantity=f"Difference at the last visit, {words}")
                for key, words in _DF.items()
            ),
        )
        for n in (20, 60)
    ),
    Scenario(
        name="mmrm, null", family=FAMILY,
        setting="20 v 20 subjects, three visits, about 30 % leave at random, arms alike",
        draw=partial(_mmrm, n=20, effect=0.0),
        claims=tuple(
            _test(f"{key} test", "lt.mmrm", f"Test at the last visit, {words}")
            for key, words in _DF.items()
        ),
    ),
    Scenario(
        name="covariances, all hold", family=FAMILY, n=500,
        setting="30 v 30 subjects, three visits, first-order autoregression",
        draw=partial(_covariances, n=30),
        claims=tuple(
            _test(name, "lt.compare_covariances", f"Likelihood ratio, {less} in {name}")
            for less, name in itertools.pairwise(_NESTED)
        ),
    ),
    *(
        Scenario(
            name=f"imputation, {draws}, effect", family=FAMILY, n=trials,
            setting=f"{n} v {n} subjects, three visits, about 30 % leave at random, effect 0.6",
            draw=partial(_imputed, n=n, effect=0.6, draws=draws),
            claims=(Claim(key="MAR", method="lt.impute", quantity=f"MAR, {words}"),),
        )
        for draws, words, n, trials in _IMPUTED
    ),
    *(
        Scenario(
            name=f"imputation, {draws}, null", family=FAMILY, n=trials,
            setting=f"{n} v {n} subjects, three visits, about 30 % leave at random, arms alike",
            draw=partial(_imputed, n=n, effect=0.0, draws=draws),
            claims=(
                _test("MAR test", "lt.impute", f"MAR, {words}, test"),
                _test("JR test", "lt.impute", f"Jump to reference, {words}, test"),
            ),
        )
        for draws, words, n, trials in _IMPUTED
    ),
    Scenario(
        name="subgroups", family=FAMILY, n=300,
        setting="90 v 90 subjects in three regions, the same effect in each",
        draw=partial(_subgroups, n=90),
        claims=(
            *(_test(effect, "lt.subgroup_forest", f"Interaction, {effect}")
              for effect in _FOREST[:1]),
            _test("risk difference", "lt.subgroup_forest", "Interaction, risk difference"),
            _test("hazard ratio", "lt.subgroup_forest", "Interaction, hazard ratio"),
            *(Claim(key=f"{effect} limits", method="lt.subgroup_forest",
                    quantity=f"One subgroup, {effect}") for effect in _FOREST),
        ),
    ),
    *(
        Scenario(
            name=f"signature mean, {n}", family=FAMILY,
            setting=f"{n} subjects, share of a tissue type, mean 0.08, right-skewed",
            draw=partial(_signature, n=n),
            claims=(Claim(key="mean", method="lt.signature_summary", quantity="Mean, t"),),
        )
        for n in (15, 60)
    ),
    *(
        Scenario(
            name=f"power, {words}", family=FAMILY,
            setting=f"30 v 30 subjects, {words}, effect 0.9",
            draw=partial(_power, retention=retention),
            claims=(
                Claim(key="power", method="lt.power", quantity="Power by formula", kind="power",
                      nominal=round(_planned(retention), 6)),
            ),
        )
        for words, retention in (
            ("one visit", (1.0,)), ("three visits, a quarter leaves", (1.0, 0.9, 0.75)),
        )
    ),
)  # fmt: skip
