"""Replication: what one cohort chose, tested on another with nothing left to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints._adjust import Covariates, covariate_matrix
from livertrack.endpoints._checks import require_conf_level, require_level
from livertrack.endpoints._pathways_flows import Flows, baseline_frame, flows
from livertrack.endpoints._permutation import draw_labels, max_t_test, welch_limits
from livertrack.endpoints._replication_columns import Columns, net_improvement, prepared
from livertrack.errors import DataError, UsageError

KEYS = ["arm", "visit", "region", "level", "from_type", "to_type"]
_METHOD = "frozen flows and directions, one-sided permutation, step-down max-T over chosen flows"


@dataclass(frozen=True, kw_only=True)
class FrozenPathways:
    """What a first cohort decided.

    Attributes
    ----------
    chosen : DataFrame
        One row per chosen flow: ``arm, visit, region, level, from_type, to_type, from_group,
        to_group, direction`` (+1 or -1), ``estimate, conf_low, conf_high, p_adjusted``.
    tested : DataFrame
        All tested flows of the first cohort: the same keys and ``estimate``.
    settings : mapping
        Settings of its `change_pathways`: share, merge, covariates, level and the rest.
    severity : DataFrame or None
        Severities of the types (``type, estimate``) from its `type_severity`.
    """

    chosen: pd.DataFrame
    tested: pd.DataFrame
    settings: Mapping[str, Any]
    severity: pd.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class Replication(Result):
    """Replication of chosen flows; see `replicate_pathways` for ``table``.

    Attributes
    ----------
    overall : DataFrame
        ``quantity, estimate, p_value, n``: chosen flows with the same sign, replicated flows, rank
        correlation and slope of the effects over all flows that the first cohort tested.
    severity : DataFrame
        With frozen severities: net improvement of each arm against the reference - ``arm, visit,
        estimate, conf_low, conf_high, p_value`` (one-sided: improvement), ``n_arm, n_ref``.
    """

    overall: pd.DataFrame = field(default_factory=pd.DataFrame)
    severity: pd.DataFrame = field(default_factory=pd.DataFrame)

    keys: ClassVar[tuple[str, ...]] = (
        "arm", "region", "visit", "level", "from_type", "to_type", "quantity",
    )  # fmt: skip
    context: ClassVar[str] = "replicate"


def freeze_pathways(
    result: Any, *, choose: Literal["significant", "top"] = "significant", top: int = 5,
    severity: Any = None,
) -> FrozenPathways:  # fmt: skip
    """Freeze what a `change_pathways` result decided.

    Parameters
    ----------
    result : ChangePathways or StoredResult
    choose : {"significant", "top"}
        Flows whose adjusted p is at or below 1 - conf_level, or the ``top`` ones by that p.
    severity : TypeSeverity or StoredResult, optional

    Returns
    -------
    FrozenPathways

    Notes
    -----
    Denominator: none; what the result says is kept as it is.
    """
    if choose not in ("significant", "top") or top < 1:
        msg = f"choose is significant or top (with a number from 1 up); got {choose!r}, {top!r}"
        raise UsageError(msg)
    table = result.table.astype({"level": int, "from_type": int, "to_type": int})
    table = table.assign(
        region=table["region"].astype(str), visit=table["visit"].astype(str),
        arm=table["arm"].astype(str),
    )  # fmt: skip
    tested = table[table["p_adjusted"].notna()]
    order = ["p_adjusted", "p_value", *KEYS]
    if choose == "top":
        chosen = tested.sort_values(order, kind="stable").head(top)
    else:
        alpha = 1 - float(result.settings["conf_level"])
        chosen = tested[tested["p_adjusted"] <= alpha + 1e-12].sort_values(order, kind="stable")
    chosen = chosen.assign(direction=np.sign(chosen["estimate"]).astype(int))
    columns = [
        *KEYS, "from_group", "to_group", "direction", "estimate", "conf_low", "conf_high",
        "p_adjusted",
    ]  # fmt: skip
    learned = None if severity is None else severity.table[["type", "estimate"]].astype(
        {"type": int}
    )  # fmt: skip
    return FrozenPathways(
        chosen=chosen[columns].reset_index(drop=True),
        tested=tested[[*KEYS, "estimate"]].reset_index(drop=True),
        settings=dict(result.settings), severity=learned,
    )  # fmt: skip


def replicate_pathways(
    adpath: pd.DataFrame,
    frozen: FrozenPathways,
    *,
    arm: str = "TRT01P",
    reference: str | None = None,
    subject: str = "USUBJID",
    subjects: pd.DataFrame | None = None,
    strata: str | list[str] | None = None,
    arms: Mapping[str, str] | None = None,
    n_perm: int | None = 10_000,
    conf_level: float = 0.95,
    seed: int,
) -> Replication:
    """Test the flows that a first cohort chose, in its directions, on a second cohort.

    Parameters
    ----------
    adpath : DataFrame
        Pathway records of the second cohort, made with the vocabulary of the first.
    frozen : FrozenPathways
        From `freeze_pathways`.
    reference : str, optional
        By default that of the first cohort.
    subjects : DataFrame, optional
        Analysis population of the second cohort, with the covariates of the first analysis.
    strata : str or list of str, optional
        Labels are permuted within these.
    arms : mapping, optional
        Arm of the first cohort -> arm of the second, where the names differ.
    n_perm, conf_level, seed
        As in `change_pathways`.

    Returns
    -------
    Replication
        ``.table``: one row per chosen flow - ``arm, visit, region, level, from_type, to_type,
        from_group, to_group, direction, first_estimate, first_low, first_high`` (first cohort),
        ``estimate, std_error, statistic, conf_low, conf_high`` (second, two-sided), ``same_sign,
        ratio`` (second / first), ``p_value`` (one-sided, in the frozen direction), ``p_adjusted``
        (step-down max-T over the chosen flows of all arms), ``replicated`` (at 1 - conf_level),
        ``n_arm, n_ref, method``.

    Notes
    -----
    Chosen flows, directions, share, merging, covariates and the level are those of the first
    cohort; nothing is chosen from the second. The first estimates were selected for their size,
    so ratios below one are to be expected (winner's curse).
    Denominator: subjects of the second cohort with a record of that visit and region.
    ``overall``: the p of the sign agreement counts, over relabellings, how often as many chosen
    flows have the frozen sign.
    Source: Westfall and Young (1993). Checked against: hand-worked records and simulated pairs of
    cohorts (tests/endpoints/test_replication.py).
    """
    require_conf_level(conf_level)
    names = dict(arms or {})
    if reference is None:
        first = str(frozen.settings["reference"])
        reference = names.get(first, first)
    source = adpath if subjects is None else subjects
    require_level(source.astype({arm: object}), arm, reference, what="reference")
    chosen = frozen.chosen.assign(own=[names.get(a, a) for a in frozen.chosen["arm"]])
    missing = sorted(set(chosen["own"]) - set(source[arm].dropna().astype(str)))
    if missing:
        msg = (
            f"{arm}: the first cohort chose flows of {missing}, which the second does not have; "
            "say which arm is which in arms"
        )
        raise DataError(msg)
    if chosen.empty:
        return _nothing(frozen, reference, conf_level, seed)
    if frozen.settings.get("noise"):
        msg = "the first cohort's flows were counted beyond noise; freeze an analysis without null"
        raise UsageError(msg)
    every = flows(adpath, arm=arm, subject=subject, strata=strata, subjects=subjects)
    every, columns = prepared(every, frozen.settings)
    values, own = columns.of(chosen)
    signed = values * chosen["direction"].to_numpy()
    # a column belongs to one arm: elsewhere it is missing and takes no part
    labels = every.arm
    outside = (labels[:, None] != chosen["own"].to_numpy()[None]) & (labels != reference)[:, None]
    signed = np.where(outside, np.nan, signed)
    shared, notes = _shared(source, frozen, subject, every)
    given = _given(shared, own, adjust=bool(frozen.settings.get("adjust_baseline", False)))
    active = list(dict.fromkeys(chosen["own"]))
    test = max_t_test(
        signed, labels, arms=active, reference=reference, n_perm=n_perm, seed=seed,
        strata=every.strata, alternative="greater", conf_level=conf_level, covariates=given,
    )  # fmt: skip
    table = _table(chosen, test, active, reference, conf_level)
    overall = _overall(table, signed, every, active, reference, frozen, columns, names,
                       n_perm, seed)  # fmt: skip
    order = [names.get(name, name) for name in frozen.settings["arms"]]
    severity = net_improvement(
        every, frozen.severity, arms=[name for name in order if name in set(labels)],
        reference=reference, n_perm=n_perm, seed=seed, conf_level=conf_level,
    )  # fmt: skip
    settings = {
        "method": _METHOD, "arm": arm, "reference": reference, "arms": names, "n_perm": n_perm,
        "conf_level": conf_level, "seed": seed, "n_chosen": len(table),
        "first_settings": dict(frozen.settings), "n_subjects": len(every.subjects),
    }  # fmt: skip
    return Replication(
        table=table, overall=overall, severity=severity, settings=settings, notes=tuple(notes),
        text=_sentence(table, overall, severity, conf_level),
    )  # fmt: skip


def _nothing(frozen: FrozenPathways, reference: str, conf_level: float, seed: int) -> Replication:
    text = "The first cohort chose no flow: there is nothing to replicate."
    return Replication(
        table=pd.DataFrame(columns=[*KEYS, "p_adjusted", "replicated"]), text=text, notes=(text,),
        settings={
            "method": _METHOD, "reference": reference, "conf_level": conf_level, "seed": seed,
            "n_chosen": 0, "first_settings": dict(frozen.settings),
        },
    )  # fmt: skip


def _shared(
    source: pd.DataFrame, frozen: FrozenPathways, subject: str, every: Flows
) -> tuple[np.ndarray, list[str]]:
    columns = list(frozen.settings.get("covariates") or [])
    if not columns:
        return np.empty((len(every.subjects), 0)), []
    return covariate_matrix(
        baseline_frame(source, subject, columns).reindex(every.subjects), columns
    )


def _given(shared: np.ndarray, own: np.ndarray, *, adjust: bool) -> Covariates | None:
    if adjust:
        return Covariates(shared, own)
    return Covariates(shared) if shared.shape[1] else None


def _table(
    chosen: pd.DataFrame, test: Any, active: list[str], reference: str, conf_level: float
) -> pd.DataFrame:
    rows = []
    for place, row in enumerate(chosen.to_dict("records")):
        number = active.index(row["own"])
        pair, sign = test.pairs[number], row["direction"]
        seen = pair.observed
        low, high = (side[place] for side in welch_limits(seen, conf_level))
        estimate = sign * seen.estimate[place]
        adjusted = test.p_adjusted[number, place]
        rows.append(
            {
                **{key: row[key] for key in KEYS}, "from_group": row["from_group"],
                "to_group": row["to_group"], "own_arm": row["own"], "reference": reference,
                "direction": sign, "first_estimate": row["estimate"],
                "first_low": row["conf_low"], "first_high": row["conf_high"],
                "estimate": estimate, "std_error": seen.std_error[place],
                "statistic": sign * seen.statistic[place],
                "conf_low": low if sign > 0 else -high, "conf_high": high if sign > 0 else -low,
                "same_sign": bool(estimate * sign > 0),
                "ratio": estimate / row["estimate"] if row["estimate"] else np.nan,
                "p_value": pair.p_value[place], "p_adjusted": adjusted,
                "replicated": bool(adjusted <= 1 - conf_level + 1e-12),
                "n_arm": int(seen.n_arm[place]), "n_ref": int(seen.n_ref[place]),
                "method": _METHOD,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _overall(
    table: pd.DataFrame, signed: np.ndarray, every: Flows, active: list[str], reference: str,
    frozen: FrozenPathways, columns: Columns, names: Mapping[str, str], n_perm: int | None,
    seed: int,
) -> pd.DataFrame:  # fmt: skip
    same = int(table["same_sign"].sum())
    draws = n_perm or 10_000
    count = np.zeros(draws, int)
    own = table["own_arm"].to_numpy()
    levels = np.zeros(len(every.arm), int)
    if every.strata is not None:
        levels = np.unique(every.strata, return_inverse=True)[1]
    for name in active:
        keep = (every.arm == name) | (every.arm == reference)
        part = signed[np.ix_(keep, own == name)]
        there = (~np.isnan(part)).astype(float)
        cells = np.nan_to_num(part)
        labels = draw_labels(every.arm[keep] == name, levels[keep], draws,
                             generator(seed, "signs", name)).astype(float)  # fmt: skip
        with np.errstate(divide="ignore", invalid="ignore"):
            first = labels @ cells / (labels @ there)
            second = (cells.sum(0) - labels @ cells) / (there.sum(0) - labels @ there)
        count += (first - second > 0).sum(axis=1)
    p_sign = float((1 + (count >= same).sum()) / (draws + 1))
    both = _all_effects(every, frozen, columns, names, reference)
    known = len(both) > 2 and both["estimate"].std() > 0 and both["second"].std() > 0
    rank = float(spearmanr(both["estimate"], both["second"]).statistic) if known else np.nan
    square = float((both["estimate"] ** 2).sum())
    slope = float((both["estimate"] * both["second"]).sum() / square) if square else np.nan
    rows = [
        ("chosen flows with the same sign", same, p_sign, len(table)),
        ("replicated flows", int(table["replicated"].sum()), np.nan, len(table)),
        ("rank correlation of effects, all tested flows", rank, np.nan, len(both)),
        ("slope of second on first effects, all tested flows", slope, np.nan, len(both)),
    ]
    return pd.DataFrame(rows, columns=["quantity", "estimate", "p_value", "n"])


def _all_effects(
    every: Flows, frozen: FrozenPathways, columns: Columns, names: Mapping[str, str],
    reference: str,
) -> pd.DataFrame:  # fmt: skip
    """Effects of both cohorts for every flow that the first one tested, chosen or not."""
    rows = frozen.tested
    rows = rows[
        [(v, r) in columns.where for v, r in zip(rows["visit"], rows["region"], strict=True)]
    ]
    if rows.empty:
        return rows.assign(second=[])
    values, _ = columns.of(rows)
    second = []
    for place, name in enumerate(rows["arm"]):
        column = values[:, place]
        in_arm, in_ref = every.arm == names.get(name, name), every.arm == reference
        known = ~np.isnan(column)
        if not (in_arm & known).any() or not (in_ref & known).any():
            second.append(np.nan)
        else:
            second.append(column[in_arm & known].mean() - column[in_ref & known].mean())
    return rows.assign(second=second).dropna()


def _sentence(
    table: pd.DataFrame, overall: pd.DataFrame, severity: pd.DataFrame, conf_level: float
) -> str:
    facts = overall.set_index("quantity")
    sign = facts.loc["chosen flows with the same sign"]
    text = (
        f"Of {len(table)} flows that the first cohort chose, {int(sign['estimate'])} had the same "
        f"sign in the second (permutation p {_p(sign['p_value'])}) and "
        f"{int(table['replicated'].sum())} replicated at a one-sided family-wise level of "
        f"{1 - conf_level:.3g}."
    )
    best = table.sort_values(["p_adjusted", "p_value"], kind="stable").iloc[0]
    text += (
        f" The clearest was type {best['from_group']} to {best['to_group']} at {best['visit']} "
        f"in {best['own_arm']}: {100 * best['first_estimate']:+.2f} percentage points in the "
        f"first cohort, {100 * best['estimate']:+.2f} ({100 * conf_level:g} % CI "
        f"{100 * best['conf_low']:.2f} to {100 * best['conf_high']:.2f}) in the second, adjusted "
        f"p {_p(best['p_adjusted'])}."
    )
    for row in severity.to_dict("records"):
        text += (
            f" Net improvement by the frozen severities, {row['arm']} at {row['visit']}: "
            f"{100 * row['estimate']:+.1f} percentage points (p {_p(row['p_adjusted'])})."
        )
    return text


def _p(value: Any) -> str:
    if np.isnan(value):
        return "not estimable"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
