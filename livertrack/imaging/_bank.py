"""A bank of differences averaged over boxes, in an order that suits caches.

Arrays are ([batch,] x, z, y): a step along x, z or y then joins long runs of memory, and one
feature of a tile fits the second-level cache. A patch and a whole scan go through the same
additions in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Triple = tuple[int, int, int]

#: axis of x, y and z, from the end
AXES: Triple = (-3, -1, -2)

#: added to a difference before its logarithm: what is told from no difference
LEAST = 0.02


def bank(joined: Tensor, lags: Sequence[Triple], reach: Triple, boxes: Sequence[Triple]) -> Tensor:
    """Features of log signals and their ratios.

    Parameters
    ----------
    joined : Tensor
        (combinations, [batch,] x, z, y).
    lags : sequence
        Differences, voxels.
    reach : (int, int, int)
        Margin that the lags need on every side.
    boxes : sequence
        Wide, middle and small box; the wide one decides the margin.

    Returns
    -------
    Tensor
        (features, [batch,] x, z, y) of a valid convolution: the logarithm of every difference
        averaged over the wide box, then over the middle one; the signal over the wide and the
        small box, and as it is.
    """
    wide, middle, small = boxes
    count = len(joined)
    centre = crop(joined, reach)
    margin: Triple = tuple(w // 2 for w in wide)  # type: ignore[assignment]
    inner = crop(centre, margin)
    energies = count * len(lags)
    out = joined.new_empty((2 * energies + 3 * count, *inner.shape[1:]))
    place = 0
    for lag in lags:
        for one, here in zip(joined, centre, strict=True):
            change = torch.sub(_moved(one, lag, reach), here)
            change.abs_().add_(LEAST).log_()
            _two_boxes(change, wide, middle, out[place], out[energies + place])
            place += 1
    for number, signal in enumerate(centre, start=2 * energies):
        _two_boxes(signal, wide, small, out[number], out[number + count])
    out[2 * energies + 2 * count :] = inner
    return out


def crop(x: Tensor, margin: Triple) -> Tensor:
    """``x`` without a margin (x, y, z) on every side."""
    for axis, cut in zip(AXES, margin, strict=True):
        x = x.narrow(axis, cut, x.shape[axis] - 2 * cut)
    return x


def _moved(x: Tensor, lag: Triple, reach: Triple) -> Tensor:
    for axis, step, margin in zip(AXES, lag, reach, strict=True):
        x = x.narrow(axis, margin + step, x.shape[axis] - 2 * margin)
    return x


def _two_boxes(
    x: Tensor, wide: Triple, small: Triple, out_wide: Tensor, out_small: Tensor
) -> None:
    """Means over two boxes with the same centre; sums along z and y are shared where they can."""
    parts: list[Tensor] = [x, x]
    for at in (2, 1):  # z, then y
        parts = _sums(parts, AXES[at], (wide[at], small[at]))
    for part, box, out in zip(parts, (wide, small), (out_wide, out_small), strict=True):
        part = part.narrow(-3, (wide[0] - box[0]) // 2, out.shape[-3] + box[0] - 1)
        _sum(part, AXES[0], box[0], out=out)
        out.mul_(1.0 / (box[0] * box[1] * box[2]))


def _sums(parts: list[Tensor], axis: int, widths: tuple[int, int]) -> list[Tensor]:
    one, two = parts
    wide, small = widths
    if one is two and wide == small:
        return [_sum(one, axis, wide)] * 2
    if one is two and wide >= small > 1:
        return _shared(one, axis, wide, small)
    cut = (wide - small) // 2
    two = two.narrow(axis, cut, two.shape[axis] - 2 * cut)
    return [_sum(one, axis, wide), _sum(two, axis, small)]


def _shared(x: Tensor, axis: int, wide: int, small: int) -> list[Tensor]:
    """Sums of two widths from one set of powers of two."""
    powers = _powers(x, axis, wide)
    length = x.shape[axis] - wide + 1
    start = (wide - small) // 2
    return [_joined(powers, axis, wide, 0, length), _joined(powers, axis, small, start, length)]


def _sum(x: Tensor, axis: int, width: int, *, out: Tensor | None = None) -> Tensor:
    """Sum of ``width`` neighbours along an axis by doubling."""
    length = x.shape[axis] - width + 1
    return _joined(_powers(x, axis, width), axis, width, 0, length, out=out)


def _powers(x: Tensor, axis: int, width: int) -> list[Tensor]:
    """Sums of 1, 2, 4, .. neighbours, while at least two of them fit into ``width``."""
    found, span = [x], 1
    while 4 * span <= width:
        last = found[-1]
        rest = last.shape[axis] - span
        found.append(last.narrow(axis, 0, rest) + last.narrow(axis, span, rest))
        span *= 2
    return found


def _joined(
    powers: list[Tensor], axis: int, width: int, start: int, length: int,
    *, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Sum of ``width`` neighbours from ``start`` on, of the longest powers that fit."""
    pieces, offset = [], start
    for number in range(len(powers) - 1, -1, -1):
        while start + width - offset >= 2**number:
            pieces.append(powers[number].narrow(axis, offset, length))
            offset += 2**number
    if len(pieces) == 1:
        return pieces[0] if out is None else out.copy_(pieces[0])
    total = torch.add(pieces[0], pieces[1], out=out)
    for piece in pieces[2:]:
        total.add_(piece)
    return total
