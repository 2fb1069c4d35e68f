"""Do tissue types go with what a biopsy sees? Rank correlations at one visit, as one family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints._checks import (
    numeric,
    require_columns,
    require_conf_level,
    require_unique,
)
from livertrack.errors import UsageError

Floats = NDArray[np.float64]
_COLUMNS = [
    "parameter", "outcome", "n", "estimate", "conf_low", "conf_high", "p_value", "p_adjusted",
    "method",
]  # fmt: skip
_METHOD = "Spearman correlation, Bonett-Wright limits, permutation, single-step max-T"
#: fewest subjects with an interval
LEAST = 5


@dataclass(frozen=True, kw_only=True)
class TypeCorrelation(Result):
    """Correlations of types and outcomes; see `type_correlation` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = ("parameter", "outcome")
    context: ClassVar[str] = "type_correlation"


def type_correlation(
    records: pd.DataFrame,
    *,
    parameters: Sequence[str],
    outcomes: Sequence[str],
    visit: str = "Baseline",
    subject: str = "USUBJID",
    n_perm: int = 2000,
    conf_level: float = 0.95,
    seed: int,
) -> TypeCorrelation:
    """Correlate the shares of tissue types with biopsy components, in ranks.

    Parameters
    ----------
    records : DataFrame
        BDS records ``subject, PARAMCD, AVISIT, AVAL`` (and REGION; only the whole liver counts):
        those of the types and those of the outcomes, any order.
    parameters, outcomes : sequence of str
        PARAMCD of the types and of the outcomes (biopsy components, any ordered measure).
    visit : str
        AVISIT whose records are compared; arms are pooled, so choose one before treatment.
    n_perm : int
        Relabellings of subjects; 0 for no test.
    conf_level : float
        Of each interval alone.
    seed : int
        Of the relabellings.

    Returns
    -------
    TypeCorrelation
        ``.table``: one row per type and outcome - ``parameter, outcome, n, estimate`` (Spearman's
        rho, mid-ranks), ``conf_low, conf_high`` (of it alone), ``p_value`` (permutation, alone),
        ``p_adjusted`` (over all pairs, single-step max-T), ``method``.

    Notes
    -----
    Denominator: ``n`` is the number of subjects with every type and every outcome at the visit;
    the others are counted in the notes. With fewer than 5 subjects, or without variation, rho,
    limits and p-values are missing. Shares add up to one, so the rows of one outcome are not
    independent; the permutation of whole subjects keeps that dependence.

    Source: Spearman (1904); limits by Fisher's z with variance (1 + rho^2 / 2) / (n - 3), Bonett
    and Wright (2000), doi:10.1007/BF02294183; Westfall and Young (1993).
    Checked against: R 4.2.2 ``cor(method = "spearman")``
    (tests/reference/type_correlation.R); a planted correlation and the family-wise error rate
    (tests/endpoints/test_type_atlas.py).
    """
    require_columns(records, [subject, "PARAMCD", "AVISIT", "AVAL"], name="records")
    require_conf_level(conf_level)
    if n_perm < 0:
        msg = f"n_perm is 0 or more, got {n_perm}"
        raise UsageError(msg)
    twice = sorted(set(parameters) & set(outcomes))
    if twice:
        msg = f"type and outcome at once: {', '.join(twice)}"
        raise UsageError(msg)
    wanted = [*parameters, *outcomes]
    rows = records[records["AVISIT"].astype(object).eq(visit) & records["PARAMCD"].isin(wanted)]
    if "REGION" in rows:
        rows = rows[rows["REGION"].fillna("").eq("")]
    rows = rows.assign(AVAL=numeric(rows, "AVAL", name="records"))
    require_unique(rows, [subject, "PARAMCD"], name=f"records at {visit}")
    wide = rows.pivot_table(index=subject, columns="PARAMCD", values="AVAL", observed=True)
    wide = wide.reindex(columns=wanted).sort_index()
    whole = wide.dropna()
    x = _ranks(whole[list(parameters)].to_numpy(float))
    y = _ranks(whole[list(outcomes)].to_numpy(float))
    n = len(whole)
    rho = x.T @ y if n >= LEAST else np.full((len(parameters), len(outcomes)), np.nan)
    low, high = _limits(rho, n, conf_level)
    alone, family = _tests(x, y, rho, n_perm, seed)
    table = pd.DataFrame(
        [
            (code, outcome, n, rho[i, j], low[i, j], high[i, j], alone[i, j], family[i, j],
             _METHOD)
            for j, outcome in enumerate(outcomes) for i, code in enumerate(parameters)
        ],
        columns=_COLUMNS,
    )  # fmt: skip
    notes = []
    if len(wide) > n:
        notes.append(
            f"{len(wide) - n} of {len(wide)} subjects lack a type or an outcome at {visit} and "
            "are left out"
        )
    flat = [c for c in wanted if n >= LEAST and whole[c].nunique() < 2]
    if n < LEAST:
        notes.append(f"{n} subject(s) have every value: no correlation below {LEAST}")
    elif flat:
        notes.append(f"without variation at {visit}: {', '.join(flat)}")
    return TypeCorrelation(
        table=table, text=_sentence(table, n, visit, 1 - conf_level),
        settings={
            "method": _METHOD, "visit": visit, "n_subjects": n, "n_perm": n_perm, "seed": seed,
            "conf_level": conf_level, "parameters": list(parameters), "outcomes": list(outcomes),
        },
        notes=tuple(notes),
    )  # fmt: skip


def _ranks(values: Floats) -> Floats:
    """Mid-ranks by column, centred and of unit length; NaN where all are tied."""
    if not len(values):
        return values
    ranks = stats.rankdata(values, axis=0)
    ranks = ranks - ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(length > 0, ranks / length, np.nan))


def _limits(rho: Floats, n: int, conf_level: float) -> tuple[Floats, Floats]:
    if n < LEAST:
        return np.full_like(rho, np.nan), np.full_like(rho, np.nan)
    wide = stats.norm.ppf((1 + conf_level) / 2) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    z = np.arctanh(np.clip(rho, -1 + 1e-15, 1 - 1e-15))
    return np.tanh(z - wide), np.tanh(z + wide)


def _tests(x: Floats, y: Floats, rho: Floats, n_perm: int, seed: int) -> tuple[Floats, Floats]:
    """Permutation p-values: of each pair alone, and over all pairs."""
    alone, family = np.full_like(rho, np.nan), np.full_like(rho, np.nan)
    known = np.isfinite(rho)
    if not n_perm or not known.any():
        return alone, family
    rng = generator(seed, "type_correlation")
    size = np.abs(np.nan_to_num(rho))
    above, above_most = np.ones_like(rho), np.ones_like(rho)
    for _ in range(n_perm):
        again = np.abs(np.nan_to_num(x.T @ y[rng.permutation(len(y))]))
        above += again >= size - 1e-12
        above_most += again.max() >= size - 1e-12
    alone[known] = (above / (n_perm + 1))[known]
    family[known] = (above_most / (n_perm + 1))[known]
    return alone, family


def _sentence(table: pd.DataFrame, n: int, visit: str, alpha: float) -> str:
    known = table[table["estimate"].notna()]
    if known.empty:
        return f"No correlation could be estimated at {visit} ({n} subjects with every value)."
    found = int((known["p_adjusted"] <= alpha).sum())
    top = known.loc[known["estimate"].abs().idxmax()]
    return (
        f"{n} subjects at {visit}: {found} of {len(known)} correlations differ from none after "
        f"adjustment for all of them; the largest is {top['parameter']} with {top['outcome']}, "
        f"rho {top['estimate']:.2f}."
    )
