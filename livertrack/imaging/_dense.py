"""Whole scans through an encoder in one pass: tiles that fit the cache, threads over tiles.

Nothing depends on the number of threads: tiles follow from the mask, every tile is computed by
one thread, and its results are put where they belong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from livertrack.imaging._threads import torch_threads

if TYPE_CHECKING:
    from livertrack.imaging.network import Encoder

Ranges = tuple[range, range, range]

#: voxels of a tile, about; and columns that go through the pointwise layers at once, on a CPU
TILE, COLUMNS = 130_000, 2048


def over_voxels(
    encoder: Encoder,
    volume: Tensor,
    where: Tensor,
    work: Callable[[Tensor], Tensor],
    *,
    device: torch.device,
    threads: int = 1,
    tile: int = TILE,
    columns: int | None = None,
) -> Tensor:
    """Apply ``work`` to the features of the voxels of ``where``.

    Parameters
    ----------
    volume : Tensor
        (C, X, Y, Z), larger than ``where`` by the receptive field minus one on each axis.
    where : Tensor
        Boolean (x, y, z).
    work : callable
        From features (features, n) to results (n, ...), column by column.
    threads : int
        Tiles computed at the same time (CPU).
    tile : int
        Voxels of a tile: memory stays bounded by it, not by the scan.
    columns : int or None
        Columns given to ``work`` at once.

    Returns
    -------
    Tensor
        Results, on the CPU; rows in the C order of ``where``.
    """
    boxes = tiles(where, tile)
    places = where.flatten().cumsum(0).view(where.shape) - 1
    step = columns or (COLUMNS if device.type == "cpu" else TILE)

    def one(box: Ranges) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            inside = _part(where, box)
            found = inside.flatten().nonzero().ravel()
            rows = _part(places, box).flatten()[found]
            maps = encoder.columns(_window(volume, box, encoder.field).to(device))
            maps = maps.flatten(1)
            found = found.to(device)
            done = [work(maps.index_select(1, part)) for part in found.split(step)]
            return rows, torch.cat(done).cpu()

    if threads > 1 and len(boxes) > 1 and device.type == "cpu":
        with torch_threads(1), ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(one, boxes))
    else:
        parts = [one(box) for box in boxes]
    out = torch.empty((int(where.sum()), *parts[0][1].shape[1:]), dtype=parts[0][1].dtype)
    for rows, values in parts:
        out[rows] = values
    return out


def tiles(where: Tensor, size: int) -> list[Ranges]:
    """Boxes of about ``size`` voxels, slabs of the first axis, each cut to the voxels it holds."""
    bounds = _bounds(where)
    if bounds is None:
        return []
    across = len(bounds[1]) * len(bounds[2])
    count = max(1, round(len(bounds[0]) * across / size))
    thick = -(-len(bounds[0]) // count)
    found = []
    for start in range(bounds[0].start, bounds[0].stop, thick):
        stop = min(start + thick, bounds[0].stop)
        box = _bounds(where[start:stop])
        if box is not None:
            x, y, z = box
            found.append((range(start + x.start, start + x.stop), y, z))
    return found


def _bounds(where: Tensor) -> Ranges | None:
    if not bool(where.any()):
        return None
    x, y, z = (
        torch.nonzero(where.any(dim=first).any(dim=second)).ravel()
        for first, second in ((2, 1), (2, 0), (1, 0))
    )
    return tuple(range(int(axis[0]), int(axis[-1]) + 1) for axis in (x, y, z))  # type: ignore[return-value]


def _part(values: Tensor, box: Ranges) -> Tensor:
    """Box of an (x, y, z) array, in the order (x, z, y)."""
    x, y, z = (slice(axis.start, axis.stop) for axis in box)
    return values[x, y, z].permute(0, 2, 1)


def _window(volume: Tensor, box: Ranges, field: Sequence[int]) -> Tensor:
    """Voxels that a box of results depends on."""
    x, y, z = (
        slice(axis.start, axis.stop + need - 1) for axis, need in zip(box, field, strict=True)
    )
    return volume[:, x, y, z]
