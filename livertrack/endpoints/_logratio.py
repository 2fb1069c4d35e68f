"""Geometry of compositions: closing, zeros, log-ratios, bases."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.endpoints._checks import numeric, require_columns
from livertrack.errors import DataError, UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Compositions:
    """Closed, positive compositions of the complete rows."""

    data: pd.DataFrame
    parts: tuple[str, ...]
    shares: Floats
    zeros: dict[str, int]
    notes: tuple[str, ...]


def compositions(
    data: pd.DataFrame,
    *,
    parts: Sequence[str] | None,
    delta: float | None,
    size: str | None,
    extra: Sequence[str] = (),
) -> Compositions:
    """Rows with all parts known, closed to 1, zeros replaced multiplicatively.

    A zero becomes 0.65 of the smallest share that could have been seen: 1 / ``size`` of its row
    when the column ``size`` (number of voxels) is named, else the given ``delta`` itself, else
    0.65 of the smallest positive share in the data. The other shares of the row shrink by the
    same factor, so that their ratios stay.
    """
    names = tuple(parts) if parts is not None else _default_parts(data)
    if len(names) < 2:
        msg = f"a composition has two or more parts, got {len(names)}"
        raise UsageError(msg)
    require_columns(data, [*names, *extra, *([size] if size else [])])
    wanted = list(dict.fromkeys([*names, *extra, *([size] if size else [])]))
    keep = data[wanted].notna().all(axis=1).to_numpy()
    kept = data[keep]
    if kept.empty:
        msg = f"no row has all of {', '.join(wanted)}; {len(data)} row(s) were given"
        raise DataError(msg)
    notes = []
    if not keep.all():
        notes.append(f"dropped {int((~keep).sum())} of {len(data)} rows: incomplete")
    raw = np.column_stack([numeric(kept, name) for name in names])
    negative = int((raw < 0).sum())
    empty = int((raw.sum(axis=1) <= 0).sum())
    if negative or empty:
        msg = f"{negative} negative share(s), {empty} row(s) without any part; not a composition"
        raise DataError(msg)
    shares = raw / raw.sum(axis=1, keepdims=True)
    is_zero = shares == 0
    zeros = {name: int(count) for name, count in zip(names, is_zero.sum(axis=0), strict=True)}
    if is_zero.any():
        small, rule = _replacement(kept, shares, delta, size)
        filled = np.where(is_zero, small[:, None], 0.0)
        left = 1 - filled.sum(axis=1, keepdims=True)
        if (left <= 0).any():
            msg = "the replacement of zeros is larger than the whole; give a smaller delta"
            raise UsageError(msg)
        shares = np.where(is_zero, filled, shares * left)
        notes.append(f"replaced {int(is_zero.sum())} zero(s) of {is_zero.size} shares by {rule}")
    return Compositions(kept, names, shares, zeros, tuple(notes))


def clr_coordinates(shares: Floats) -> Floats:
    """Logarithms of shares minus their mean over the parts (rows x parts)."""
    logs = np.log(shares)
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def basis_matrix(
    parts: Sequence[str], basis: str | Mapping[str, Mapping[str, int]]
) -> tuple[list[str], Floats]:
    """Names of the coordinates and the orthonormal basis (coordinates x parts) in clr space.

    ``"pivot"``: each part, in the given order, against all later ones. A mapping gives a
    sequential binary partition: per balance the sign of each part (absent = not involved).
    """
    d = len(parts)
    if isinstance(basis, str):
        if basis != "pivot":
            msg = f"basis is 'pivot' or a mapping of balances to signs, got {basis!r}"
            raise UsageError(msg)
        names = [f"{part} / later parts" for part in parts[: d - 2]] + [
            f"{parts[-2]} / {parts[-1]}"
        ]
        signs = np.array([[0] * i + [1] + [-1] * (d - i - 1) for i in range(d - 1)], dtype=float)
    else:
        names = list(basis)
        unknown = sorted({p for signs in basis.values() for p in signs} - set(parts))
        if unknown:
            msg = f"basis: unknown part(s) {', '.join(unknown)}"
            raise UsageError(msg)
        signs = np.array([[float(basis[n].get(p, 0)) for p in parts] for n in names])
        signs = np.sign(signs)
    plus, minus = (signs > 0).sum(axis=1), (signs < 0).sum(axis=1)
    if not len(signs) or (plus == 0).any() or (minus == 0).any():
        msg = "basis: every balance needs parts on both sides"
        raise UsageError(msg)
    scale = np.sqrt(plus * minus / (plus + minus))
    V = np.where(signs > 0, 1 / plus[:, None], np.where(signs < 0, -1 / minus[:, None], 0.0))
    V = V * scale[:, None]
    if V.shape[0] != d - 1 or not np.allclose(V @ V.T, np.eye(len(V))):
        msg = f"basis: {d} parts need {d - 1} balances that partition each other"
        raise UsageError(msg)
    return names, V


def _default_parts(data: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(str(c) for c in data.columns if re.fullmatch(r"TV\d+", str(c))))


def _replacement(
    data: pd.DataFrame, shares: Floats, delta: float | None, size: str | None
) -> tuple[Floats, str]:
    if size is not None:
        counts = numeric(data, size)
        if (counts <= 0).any():
            msg = f"{size}: {int((counts <= 0).sum())} row(s) have no positive size"
            raise DataError(msg)
        return 0.65 / counts, f"0.65 / {size}"
    value = 0.65 * float(shares[shares > 0].min()) if delta is None else float(delta)
    if not 0 < value < 1:
        msg = f"delta is a share between 0 and 1, got {delta!r}"
        raise UsageError(msg)
    rule = "0.65 of the smallest positive share" if delta is None else "delta"
    return np.full(len(data), value), f"{rule} ({value:.3g})"
