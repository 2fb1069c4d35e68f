"""Severity of tissue types, and whether the pathways of an arm lead to better or worse tissue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints._checks import (
    numeric,
    ordered_levels,
    require_columns,
    require_conf_level,
    require_level,
    require_unique,
)
from livertrack.endpoints._pathways_flows import Flows, flows
from livertrack.endpoints._permutation import max_t_test, welch_limits
from livertrack.endpoints._severity import fold_severities, severities
from livertrack.errors import DataError, UsageError

Array = NDArray[np.float64]

_METHOD = "ridge regression on shares, out-of-fold by subject; permutation within strata"
MEASURES = ("improvement", "worsening", "net", "severity_change")


@dataclass(frozen=True, kw_only=True)
class TypeSeverity(Result):
    """Severities, directions of pathways and their comparison; see `type_severity`.

    Attributes
    ----------
    table : DataFrame
        One row per type: ``type, parameter, estimate`` (severity in the unit of the outcome),
        ``std_error, conf_low, conf_high`` (bootstrap of subjects), ``rank`` (1 = least severe),
        ``mean_share, n, method``.
    directions : DataFrame
        One row per ordered pair of types: ``from_type, to_type, difference`` (of severity),
        ``agreement`` (share of bootstrap samples with the same sign), ``direction``
        (``improvement, worsening`` or ``unclear``).
    flows : DataFrame
        With ``adpath``: per arm, visit, region and measure the difference from the reference -
        ``arm, reference, visit, region, measure, estimate, std_error, df, statistic, conf_low,
        conf_high, simultaneous_low, simultaneous_high, p_value, p_adjusted, mean_arm, mean_ref,
        n_arm, n_ref``.
    fit : DataFrame
        Out-of-fold agreement of severity with the outcome: ``metric, estimate, n``.
    scores : DataFrame
        One row per subject, visit and region: the measures. Not part of the analysis results data,
        which name no subject.
    """

    directions: pd.DataFrame = field(default_factory=pd.DataFrame)
    flows: pd.DataFrame = field(default_factory=pd.DataFrame)
    fit: pd.DataFrame = field(default_factory=pd.DataFrame)
    scores: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    keys: ClassVar[tuple[str, ...]] = (
        "arm", "measure", "visit", "region", "type", "from_type", "to_type", "metric",
    )  # fmt: skip
    context: ClassVar[str] = "type_severity"

    def frames(self) -> dict[str, pd.DataFrame]:
        """Every frame but the scores of single subjects."""
        return {name: frame for name, frame in super().frames().items() if name != "scores"}


def type_severity(
    features: pd.DataFrame,
    *,
    outcome: str,
    types: Sequence[str] | None = None,
    adpath: pd.DataFrame | None = None,
    subjects: pd.DataFrame | None = None,
    arm: str = "TRT01P",
    reference: str | None = None,
    subject: str = "USUBJID",
    visit: str | None = None,
    regions: Sequence[str] | None = ("",),
    strata: str | Sequence[str] | None = None,
    least_agreement: float = 0.9,
    n_folds: int = 5,
    n_repeats: int = 10,
    n_boot: int = 1000,
    n_perm: int | None = 2000,
    conf_level: float = 0.95,
    seed: int,
) -> TypeSeverity:
    """Learn how severe each tissue type is, and compare the direction of change between arms.

    Parameters
    ----------
    features : DataFrame, one row per subject
        Baseline shares of the types (0..1) and the outcome, e.g. a biopsy score or the fat
        fraction at baseline: higher is worse. Rows without outcome or shares are left out.
    outcome : str
        Column of the outcome.
    types : sequence of str, optional
        Columns of the shares, type 1 first; by default TV01, TV02, ...
    adpath : DataFrame, optional
        Pathway records; without them only the severities are given.
    subjects, arm, reference, visit, regions, strata, n_perm
        As in `change_pathways`; ``reference`` is needed with ``adpath``.
    least_agreement : float
        A pathway has a direction where at least this share of bootstrap samples agrees on the
        sign of the difference of severities; else it is ``unclear``. For description and
        freezing; the comparison of arms uses the sign learned without the subject.
    n_folds, n_repeats : int
        Folds of subjects, and partitions over which a subject's measures are averaged.

    Returns
    -------
    TypeSeverity

    Notes
    -----
    Measures of a subject, from severities learned on other subjects only: ``improvement`` and
    ``worsening`` (share of the region that moved to a less and to a more severe type), ``net``
    (improvement - worsening) and ``severity_change`` (sum of share moved x difference of severity,
    in the unit of the outcome). The severities use baseline data of all arms together, so they
    never see treatment. Family of ``p_adjusted``: all arms, visits, regions and measures.
    Denominator: subjects with a record of that visit and region.
    Source: mixture regression (Cornell 2002), cross-fitting; Westfall and Young (1993).
    Checked against: R MASS 7.3 ``lm.ridge`` with refitted leave-one-out error
    (tests/reference/type_severity.R); hand-worked flows (tests/endpoints/test_type_severity.py).
    """
    require_conf_level(conf_level)
    columns = list(types) if types is not None else sorted(map(str, filter(_is_type, features)))
    if not columns:
        msg = "features: no column of shares (TV01, TV02, ...); name them in types"
        raise DataError(msg)
    require_columns(features, [subject, outcome, *columns], name="features")
    require_unique(features, [subject], name="features")
    if outcome in columns:
        msg = f"{outcome} is the outcome and a share; leave it out of types"
        raise UsageError(msg)
    data = features.iloc[np.argsort(features[subject].astype(str).to_numpy(), kind="stable")]
    shares = np.column_stack([numeric(data, c, name="features") for c in columns])
    values = numeric(data, outcome, name="features")
    known = ~np.isnan(shares).any(axis=1) & ~np.isnan(values)
    n = int(known.sum())
    if n < 2 * n_folds:
        msg = (
            f"features: {n} subjects with {outcome} and all shares; {n_folds} folds need at least "
            f"{2 * n_folds}"
        )
        raise DataError(msg)
    notes = []
    if n < len(data):
        notes.append(f"{len(data) - n} of {len(data)} subjects without {outcome} or shares")
    ids = data[subject].to_numpy()[known]
    shares, values = shares[known], values[known]
    rng = generator(seed, "type_severity", "folds")
    folds = np.stack([rng.permutation(np.arange(n) % n_folds) for _ in range(n_repeats)])
    learned = np.stack([fold_severities(shares, values, fold, n_folds) for fold in folds])
    whole = severities(shares, values)
    boots = _bootstrap(shares, values, n_boot, generator(seed, "type_severity", "bootstrap"))
    numbers = [_number(c, place) for place, c in enumerate(columns, start=1)]
    table = _types(numbers, columns, whole, boots, shares, conf_level)
    directions = _directions(numbers, whole, boots, least_agreement)
    fit = _fit(shares, values, folds, learned)
    compared, scores = pd.DataFrame(), pd.DataFrame()
    if adpath is not None:
        if reference is None:
            msg = "reference: name the arm every other arm is compared with"
            raise UsageError(msg)
        every = flows(adpath, arm=arm, subject=subject, visit=visit, regions=regions,
                      strata=strata, subjects=subjects)  # fmt: skip
        own = _own(every, ids, folds, learned, numbers)
        measures = _measures(every, own)
        scores = _scores(every, measures, subject, arm)
        source = adpath if subjects is None else subjects
        require_level(source, arm, reference, what="reference")
        arms = [str(a) for a in ordered_levels(source[arm]) if str(a) != reference]
        compared = _compare(every, measures, arms, reference, n_perm, seed, conf_level)
    settings = {
        "method": _METHOD, "outcome": outcome, "types": columns, "n_folds": n_folds,
        "n_repeats": n_repeats, "n_boot": n_boot, "n_perm": n_perm, "seed": seed,
        "conf_level": conf_level, "least_agreement": least_agreement, "reference": reference,
        "arm": arm, "n_subjects": n,
    }  # fmt: skip
    return TypeSeverity(
        table=table, directions=directions, flows=compared, fit=fit, scores=scores,
        settings=settings, notes=tuple(notes),
        text=_sentence(table, fit, compared, settings),
    )  # fmt: skip


def _is_type(name: Any) -> bool:
    return isinstance(name, str) and name.startswith("TV") and name[2:].isdigit()


def _number(column: str, place: int) -> int:
    return int(column[2:]) if _is_type(column) else place


def _bootstrap(shares: Array, values: Array, n_boot: int, rng: np.random.Generator) -> Array:
    n = len(values)
    picks = rng.integers(0, n, (n_boot, n))
    return np.stack([severities(shares[pick], values[pick]) for pick in picks])


def _types(
    numbers: Sequence[int], columns: Sequence[str], whole: Array, boots: Array, shares: Array,
    conf_level: float,
) -> pd.DataFrame:  # fmt: skip
    low, high = np.quantile(boots, [(1 - conf_level) / 2, (1 + conf_level) / 2], axis=0)
    return pd.DataFrame(
        {
            "type": numbers, "parameter": columns, "estimate": whole,
            "std_error": boots.std(axis=0, ddof=1), "conf_low": low, "conf_high": high,
            "rank": whole.argsort().argsort() + 1, "mean_share": shares.mean(axis=0),
            "n": len(shares), "method": _METHOD,
        }
    )  # fmt: skip


def _directions(
    numbers: Sequence[int], whole: Array, boots: Array, least_agreement: float
) -> pd.DataFrame:
    rows = []
    for a, b in product(range(len(numbers)), repeat=2):
        if a == b:
            continue
        gap = float(whole[b] - whole[a])
        agreement = float((np.sign(boots[:, b] - boots[:, a]) == np.sign(gap)).mean())
        sure = agreement >= least_agreement and gap != 0
        name = "worsening" if gap > 0 else "improvement"
        rows.append(
            {
                "from_type": numbers[a], "to_type": numbers[b], "difference": gap,
                "agreement": agreement, "direction": name if sure else "unclear",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _fit(shares: Array, values: Array, folds: NDArray[np.int64], learned: Array) -> pd.DataFrame:
    predicted = np.mean(
        [
            np.einsum("nk,nk->n", shares, part[fold])
            for fold, part in zip(folds, learned, strict=True)
        ],
        axis=0,
    )
    spread = ((values - values.mean()) ** 2).sum()
    r2 = 1 - ((values - predicted) ** 2).sum() / spread if spread > 0 else np.nan
    varies = spread > 0 and np.ptp(predicted) > 0
    r = np.corrcoef(values, predicted)[0, 1] if varies else np.nan
    return pd.DataFrame({"metric": ["r2", "r"], "estimate": [r2, r], "n": len(values)})


def _own(
    every: Flows, ids: NDArray[Any], folds: NDArray[np.int64], learned: Array,
    numbers: Sequence[int],
) -> Array:  # fmt: skip
    """Severities for each subject (subjects, repeats, types), learned without that subject."""
    unknown = sorted(set(every.types) - set(numbers))
    if unknown:
        msg = f"adpath: type(s) {unknown} have no column of shares; known are {list(numbers)}"
        raise DataError(msg)
    place = pd.Index(ids).get_indexer(pd.Index(every.subjects))
    out = np.empty((len(every.subjects), len(folds), len(every.types)))
    kept = [list(numbers).index(kind) for kind in every.types]
    for row, number in enumerate(place):
        for repeat, fold in enumerate(folds):
            part = learned[repeat, fold[number]] if number >= 0 else learned[repeat].mean(axis=0)
            out[row, repeat] = part[kept]
    return out


def _measures(every: Flows, own: Array) -> Array:
    """Measures (subjects, visits, regions, 4)."""
    parts = []
    for repeat in range(own.shape[1]):
        gap = own[:, repeat, None, :] - own[:, repeat, :, None]  # to - from
        better = np.einsum("nvrij,nij->nvr", every.cube, (gap < 0).astype(float))
        worse = np.einsum("nvrij,nij->nvr", every.cube, (gap > 0).astype(float))
        change = np.einsum("nvrij,nij->nvr", every.cube, gap)
        parts.append(np.stack([better, worse, better - worse, change], axis=-1))
    return np.asarray(np.mean(parts, axis=0))


def _scores(every: Flows, measures: Array, subject: str, arm: str) -> pd.DataFrame:
    n, v, r = np.indices(measures.shape[:3])
    frame = pd.DataFrame(
        {
            subject: every.subjects[n.ravel()], arm: every.arm[n.ravel()],
            "AVISIT": np.array(every.visits, object)[v.ravel()],
            "REGION": np.array(every.regions, object)[r.ravel()],
        }
    )  # fmt: skip
    frame[[name.upper() for name in MEASURES]] = measures.reshape(-1, len(MEASURES))
    return frame.dropna().reset_index(drop=True)


def _compare(
    every: Flows, measures: Array, arms: Sequence[str], reference: str, n_perm: int | None,
    seed: int, conf_level: float,
) -> pd.DataFrame:  # fmt: skip
    flat = measures.reshape(len(measures), -1)
    test = max_t_test(
        flat, every.arm, arms=arms, reference=reference, n_perm=n_perm, seed=seed,
        strata=every.strata, conf_level=conf_level,
    )  # fmt: skip
    rows = pd.DataFrame(
        product(every.visits, every.regions, MEASURES), columns=["visit", "region", "measure"]
    )
    parts = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for number, name in enumerate(arms):
            seen = test.pairs[number].observed
            low, high = welch_limits(seen, conf_level)
            wide = test.critical * seen.std_error
            in_arm, in_ref = every.arm == name, every.arm == reference
            parts.append(
                rows.assign(
                    arm=name, reference=reference, estimate=seen.estimate,
                    std_error=seen.std_error, df=seen.df, statistic=seen.statistic,
                    conf_low=low, conf_high=high, simultaneous_low=seen.estimate - wide,
                    simultaneous_high=seen.estimate + wide,
                    p_value=test.pairs[number].p_value, p_adjusted=test.p_adjusted[number],
                    mean_arm=np.nansum(flat[in_arm], axis=0) / seen.n_arm,
                    mean_ref=np.nansum(flat[in_ref], axis=0) / seen.n_ref,
                    n_arm=seen.n_arm, n_ref=seen.n_ref,
                )
            )  # fmt: skip
    frame = pd.concat(parts, ignore_index=True)
    return frame[["arm", "reference", *[c for c in frame if c not in ("arm", "reference")]]]


def _sentence(
    table: pd.DataFrame, fit: pd.DataFrame, compared: pd.DataFrame, settings: dict[str, Any]
) -> str:
    ranked = table.sort_values("rank")["type"]
    r2 = fit.set_index("metric").loc["r2", "estimate"]
    text = (
        f"Tissue types from least to most severe by {settings['outcome']} at baseline: "
        f"{', '.join(map(str, ranked))} (out-of-fold R2 {r2:.2f} in {settings['n_subjects']} "
        "subjects)."
    )
    for row in compared[compared["measure"].eq("net")].to_dict("records") if len(compared) else []:
        place = "" if row["region"] == "" else f", region {row['region']}"
        p = row["p_adjusted"]
        shown = "not estimable" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
        text += (
            f" {row['arm']} v {row['reference']} at {row['visit']}{place}: net improvement "
            f"{100 * row['estimate']:+.1f} percentage points of the region "
            f"({100 * settings['conf_level']:g} % CI {100 * row['conf_low']:.1f} to "
            f"{100 * row['conf_high']:.1f}, adjusted p {shown})."
        )
    return text
