"""Simulations of the imaging endpoints: change pathways and prediction of a biopsy."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import REFERENCE, is_active, row, two_arms

FAMILY = "Pathways and prediction"
_TYPES = 3


def _flows(rng: np.random.Generator, *, n: int, effect: float) -> pd.DataFrame:
    """Flows among three types in two regions; in the active arm more flows from 1 to 2."""
    active = is_active(n, n)
    cubes = rng.gamma(0.5, 1, (2 * n, 2, _TYPES, _TYPES)) + 3 * np.eye(_TYPES)
    cubes /= cubes.sum(axis=(2, 3), keepdims=True)
    moved = np.minimum(effect, cubes[:, :, 0, 0]) * active[:, None]
    cubes[:, :, 0, 0] -= moved
    cubes[:, :, 0, 1] += moved
    subject, region, source, target = (axis.ravel() for axis in np.indices(cubes.shape))
    people = two_arms(n, n)
    return people.loc[subject].reset_index(drop=True).assign(
        AVISIT="Week 48", AVISITN=48, REGION=np.array(["left", "right"])[region],
        FROMTYPE=source + 1, TOTYPE=target + 1, AVAL=cubes.ravel(), NVOX=1000, METHOD="voxel",
        SITEID=np.array(["01", "02"])[subject % 2],
    )  # fmt: skip


def _pathways(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    result = lt.change_pathways(
        _flows(rng, n=n, effect=effect), reference=REFERENCE, n_perm=199, strata="SITEID",
        seed=int(rng.integers(2**31)),
    )  # fmt: skip
    table = result.table
    planted = (table["from_type"] == 1) & (table["to_type"] == 2)
    truth = np.where(planted, effect, 0.0)
    inside = (table["simultaneous_low"] <= truth) & (table["simultaneous_high"] >= truth)
    first = table[planted].iloc[0]
    wrong = table["p_adjusted"][(truth == 0) & table["tested"].astype(bool)]
    tests = result.global_test.set_index("statistic_name")["p_value"]
    net = result.net.dropna(subset=["p_adjusted"])
    return {
        "family": float((wrong <= 0.05).any()),
        "limits": covers(first["conf_low"], first["conf_high"], effect),
        "simultaneous": float(inside.all()),
        "global maximum": rejects(float(tests["maximum of the statistics"])),
        "global sum": rejects(float(tests["sum of squared statistics"])),
        "net": float((net["p_adjusted"] <= 0.05).any()),
    }


def _adjusted(rng: np.random.Generator, *, n: int) -> Outcome:
    """Flows unrelated to the arm; a covariate; severities learned from the shares at baseline."""
    data = _flows(rng, n=n, effect=0.0)
    shares = rng.dirichlet(np.full(_TYPES, 4.0), 2 * n)
    subjects = two_arms(
        n, n, AGE=rng.normal(size=2 * n), NAS=shares @ [0, 2, 6] + rng.normal(size=2 * n),
        TV01=shares[:, 0], TV02=shares[:, 1], TV03=shares[:, 2],
    )  # fmt: skip
    seed = int(rng.integers(2**31))
    adjusted = lt.change_pathways(
        data, reference=REFERENCE, n_perm=199, seed=seed, subjects=subjects, covariates=["AGE"],
        adjust_baseline=True,
    )  # fmt: skip
    severity = lt.type_severity(
        subjects, outcome="NAS", adpath=data, reference=REFERENCE, regions=None, n_boot=20,
        n_repeats=1, n_perm=199, seed=seed,
    )  # fmt: skip
    tests = adjusted.global_test.set_index("statistic_name")["p_value"]
    return {
        "adjusted": rejects(float(tests["maximum of the statistics"])),
        "severity": float((severity.flows["p_adjusted"] <= 0.05).any()),
    }


def _biopsies(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    """Four features; the outcome follows none of them, or the first."""
    features = rng.normal(size=(n, 4))
    outcome = (rng.random(n) < 1 / (1 + np.exp(-effect * features[:, 0]))).astype(int)
    names = [f"TV{number:02d}" for number in range(1, 5)]
    data = two_arms(n, 0, NASH=outcome, **dict(zip(names, features.T, strict=True)))
    if min(outcome.sum(), n - outcome.sum()) < 10:
        return {"permutation": math.nan}
    result = lt.biopsy_prediction(
        data, outcome="NASH", columns=names, n_folds=3, n_repeats=1, n_perm=39, n_boot=0,
        seed=int(rng.integers(2**31)),
    )  # fmt: skip
    return {"permutation": rejects(row(result.table, metric="auc")["p_value"])}


def _test(key: str, quantity: str, method: str = "lt.change_pathways") -> Claim:
    return Claim(key=key, method=method, quantity=quantity, kind="type I error", nominal=0.05)


def _family(key: str, quantity: str) -> Claim:
    return Claim(key=key, method="lt.change_pathways", quantity=quantity, kind="familywise error",
                 nominal=0.05, bound="at most")  # fmt: skip


SCENARIOS = (
    Scenario(
        name="pathways, null", family=FAMILY, n=2000,
        setting="15 v 15 subjects in two sites, three types, two regions, arms alike",
        draw=partial(_pathways, n=15, effect=0.0),
        claims=(
            _test("global maximum", "Global test, largest flow"),
            _test("global sum", "Global test, sum of squares"),
            _family("family", "Step-down max-T over flows"),
            _family("net", "Step-down max-T over net changes"),
            Claim(key="simultaneous", method="lt.change_pathways",
                  quantity="Simultaneous intervals of all flows", bound="at least"),
        ),
    ),
    Scenario(
        name="pathways, one differs", family=FAMILY, n=500,
        setting="25 v 25 subjects in two sites, three types, two regions, one flow 0.05 larger",
        draw=partial(_pathways, n=25, effect=0.05),
        claims=(
            _family("family", "Step-down max-T over the other flows"),
            Claim(key="limits", method="lt.change_pathways", quantity="Flow, Welch"),
            Claim(key="simultaneous", method="lt.change_pathways",
                  quantity="Simultaneous intervals of all flows", bound="at least"),
        ),
    ),
    Scenario(
        name="pathways, adjusted, null", family=FAMILY, n=500,
        setting="20 v 20 subjects, three types, two regions, arms alike, one covariate",
        draw=partial(_adjusted, n=20),
        claims=(
            _test("adjusted", "Global test, adjusted for a covariate and for baseline"),
            Claim(key="severity", method="lt.type_severity",
                  quantity="Improvement, worsening, net change", kind="familywise error",
                  nominal=0.05, bound="at most"),
        ),
    ),
    Scenario(
        name="prediction, null", family=FAMILY, n=300,
        setting="60 subjects, four features unrelated to the outcome",
        draw=partial(_biopsies, n=60, effect=0.0),
        claims=(_test("permutation", "Permutation test of the AUC", "lt.biopsy_prediction"),),
    ),
)  # fmt: skip
