"""Three or more visits: the course of each type, what is kept, and what early change foretells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from livertrack._results import Result
from livertrack.endpoints._checks import (
    ordered_levels,
    require_columns,
    require_conf_level,
    require_level,
    require_unique,
)
from livertrack.endpoints._trajectory_prediction import METHOD, predict_late
from livertrack.endpoints._trajectory_sequences import compare_fates, fates, sentence_of_fates
from livertrack.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class Trajectories(Result):
    """Courses over the visits; see `trajectories` for ``table``.

    Attributes
    ----------
    increment : DataFrame
        What early change adds: ``metric, estimate_without, estimate_with, difference, conf_low,
        conf_high, p_value`` (permutation), ``n, method``.
    courses : DataFrame
        ``arm, visit, parameter, mean, std_dev, change`` (mean change from baseline), ``n``.
    persistence : DataFrame
        Per arm and type: ``early, late`` (mean changes), ``fraction`` (early / late), ``r``
        (correlation of early and late change over subjects), ``slope`` (of late on early change),
        ``conf_low, conf_high`` (of r), ``n``.
    fates : DataFrame
        With ``sequences``: share of the liver whose change came early and was kept, was undone,
        came late, or changed again, by arm against the reference.
    """

    increment: pd.DataFrame = field(default_factory=pd.DataFrame)
    courses: pd.DataFrame = field(default_factory=pd.DataFrame)
    persistence: pd.DataFrame = field(default_factory=pd.DataFrame)
    fates: pd.DataFrame = field(default_factory=pd.DataFrame)

    keys: ClassVar[tuple[str, ...]] = (
        "arm", "visit", "parameter", "feature_set", "metric", "region", "fate",
    )  # fmt: skip
    context: ClassVar[str] = "trajectories"


def trajectories(
    signatures: pd.DataFrame,
    *,
    baseline: str,
    early: str,
    late: str,
    arm: str = "TRT01P",
    reference: str,
    subject: str = "USUBJID",
    subjects: pd.DataFrame | None = None,
    outcome: pd.DataFrame | None = None,
    value: str = "AVAL",
    task: Literal["binary", "continuous"] = "continuous",
    sequences: pd.DataFrame | None = None,
    directions: pd.DataFrame | None = None,
    strata: str | Sequence[str] | None = None,
    n_folds: int = 5,
    n_repeats: int = 5,
    n_perm: int = 200,
    n_boot: int = 2000,
    conf_level: float = 0.95,
    seed: int,
) -> Trajectories:
    """Follow tissue types over the visits, and ask whether early change foretells late outcome.

    Parameters
    ----------
    signatures : DataFrame
        Signature records: ``subject, arm, AVISIT, PARAMCD`` (TV01, ...), ``AVAL`` (share, 0..1);
        with the baseline visit, or with ``BASE`` in every record. Whole liver (REGION blank).
    baseline, early, late : str
        Visits; others between them are in the courses alone.
    subjects : DataFrame, optional
        One row per subject of the analysis population (``subject, arm``, strata).
    outcome : DataFrame, optional
        One row per subject: the late outcome in column ``value``, of another measure than the
        signature (PDFF change, biopsy score, responder 0/1). Without it nothing is predicted.
    task : {"binary", "continuous"}
    sequences : DataFrame, optional
        Types of each place over the visits (``adseq``).
    directions : DataFrame, optional
        From `type_severity`: tells improvement from worsening in the fates.
    n_folds, n_repeats, n_perm, n_boot
        As in `biopsy_prediction`; the permutations of fates are 10 times ``n_perm``.

    Returns
    -------
    Trajectories
        ``.table``: out-of-fold prediction of the outcome - ``feature_set, metric, estimate,
        conf_low, conf_high, p_value, chance, n, n_subjects, method`` for arm and baseline, and for
        these with the early change; empty without ``outcome``.

    Notes
    -----
    Features: indicators of the arm, shares at baseline, and the change from baseline to ``early``
    of every type less what a linear regression on arm and baseline makes of it (features only: no
    outcome is used). The increment's p permutes that part among the subjects of an arm and
    repeats the nested cross-validation: it asks whether early change tells more than arm and
    baseline. The interval of the difference takes the predictions as given.
    Denominator: prediction, subjects with baseline, early visit and outcome; courses, subjects
    seen at the visit. Subjects without a visit are missing, not unchanged.
    Source: Varma and Simon (2006); Westfall and Young (1993) for the fates.
    Checked against: planted courses and hand-worked sequences
    (tests/endpoints/test_trajectories.py).
    """
    require_conf_level(conf_level)
    if task not in ("binary", "continuous"):
        msg = f"task is binary or continuous; got {task!r}"
        raise UsageError(msg)
    cells, notes = _cells(signatures, baseline, arm, subject, subjects)
    for name in (early, late):
        if name not in set(cells["AVISIT"]):
            msg = f"signatures: no record at {name}; visits are {sorted(set(cells['AVISIT']))}"
            raise DataError(msg)
    groups = [strata] if isinstance(strata, str) else list(strata or [])
    people = _people(signatures if subjects is None else subjects, subject, arm, groups)
    require_level(people, arm, reference, what="reference")
    arms = [str(a) for a in ordered_levels(people[arm]) if str(a) != reference]
    order = ordered_levels(signatures["AVISIT"])
    courses = _courses(cells, [baseline, *[v for v in order if v != baseline]], [reference, *arms])
    kept = _persistence(cells, early, late, [reference, *arms], conf_level)
    table, increment = pd.DataFrame(), pd.DataFrame()
    parts = []
    if outcome is not None:
        table, increment, text, more = predict_late(
            cells, people, outcome, early=early, arm=arm, subject=subject, value=value, task=task,
            counts=(n_folds, n_repeats, n_perm, n_boot), conf_level=conf_level, seed=seed,
        )  # fmt: skip
        notes += more
        parts.append(text)
    compared = pd.DataFrame()
    if sequences is not None:
        shares = fates(sequences, early=early, late=late, subject=subject, directions=directions)
        shares = shares[shares.index.get_level_values(subject).isin(people.index)]
        label = None
        if groups:
            label = people[groups].astype(str).agg("\x1f".join, axis=1).to_numpy(str)
        compared = compare_fates(
            shares, people, arm=arm, arms=arms, reference=reference, strata=label,
            n_perm=max(10 * n_perm, 99), seed=seed, conf_level=conf_level,
        )  # fmt: skip
        unseen = len(people) - shares.index.get_level_values(subject).nunique()
        if unseen:
            notes.append(f"{unseen} of {len(people)} subjects without sequences of these visits")
        parts.append(sentence_of_fates(compared, 1 - conf_level))
    settings = {
        "method": METHOD, "baseline": baseline, "early": early, "late": late, "arm": arm,
        "reference": reference, "task": task, "value": value, "n_folds": n_folds,
        "n_repeats": n_repeats, "n_perm": n_perm, "n_boot": n_boot, "conf_level": conf_level,
        "seed": seed, "strata": groups, "n_subjects": len(people),
    }  # fmt: skip
    parts = [part for part in parts if part] or [_plain(kept, early, late)]
    return Trajectories(
        table=table, increment=increment, courses=courses, persistence=kept, fates=compared,
        text=" ".join(parts), settings=settings, notes=tuple(notes),
    )  # fmt: skip


def _cells(
    signatures: pd.DataFrame, baseline: str, arm: str, subject: str,
    subjects: pd.DataFrame | None,
) -> tuple[pd.DataFrame, list[str]]:  # fmt: skip
    """Shares by subject, visit and type, with the baseline share beside each."""
    require_columns(signatures, [subject, "AVISIT", "PARAMCD", "AVAL"], name="signatures")
    data = signatures[signatures["PARAMCD"].astype(str).str.fullmatch(r"TV\d+")]
    if "REGION" in data.columns:
        data = data[data["REGION"].fillna("").eq("")]
    if subjects is not None:
        data = data[data[subject].isin(subjects[subject])]
        data = data.drop(columns=[c for c in (arm,) if c in data]).merge(
            subjects[[subject, arm]], on=subject
        )
    require_columns(data, [arm], name="signatures")
    require_unique(data, [subject, "AVISIT", "PARAMCD"], name="signatures")
    if data.empty:
        msg = "signatures: no record of a tissue type (PARAMCD TV01, ...) of the whole liver"
        raise DataError(msg)
    data = data.astype({"AVISIT": object, arm: object})
    first = data[data["AVISIT"].eq(baseline)].set_index([subject, "PARAMCD"])["AVAL"]
    if len(first):
        keys = pd.MultiIndex.from_frame(data[[subject, "PARAMCD"]])
        data = data.assign(BASE=first.reindex(keys).to_numpy())
    require_columns(data, ["BASE"], name="signatures")
    apart = data.groupby([subject, "PARAMCD"])["BASE"].agg(np.ptp).gt(1e-9).sum()
    if apart:
        msg = f"signatures: BASE differs between visits in {apart} subject x PARAMCD"
        raise DataError(msg)
    lost = data[data["BASE"].isna()][subject].nunique()
    notes = [f"{lost} subject(s) without a baseline signature are left out"] if lost else []
    data = data[data["BASE"].notna()].rename(columns={subject: "SUBJECT", arm: "ARM"})
    data = data[["SUBJECT", "ARM", "AVISIT", "PARAMCD", "AVAL", "BASE"]]
    return data.sort_values(["SUBJECT", "AVISIT", "PARAMCD"], ignore_index=True), notes


def _people(source: pd.DataFrame, subject: str, arm: str, groups: list[str]) -> pd.DataFrame:
    require_columns(source, [subject, arm, *groups], name="subjects")
    people = source[[subject, arm, *groups]].drop_duplicates()
    require_unique(people, [subject], name="subjects")
    return people.set_index(subject).sort_index()


def _courses(cells: pd.DataFrame, visits: Sequence[str], arms: Sequence[str]) -> pd.DataFrame:
    start = cells.drop_duplicates(["SUBJECT", "PARAMCD"]).assign(AVISIT=visits[0])
    start = start.assign(AVAL=start["BASE"])
    every = pd.concat([start, cells[cells["AVISIT"] != visits[0]]])
    every = every.assign(CHANGE=every["AVAL"] - every["BASE"])
    table = every.groupby(["ARM", "AVISIT", "PARAMCD"]).agg(
        mean=("AVAL", "mean"), std_dev=("AVAL", "std"), change=("CHANGE", "mean"),
        n=("AVAL", "size"),
    )  # fmt: skip
    kinds = sorted(cells["PARAMCD"].unique())
    keys = ["arm", "visit", "parameter"]
    index = pd.MultiIndex.from_product([list(arms), list(visits), kinds], names=keys)
    table.index = table.index.set_names(keys)
    out = table.reindex(index).reset_index()
    return out.assign(n=out["n"].fillna(0).astype(int))


def _persistence(
    cells: pd.DataFrame, early: str, late: str, arms: Sequence[str], conf_level: float
) -> pd.DataFrame:
    change = cells.assign(CHANGE=cells["AVAL"] - cells["BASE"]).pivot_table(
        index=["ARM", "PARAMCD", "SUBJECT"], columns="AVISIT", values="CHANGE"
    )
    both = change[[early, late]].dropna()
    z = float(norm.ppf(0.5 + conf_level / 2))
    rows = []
    for name in arms:
        for kind in sorted(cells["PARAMCD"].unique()):
            try:
                x, y = both.loc[(name, kind), [early, late]].to_numpy(float).T
            except KeyError:
                x = y = np.empty(0)
            n = len(x)
            varies = n > 3 and np.ptp(x) > 0 and np.ptp(y) > 0
            r = float(np.corrcoef(x, y)[0, 1]) if varies else np.nan
            fisher = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
            wide = z / np.sqrt(n - 3) if varies else np.nan
            rows.append(
                {
                    "arm": name, "parameter": kind,
                    "early": float(x.mean()) if n else np.nan,
                    "late": float(y.mean()) if n else np.nan,
                    "fraction": float(x.mean() / y.mean()) if n and y.mean() else np.nan,
                    "r": r, "conf_low": float(np.tanh(fisher - wide)),
                    "conf_high": float(np.tanh(fisher + wide)),
                    "slope": r * y.std() / x.std() if varies else np.nan, "n": n,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _plain(kept: pd.DataFrame, early: str, late: str) -> str:
    known = kept[kept["r"].notna()]
    if known.empty:
        return f"Changes by {early} and by {late} could not be compared."
    return (
        f"Changes by {early} and by {late} correlated with a median of "
        f"{known['r'].median():.2f} over types and arms."
    )
