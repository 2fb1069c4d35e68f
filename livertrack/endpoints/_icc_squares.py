"""Mean squares of ratings: of a complete table, and those that REML components stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from livertrack.endpoints._crossed_components import Components, CrossedModel

Floats = NDArray[np.float64]
#: mean square of subjects and of error, error df, F of no agreement and its p-value
Line = tuple[float, float, int, float, float]
NAN = float("nan")


@dataclass(frozen=True)
class Squares:
    """What coefficients and limits are made of.

    Attributes
    ----------
    n : int
        Subjects.
    per_subject, per_rater : float
        Ratings of a subject and of a rater: k and n of a complete table, else harmonic means.
    one_way, mixed : Line
        Models without raters, and with fixed ones.
    random : tuple
        Mean squares of subjects, error and raters, and error df, with random raters.
    anova : list of (source, df, mean square)
    components : list of (model, source, variance)
    """

    n: int
    per_subject: float
    per_rater: float
    one_way: Line
    mixed: Line
    random: tuple[float, float, float, int]
    anova: list[tuple[str, int, float]]
    components: list[tuple[str, str, float]]


def by_anova(y: Floats) -> Squares:
    """Mean squares of a complete table ``y`` (subjects x raters)."""
    n, k = y.shape
    (msb, msw, msj, mse), anova = _analysis(y)
    one, two = _line(msb, msw, n, n * (k - 1)), _line(msb, mse, n, (n - 1) * (k - 1))
    two_way = [((msb - mse) / k if n > 1 else NAN), (msj - mse) / n if n > 1 else NAN, mse]
    components = [
        ("one-way", "subjects", (msb - msw) / k), ("one-way", "residual", msw),
        *(("two-way random", s, v) for s, v in zip(_SOURCES, two_way, strict=True)),
        ("two-way mixed", "subjects", two_way[0]), ("two-way mixed", "residual", mse),
    ]  # fmt: skip
    return Squares(n, k, n, one, two, (msb, mse, msj, (n - 1) * (k - 1)), anova, components)


def by_reml(y: Floats) -> Squares:
    """Mean squares that the REML components of ``y`` (NaN = missing) would give.

    F and p of no agreement are those of the analysis of variance with the gaps, which is exact
    under the hypothesis.
    """
    n = len(y)
    seen = ~np.isnan(y)
    h, m = (float(count.size / (1 / count).sum()) for count in (seen.sum(1), seen.sum(0)))
    (msb, msw, msb_two, mse), anova = _incomplete(y, seen)
    df_one, df_two = anova[1][1], anova[3][1]
    if n < 2 or df_one < 1 or df_two < 1 or msw == 0:
        blank = (NAN, NAN, df_one, NAN, NAN)
        return Squares(n, h, m, blank, blank, (NAN, NAN, NAN, df_two), anova, [])
    subject, rater = np.nonzero(seen)
    model = CrossedModel(y[seen], subject, rater)
    fits = {name: model.fit(name) for name in ("none", "random", "fixed")}
    lines = []
    for name, F, df2 in (("none", msb / msw, df_one), ("fixed", _over(msb_two, mse), df_two)):
        c = fits[name]
        p = float(stats.f.sf(F, n - 1, df2))
        lines.append((h * c.subject + c.residual, c.residual, df2, F, p))
    c = fits["random"]
    random = (h * c.subject + c.residual, c.residual, m * c.rater + c.residual, df_two)
    components = [
        ("one-way", "subjects", fits["none"].subject),
        ("one-way", "residual", fits["none"].residual),
        *(("two-way random", s, v) for s, v in zip(_SOURCES, _three(c), strict=True)),
        ("two-way mixed", "subjects", fits["fixed"].subject),
        ("two-way mixed", "residual", fits["fixed"].residual),
    ]
    return Squares(n, h, m, lines[0], lines[1], random, anova, components)


_SOURCES = ("subjects", "raters", "residual")


def _three(c: Components) -> list[float]:
    return [c.subject, c.rater, c.residual]


def _line(msb: float, ms: float, n: int, df2: int) -> Line:
    F = _over(msb, ms)
    return msb, ms, df2, F, float(stats.f.sf(F, n - 1, df2)) if df2 else NAN


def _over(above: float, below: float) -> float:
    return above / below if below > 0 else NAN


def _analysis(y: Floats) -> tuple[tuple[float, ...], list[tuple[str, int, float]]]:
    """Mean squares between subjects, within, between raters, residual of a complete table."""
    n, k = y.shape
    df = [n - 1, n * (k - 1), k - 1, (n - 1) * (k - 1)]
    if n < 2:
        return (NAN,) * 4, _table(df, [NAN] * 4)
    row, column, grand = y.mean(axis=1), y.mean(axis=0), y.mean()
    sums = np.array(
        [
            k * ((row - grand) ** 2).sum(),
            ((y - row[:, None]) ** 2).sum(),
            n * ((column - grand) ** 2).sum(),
            ((y - row[:, None] - column[None] + grand) ** 2).sum(),
        ]
    )
    found = _cleared(sums / df, float(np.abs(y).max()))
    return tuple(map(float, found)), _table(df, found)


def _incomplete(
    y: Floats, seen: NDArray[np.bool_]
) -> tuple[tuple[float, ...], list[tuple[str, int, float]]]:
    """Mean squares with gaps: subjects, within, subjects given raters, residual of both."""
    n, k = y.shape
    size, count = seen.sum(axis=1), seen.sum(axis=0)
    filled, total = np.where(seen, y, 0.0), int(seen.sum())
    row, column = filled.sum(axis=1) / size, filled.sum(axis=0) / count
    values = y[seen]
    subject, rater = np.nonzero(seen)
    within = float(((values - row[subject]) ** 2).sum())
    between = float(((values - values.mean()) ** 2).sum()) - within
    of_raters = float(((values - column[rater]) ** 2).sum())
    dummies = np.eye(k)[rater]
    centred = dummies - (seen / size[:, None])[subject]
    fitted, _, rank, _ = np.linalg.lstsq(centred, values - row[subject], rcond=None)
    residual = float(((values - row[subject] - centred @ fitted) ** 2).sum())
    df = [n - 1, total - n, int(rank), total - n - int(rank)]
    raters = within - residual
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.array([between, within, raters, residual]) / df
        given = (of_raters - residual) / (n - 1)
    found = _cleared(np.append(squares, given), float(np.abs(values).max()))
    table = _table(df, found[:4])
    return (float(found[0]), float(found[1]), float(found[4]), float(found[3])), table


def _cleared(squares: Floats, size: float) -> Floats:
    """Mean squares with those that are nothing but rounding set to 0."""
    top = max(float(np.nanmax(squares)) * 1e-12, 1e-26 * size**2)
    return np.asarray(np.where(squares < top, 0.0, squares))


def _table(df: list[int], squares: object) -> list[tuple[str, int, float]]:
    names = ("subjects", "within", "raters", "residual")
    values = np.asarray(squares, dtype=float)
    return [(n, d, float(v)) for n, d, v in zip(names, df, values, strict=True)]
