"""Boundaries of interim looks by alpha spending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special, stats

from livertrack._results import Result
from livertrack.errors import UsageError

Floats = NDArray[np.float64]
_NODES = 160
_TAIL = 9.0  # standard deviations that stand for infinity


@dataclass(frozen=True, kw_only=True)
class GroupSequential(Result):
    """Spending, boundaries and crossing probabilities, one row per look."""

    keys: ClassVar[tuple[str, ...]] = ("look",)
    context: ClassVar[str] = "group_sequential"


def group_sequential(
    information: Sequence[float],
    *,
    alpha: float = 0.025,
    sides: Literal[1, 2] = 1,
    spending: Literal["obrien-fleming", "pocock", "hwang-shih-decani"] = "obrien-fleming",
    gamma: float = -4.0,
    drift: float | None = None,
) -> GroupSequential:
    """Efficacy boundaries that keep the type I error over repeated looks.

    Parameters
    ----------
    information : sequence of float
        Fraction of the planned information (subjects, events) at each look, increasing, up to 1.
    alpha : float
        Type I error of the whole trial; for ``sides=2`` both sides together.
    sides : {1, 2}
        One-sided (large z rejects), or symmetric two-sided.
    spending : {"obrien-fleming", "pocock", "hwang-shih-decani"}
        Lan-DeMets functions like O'Brien-Fleming or Pocock, or Hwang-Shih-DeCani.
    gamma : float
        Of Hwang-Shih-DeCani: -4 is close to O'Brien-Fleming, 1 to Pocock, 0 is linear.
    drift : float, optional
        Expected z at full information; gives the chance to cross.

    Returns
    -------
    GroupSequential
        ``.table``: ``look, information, alpha_spent`` (so far), ``alpha_increment, boundary``
        (z), ``p_nominal`` (with ``sides`` sides), ``power`` (chance to have crossed by this look
        under ``drift``; NaN without), ``method``.

    Notes
    -----
    z-values of the looks are jointly normal with correlation sqrt(t_j / t_k); nothing else about
    the data enters. There is no futility boundary. When the last fraction is below 1, alpha is
    left unspent and a note says so. Two-sided spending puts alpha / 2 on each side.
    Source: Lan and DeMets (1983); Hwang, Shih and DeCani (1990); Armitage, McPherson and
    Rowe (1969) for the recursion.
    Checked against: boundaries published by Reboussin et al. (2000) and in the gsDesign manual;
    R mvtnorm ``pmvnorm`` (tests/reference/group_sequential.R) and gsDesign 3 at unequal looks
    (tests/reference/group_sequential_gsdesign.R).
    """
    t = np.asarray(list(information), dtype=float)
    if not len(t) or not (np.diff(np.concatenate([[0.0], t])) > 0).all() or t[-1] > 1 + 1e-12:
        msg = (
            f"information is an increasing sequence of fractions up to 1, got {list(information)}"
        )
        raise UsageError(msg)
    if not 0 < alpha < 0.5 or sides not in (1, 2):
        msg = f"alpha is between 0 and 0.5 and sides 1 or 2, got {alpha!r} and {sides!r}"
        raise UsageError(msg)
    spent = sides * _spent(t, alpha / sides, spending, gamma)
    bounds = _boundaries(t, np.diff(np.concatenate([[0.0], spent])), sides)
    power = np.full(len(t), np.nan)
    if drift is not None:
        power = np.cumsum(_crossing(t, bounds, sides, drift))
    table = pd.DataFrame(
        {
            "look": np.arange(1, len(t) + 1), "information": t, "alpha_spent": spent,
            "alpha_increment": np.diff(np.concatenate([[0.0], spent])), "boundary": bounds,
            "p_nominal": sides * stats.norm.sf(bounds), "power": power,
            "method": f"{spending} spending, {sides}-sided",
        }
    )  # fmt: skip
    notes: tuple[str, ...] = ()
    if t[-1] < 1 - 1e-12:
        notes = (f"{alpha - spent[-1]:.3g} of alpha {alpha:g} is unspent at {t[-1]:g}",)
    looks = ", ".join(
        f"{r['information']:.0%}: |z| >= {r['boundary']:.3f}" if sides == 2
        else f"{r['information']:.0%}: z >= {r['boundary']:.3f}"
        for r in table.to_dict("records")
    )  # fmt: skip
    return GroupSequential(
        table=table,
        text=f"Boundaries for {alpha:g} ({sides}-sided, {spending} spending) at {looks}.",
        settings={
            "method": f"{spending} spending", "alpha": alpha, "sides": sides, "gamma": gamma,
            "drift": drift, "information": [float(v) for v in t],
        },
        notes=notes,
    )  # fmt: skip


def _spent(t: Floats, alpha: float, spending: str, gamma: float) -> Floats:
    """Alpha of one side spent by each information fraction."""
    if spending == "obrien-fleming":
        return np.asarray(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / np.sqrt(t)))
    if spending == "pocock":
        return np.asarray(alpha * np.log1p((np.e - 1) * t))
    if spending == "hwang-shih-decani":
        if gamma == 0:
            return alpha * t
        return np.asarray(alpha * np.expm1(-gamma * t) / np.expm1(-gamma))
    msg = f"spending is obrien-fleming, pocock or hwang-shih-decani, got {spending!r}"
    raise UsageError(msg)


@cache
def _quadrature() -> tuple[Floats, Floats]:
    x, w = np.polynomial.legendre.leggauss(_NODES)
    return x, w


class _Walk:
    """Density of the score that has not crossed yet, carried from look to look on nodes."""

    def __init__(self, drift: float, sides: int) -> None:
        self.drift, self.sides, self.t = drift, sides, 0.0
        self.nodes, self.mass = np.zeros(1), np.ones(1)

    def exit(self, t: float, bound: float) -> float:
        """Probability to cross ``bound`` (z) at information ``t`` for the first time."""
        step = np.sqrt(t - self.t)
        centre = self.nodes + self.drift * (t - self.t)
        edge = bound * np.sqrt(t)
        p = self.mass @ special.ndtr((centre - edge) / step)
        if self.sides == 2:
            p += self.mass @ special.ndtr((-edge - centre) / step)
        return float(p)

    def advance(self, t: float, bound: float) -> None:
        """Keep what stays inside ``bound`` at information ``t``."""
        step, edge = np.sqrt(t - self.t), bound * np.sqrt(t)
        middle = self.drift * t
        low = -edge if self.sides == 2 else min(middle, 0.0) - _TAIL * np.sqrt(t)
        low = max(low, middle - _TAIL * np.sqrt(t))
        high = max(min(edge, middle + _TAIL * np.sqrt(t)), low)
        x, w = _quadrature()
        nodes = (low + high) / 2 + (high - low) / 2 * x
        centre = self.nodes + self.drift * (t - self.t)
        distance = (nodes[:, None] - centre[None]) / step
        density = np.exp(-(distance**2) / 2) @ self.mass / (step * np.sqrt(2 * np.pi))
        self.nodes, self.mass, self.t = nodes, density * w * (high - low) / 2, t


def _boundaries(t: Floats, increments: Floats, sides: int) -> Floats:
    walk, bounds = _Walk(0.0, sides), []
    for now, increment in zip(t, increments, strict=True):
        top = _TAIL
        if walk.exit(now, top) >= increment:
            bound = float("inf") if increment < 1e-18 else top
        else:
            bound = float(
                optimize.brentq(lambda c: walk.exit(now, c) - increment, -5, top, xtol=1e-12)  # noqa: B023
            )
        bounds.append(bound)
        walk.advance(now, bound)
    return np.array(bounds)


def _crossing(t: Floats, bounds: Floats, sides: int, drift: float) -> Floats:
    walk, chances = _Walk(drift, sides), []
    for now, bound in zip(t, bounds, strict=True):
        chances.append(walk.exit(now, bound))
        walk.advance(now, bound)
    return np.array(chances)
