"""PERMANOVA: do compositions differ between arms, given covariates and strata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import distance

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints._checks import ordered_levels, require_columns, require_unique
from livertrack.endpoints._logratio import clr_coordinates, compositions
from livertrack.endpoints._sentences import p_text
from livertrack.endpoints._strata import stratum_numbers
from livertrack.endpoints._terms import formula_columns, model_terms, right_side
from livertrack.errors import DataError, UsageError

Floats = NDArray[np.float64]
_BLOCK = 500


@dataclass(frozen=True, kw_only=True)
class Permanova(Result):
    """Sequential tests (``table``) and the spread of each arm (``dispersion``)."""

    dispersion: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("term", "arm")
    context: ClassVar[str] = "permanova"


def permanova(
    data: pd.DataFrame,
    *,
    parts: Sequence[str] | None = None,
    arm: str = "TRT01P",
    formula: str | None = None,
    strata: str | list[str] | None = None,
    metric: Literal["aitchison", "euclidean", "braycurtis"] = "aitchison",
    delta: float | None = None,
    size: str | None = None,
    n_perm: int = 9999,
    seed: int,
) -> Permanova:
    """Permutational analysis of variance of compositions.

    Parameters
    ----------
    data : DataFrame, one row per subject
        Shares, one column per part.
    parts, delta, size
        As in `clr` (zeros matter to "aitchison" only).
    arm : str
        Column of the groups.
    formula : str, optional
        Right-hand side, tested term by term in the order written; put covariates before the
        arm. By default the arm alone.
    strata : str or list of str, optional
        Columns; subjects are permuted only within their combinations.
    metric : {"aitchison", "euclidean", "braycurtis"}
        Distance between the closed compositions.
    n_perm : int
        Permutations.
    seed : int
        Of the permutations.

    Returns
    -------
    Permanova
        ``.table``: ``term`` (terms, Residual, Total), ``df, sum_of_squares, r_squared, statistic``
        (pseudo F), ``p_value, n, n_perm, method``. ``.dispersion``: ``arm, n, mean_distance`` to
        the centroid of the arm, and ``statistic, p_value`` of equal spread (same in each row).

    Notes
    -----
    Denominator: subjects with all parts, arm, covariates and strata; dropped ones are counted.
    p = (1 + permutations with F at least as large) / (1 + n_perm); rows of the distance matrix
    are permuted, the design stays. PERMANOVA reacts to spread as well as to place: read it
    beside ``dispersion`` (its distances are permuted over arms within strata).
    One arm, no residual degree of freedom, or identical compositions give NaN and a note.
    Source: McArdle and Anderson (2001); Anderson (2006) for the dispersion.
    Checked against: R vegan 2.6-4 ``adonis2(by = "terms")``, ``betadisper(type = "centroid")``,
    with the same permutations (tests/reference/compositions.R).
    """
    if metric not in ("aitchison", "euclidean", "braycurtis"):
        msg = f"metric is aitchison, euclidean or braycurtis, got {metric!r}"
        raise UsageError(msg)
    if n_perm < 1:
        msg = f"n_perm is a positive number of permutations, got {n_perm}"
        raise UsageError(msg)
    by = [strata] if isinstance(strata, str) else list(strata or [])
    right = right_side(formula or f"`{arm}`")
    variables = sorted({*formula_columns(right, data), arm})
    require_columns(data, [*variables, *by])
    if "USUBJID" in data.columns:
        require_unique(data, ["USUBJID"])
    found = compositions(data, parts=parts, delta=delta, size=size, extra=[*variables, *by])
    shares = found.shares
    if metric != "aitchison":
        raw = found.data[list(found.parts)].to_numpy(float)
        shares = raw / raw.sum(axis=1, keepdims=True)
    rows, shares = _sorted(found.data, shares, [*variables, *by])
    points = clr_coordinates(shares) if metric == "aitchison" else shares
    G = gower(
        distance.squareform(
            distance.pdist(points, "braycurtis" if metric == "braycurtis" else "euclidean")
        )
    )
    terms, blocks = _blocks(right, rows)
    place = stratum_numbers(rows, by)
    notes = list(found.notes)
    if metric != "aitchison":
        notes = [note for note in notes if not note.startswith("replaced")]
    rng = generator(seed, "permanova")
    permutations = _permutations(place, n_perm, rng)
    table = _table(G, terms, blocks, permutations, n_perm)
    if table["statistic"].iloc[: len(terms)].isna().any():
        notes.append("no test: a term without levels, no residual, or identical compositions")
    spread = _dispersion(G, rows[arm], place, n_perm, generator(seed, "dispersion"))
    table = table.assign(n=len(rows), n_perm=n_perm, method=f"PERMANOVA, {metric} distance")
    return Permanova(
        table=table,
        dispersion=spread,
        text=_sentence(table, spread, len(terms)),
        settings={
            "method": f"PERMANOVA, {metric} distance", "metric": metric, "formula": right,
            "strata": by, "n_perm": n_perm, "seed": seed, "n": len(rows),
            "parts": list(found.parts),
        },
        notes=tuple(notes),
    )  # fmt: skip


def gower(distances: Floats) -> Floats:
    """Doubly centred matrix of inner products of a distance matrix."""
    A = -0.5 * distances**2
    return np.asarray(A - A.mean(axis=0) - A.mean(axis=1)[:, None] + A.mean())


def pseudo_f(
    G: Floats, blocks: Sequence[Floats], permutations: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Compute sums of squares and pseudo F of blocks of orthonormal columns, per permutation.

    ``G`` is n x n, ``blocks`` n x df each, ``permutations`` B x n (row b permutes the rows of
    ``G``). Returns B x terms twice; the last column of the first is the residual.
    """
    n, total = len(G), float(np.trace(G))
    df = np.array([q.shape[1] for q in blocks])
    squares = np.zeros((len(permutations), len(blocks)))
    for start in range(0, len(permutations), _BLOCK):
        part = permutations[start : start + _BLOCK]
        inverse = np.argsort(part, axis=1)
        for j, q in enumerate(blocks):
            for column in q.T:
                moved = column[inverse]
                squares[start : start + _BLOCK, j] += ((moved @ G) * moved).sum(axis=1)
    residual = total - squares.sum(axis=1)
    left = n - 1 - int(df.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        F = (squares / df) / (residual / left)[:, None]
    if left < 1 or total <= 1e-14 * n:
        F = np.full_like(squares, np.nan)
    return np.column_stack([squares, residual]), F


def _table(
    G: Floats, terms: list[str], blocks: list[Floats], permutations: NDArray[np.int64], n_perm: int
) -> pd.DataFrame:
    identity = np.arange(len(G))[None]
    squares, F = pseudo_f(G, blocks, identity)
    total = float(np.trace(G))
    p = np.full(len(blocks), np.nan)
    if np.isfinite(F).all():
        _, permuted = pseudo_f(G, blocks, permutations)
        reached = (permuted >= F - 1e-9 * np.maximum(F, 1)).sum(axis=0)
        p = (1 + reached) / (1 + n_perm)
    df = [q.shape[1] for q in blocks]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.append(squares[0], total) / np.float64(total)
    nan = float("nan")
    return pd.DataFrame(
        {
            "term": [*terms, "Residual", "Total"],
            "df": [*df, len(G) - 1 - sum(df), len(G) - 1],
            "sum_of_squares": [*squares[0], total], "r_squared": share,
            "statistic": [*F[0], nan, nan], "p_value": [*p, nan, nan],
        }
    )  # fmt: skip


def _blocks(right: str, rows: pd.DataFrame) -> tuple[list[str], list[Floats]]:
    """Orthonormal columns that each term adds to the intercept and the terms before it."""
    terms = model_terms(rows, right)
    known = np.ones((len(rows), 1)) / np.sqrt(len(rows))
    names, blocks = [], []
    for term, places in terms.places.items():
        new = terms.X[:, places]
        scale = max(float(np.abs(new).max(initial=0.0)), 1.0)
        new = new - known @ (known.T @ new)
        u, s, _ = np.linalg.svd(new, full_matrices=False)
        block = u[:, s > 1e-9 * scale]
        names.append(term.strip("`"))
        blocks.append(block)
        known = np.column_stack([known, block])
    if not names:
        msg = f"the formula {right!r} has no term to test"
        raise DataError(msg)
    return names, blocks


def _permutations(
    place: NDArray[np.int64], n_perm: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """``n_perm`` permutations (rows) that move subjects within their stratum only."""
    keys = rng.random((n_perm, len(place)))
    target = np.argsort(place, kind="stable")
    order = np.argsort(keys + place[None], axis=1)
    result = np.empty_like(order)
    result[:, target] = order
    return result


def _dispersion(
    G: Floats, arm: pd.Series, place: NDArray[np.int64], n_perm: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Distances to the centroid of the arm and the F test of their equality by permutation."""
    levels = ordered_levels(arm)
    code = pd.Categorical(arm, categories=levels).codes
    squared = np.empty(len(G))
    for i in range(len(levels)):
        mine = code == i
        block = G[np.ix_(mine, mine)]
        squared[mine] = np.diag(block) - 2 * block.mean(axis=1) + block.mean()
    z = np.sqrt(np.maximum(squared, 0))
    F = _f_statistic(z[None], code, len(levels))[0]
    p = float("nan")
    if np.isfinite(F):
        permuted = _f_statistic(z[_permutations(place, n_perm, rng)], code, len(levels))
        p = float((1 + (permuted >= F - 1e-9 * max(F, 1)).sum()) / (1 + n_perm))
    return pd.DataFrame(
        [
            {
                "arm": level, "n": int((code == i).sum()),
                "mean_distance": float(z[code == i].mean()),
                "statistic": float(F), "p_value": p,
            }
            for i, level in enumerate(levels)
        ]
    )  # fmt: skip


def _f_statistic(z: Floats, code: NDArray[np.int8], k: int) -> Floats:
    """One-way F of each row of ``z`` (permutations x subjects)."""
    n = z.shape[1]
    if k < 2 or n <= k:
        return np.full(len(z), np.nan)
    groups = np.eye(k)[code]
    size = groups.sum(axis=0)
    means = z @ groups / size
    between = (size * (means - z.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    within = (z**2).sum(axis=1) - (size * means**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(within > 1e-14, (between / (k - 1)) / (within / (n - k)), np.nan)


def _sorted(data: pd.DataFrame, shares: Floats, columns: list[str]) -> tuple[pd.DataFrame, Floats]:
    """Rows in an order made of their content, so that input order does not change the result."""
    keys = data[columns].astype(str)
    order = np.lexsort([*shares.T[::-1].round(12), *(keys[c].to_numpy() for c in columns[::-1])])
    return data.iloc[order], shares[order]


def _sentence(table: pd.DataFrame, spread: pd.DataFrame, k: int) -> str:
    parts = [
        f"{row['term']}: "
        + (
            f"pseudo F {row['statistic']:.3f} on {row['df']} df, R2 {row['r_squared']:.3f}, "
            f"{p_text(row['p_value'])}"
            if np.isfinite(row["p_value"])
            else "no test"
        )
        for row in table.head(k).to_dict("records")
    ]
    return (
        f"{table['method'].iloc[0]}, {table['n'].iloc[0]} subjects: {'; '.join(parts)}. "
        f"Equal spread of the arms: {p_text(spread['p_value'].iloc[0])}."
    )
