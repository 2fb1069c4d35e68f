"""Simulations of what stands around a prediction and around scan-rescan noise."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

import livertrack as lt
from livertrack.validation._scenario import Claim, Outcome, Scenario, covers, rejects
from livertrack.validation.simulations._frames import is_active, row, two_arms

FAMILY = "Pathways and prediction"


def _new_subject(rng: np.random.Generator, *, n: int) -> Outcome:
    """Errors of fixed predictions with heavy tails; the last subject is the new one."""
    error = rng.standard_t(4, n + 1)
    frame = two_arms(
        n, 0, model="m", repeat=0, fold=np.arange(n) % 5, observed=error[:n],
        predicted=np.zeros(n),
    )  # fmt: skip
    half = lt.prediction_interval(frame, conf_level=0.9).table["half_width"].iloc[0]
    return {"new": float(abs(error[n]) <= half)}


def _audit(rng: np.random.Generator, *, n: int) -> Outcome:
    """Residuals that depend on age by the margin, and not on the site; noise grows with age."""
    age = rng.normal(size=n)
    residual = 0.3 * (age - age.mean()) / age.std(ddof=1) + rng.normal(size=n) * (1 + 0.3 * age**2)
    data = two_arms(n, 0, AGE=age, SITEID=np.array(["01", "02"])[np.arange(n) % 2], RES=residual)
    table = lt.confounder_audit(
        data, residual="RES", covariates=["AGE", "SITEID"], margin=0.3
    ).table.set_index("covariate")
    found = table.loc["AGE"]
    return {
        "equivalent": float(found["equivalent"]),
        "limits": covers(found["conf_low"], found["conf_high"], 0.3),
        "no dependence": rejects(table.loc["SITEID", "p_value"]),
    }


def _beyond(rng: np.random.Generator, *, n: int) -> Outcome:
    """Trial and repeat scans have the same flows: all is noise."""
    frames = []
    for start, arm in ((0, "Active"), (n, "Placebo"), (2 * n, "")):
        cubes = rng.gamma(0.8, 1, (n, 3, 3)) + 4 * np.eye(3)
        cubes /= cubes.sum(axis=(1, 2), keepdims=True)
        subject, source, target = (axis.ravel() for axis in np.indices(cubes.shape))
        frame = pd.DataFrame(
            {
                "USUBJID": np.char.add("S", (start + subject).astype(str)), "AVISIT": "Week 48",
                "AVISITN": 48, "REGION": "", "FROMTYPE": source + 1, "TOTYPE": target + 1,
                "AVAL": cubes.ravel(), "NVOX": 1000, "METHOD": "voxel",
            }
        )  # fmt: skip
        frames.append(frame.assign(TRT01P=arm) if arm else frame)
    table = lt.beyond_noise(
        pd.concat(frames[:2], ignore_index=True), frames[2], n_boot=500,
        seed=int(rng.integers(2**31)),
    ).table  # fmt: skip
    return {"family": float((table["p_adjusted"] <= 0.05).any())}


def _changes(rng: np.random.Generator, *, n: int) -> Outcome:
    """A third of the subjects of an arm change by more than the limit."""
    beyond = rng.random(2 * n) < 0.3
    data = two_arms(n, n, PARAMCD="PDFF", CHG=np.where(beyond, 3.0, 0.5))
    table = lt.real_change(data, limits={"PDFF": 2.0}).table
    found = row(table, arm=data["TRT01P"].iloc[int(np.flatnonzero(is_active(n, n))[0])])
    return {"share": covers(found["conf_low"], found["conf_high"], 0.3)}


def _places(rng: np.random.Generator, *, n: int, effect: float) -> Outcome:
    """Twelve neighbouring cells that change together; a fifth of all is unlike its baseline."""
    cells, voxels = 12, 200
    common = rng.normal(size=(2 * n, 1))
    logit = -1.4 + 0.6 * common + 0.6 * rng.normal(size=(2 * n, cells))
    share = 1 / (1 + np.exp(-logit))
    share[:n, :2] = np.minimum(share[:n, :2] + effect, 1.0)
    changed = rng.binomial(voxels, share)
    subject, cell = (axis.ravel() for axis in np.indices(changed.shape))
    people = two_arms(n, n)
    frame = pd.DataFrame(
        {
            "USUBJID": people["USUBJID"].to_numpy()[subject],
            "TRT01P": people["TRT01P"].to_numpy()[subject],
            "AVISIT": "Week 48", "CELL": cell + 1, "FROMTYPE": 1,
        }
    )  # fmt: skip
    rows = pd.concat(
        [
            frame.assign(TOTYPE=2, NVOX=changed.ravel()),
            frame.assign(TOTYPE=1, NVOX=voxels - changed.ravel()),
        ],
        ignore_index=True,
    )
    table = lt.change_atlas(
        rows, reference="Placebo", visit="Week 48", n_perm=199, seed=int(rng.integers(2**31))
    ).table.set_index("cell")
    quiet = table.index > 2 if effect else table.index > 0
    last = table.loc[cells]
    return {
        "family": float((table["p_adjusted"].to_numpy()[quiet] <= 0.05).any()),
        "cell": covers(last["conf_low"], last["conf_high"], 0.0),
    }


SCENARIOS = (
    *(
        Scenario(
            name=f"places of change, {words}", family=FAMILY, n=500,
            setting=f"20 v 20 subjects, twelve cells of the template, {words}",
            draw=partial(_places, n=20, effect=effect),
            claims=(
                Claim(key="family", method="lt.change_atlas", quantity="Change of any cell",
                      kind="familywise error", nominal=0.05, bound="at most"),
                Claim(key="cell", method="lt.change_atlas", quantity="Change of one cell"),
            ),
        )
        for words, effect in (("arms alike", 0.0), ("two cells change more", 0.2))
    ),
    Scenario(
        name="prediction interval", family=FAMILY, n=4000,
        setting="79 subjects in five folds, heavy-tailed errors, one new subject",
        draw=partial(_new_subject, n=79),
        claims=(
            Claim(key="new", method="lt.prediction_interval", quantity="Value of a new subject",
                  nominal=0.9),
        ),
    ),
    Scenario(
        name="confounder audit", family=FAMILY, n=500,
        setting="250 subjects, dependence on age at the margin, unequal noise",
        draw=partial(_audit, n=250),
        claims=(
            Claim(key="equivalent", method="lt.confounder_audit", quantity="Equivalence",
                  kind="type I error", nominal=0.05, bound="at most"),
            Claim(key="limits", method="lt.confounder_audit", quantity="Dependence on age, HC3",
                  nominal=0.9),
            Claim(key="no dependence", method="lt.confounder_audit",
                  quantity="Test of no dependence", kind="type I error", nominal=0.05),
        ),
    ),
    Scenario(
        name="beyond noise", family=FAMILY, n=500,
        setting="20 v 20 subjects and 20 repeat scans, three types, all flows are noise",
        draw=partial(_beyond, n=20),
        claims=(
            Claim(key="family", method="lt.beyond_noise", quantity="Flows beyond noise",
                  kind="familywise error", nominal=0.05, bound="at most"),
        ),
    ),
    Scenario(
        name="real change", family=FAMILY,
        setting="40 subjects in an arm, 30 % change beyond the limit",
        draw=partial(_changes, n=40),
        claims=(
            Claim(key="share", method="lt.real_change", quantity="Share who changed, Wilson"),
        ),
    ),
)  # fmt: skip
