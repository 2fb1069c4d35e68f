"""Choice of the field: which of the fits of a voxel its neighbourhood supports.

A voxel of water alone at one field and a voxel of fat alone at another give nearly the same
signal. The field, however, varies slowly. It is estimated on blocks of voxels first, by messages
between neighbours, and then voxel by voxel beside the blocks' field.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from livertrack.imaging._fat_water_model import R2STAR_GRID, Complexes, Echoes, search

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

#: step of the search for the field, phase over the echoes in radians: of blocks, and of voxels
BLOCK_STEP, STEP = 0.25, 0.15
#: price of a change of the field between blocks, in parts of the misfit that it would cause
STIFFNESS = 0.02
#: changes beyond this many radians over the echoes cost in proportion, not by their square
BEND = 0.25
#: price of leaving the field of the neighbourhood, in the same unit
PULL = 0.02
#: signal that air is given, in parts of the 90th percentile of the blocks
FLOOR = 0.01
_SWEEPS, _ROUNDS = 12, 3


def choose_field(
    signal: Complexes, places: NDArray[np.intp], shape: Sequence[int], echoes: Echoes,
    block: tuple[int, int, int],
) -> tuple[Array, Array]:  # fmt: skip
    """Field (Hz) and R2* (1/s, of a coarse grid) of each voxel, near the solution.

    Parameters
    ----------
    signal : array (V, N)
    places : array (V, 3)
        Voxel indices.
    shape : (x, y, z)
        Of the volume.
    block : (int, int, int)
        Voxels of a block.
    """
    energy = (np.abs(signal) ** 2).sum(axis=1)
    smooth = _block_field(signal, places, shape, echoes, block)
    fields = echoes.fields(STEP)
    cost, which = search(signal, echoes, fields)
    at = tuple(places.T)
    weight = np.zeros(tuple(shape), np.float64)
    weight[at] = energy
    for _ in range(_ROUNDS):
        away = _wrap(fields[None] - smooth[at][:, None], echoes) * echoes.spread
        total = cost + PULL * energy[:, None] * _bent(away)
        best = total.argmin(axis=1)
        smooth = _mean_field(weight, fields[best], at, block, echoes)
    rows = np.arange(len(signal))
    return fields[best].astype(float), np.array(R2STAR_GRID)[which[rows, best]]


def _block_field(
    signal: Complexes, places: NDArray[np.intp], shape: Sequence[int], echoes: Echoes,
    block: tuple[int, int, int],
) -> Array:  # fmt: skip
    """Field of the block in which each voxel of the volume lies, (x, y, z), Hz."""
    fields = echoes.fields(BLOCK_STEP)
    size = tuple(-(-n // b) for n, b in zip(shape, block, strict=True))
    own = np.ravel_multi_index(tuple((places // np.array(block)).T), size)
    order = np.argsort(own, kind="stable")
    cost = np.zeros((int(np.prod(size)), len(fields)), np.float32)
    for start in range(0, len(order), 65536):  # voxels of few blocks at a time
        some = order[start : start + 65536]
        misfit, _ = search(signal[some], echoes, fields)
        index, first = np.unique(own[some], return_index=True)
        cost[index] += np.add.reduceat(misfit, first, axis=0)
    strength = (np.abs(signal) ** 2).sum(axis=1, dtype=np.float64)
    energy: Array = np.bincount(own, strength, minlength=len(cost)).astype(np.float64)
    found = _messages(cost.reshape(*size, -1), energy.reshape(size), fields, echoes)
    for axis, b in enumerate(block):
        found = np.repeat(found, b, axis=axis)
    return np.asarray(found[: shape[0], : shape[1], : shape[2]])


def _messages(cost: Floats, energy: Array, fields: Array, echoes: Echoes) -> Array:
    """Field of each block that makes misfit and changes of the field cheapest, (x, y, z), Hz.

    Sequential tree-reweighted messages (TRW-S, Kolmogorov 2006). Blocks on one diagonal plane do
    not depend on each other and are worked on at once.
    """
    size = cost.shape[:3]
    # air must carry the field across, not hold it
    floor = FLOOR * float(np.percentile(energy[energy > 0], 90)) if (energy > 0).any() else 1.0
    strength = np.maximum(energy, floor).astype(np.float32)
    between = _wrap(fields[:, None] - fields[None], echoes) * echoes.spread
    price = np.asarray(STIFFNESS * _bent(between), dtype=np.float32)
    planes = _planes(size)
    #: messages into a block from the block before it, and from the one after it, by axis
    before, after = (np.zeros((3, *cost.shape), np.float32) for _ in range(2))
    inside = [[_inside(plane, axis, way, size) for axis in range(3)]
              for plane in planes for way in (1, -1)]  # fmt: skip
    for _ in range(_SWEEPS):
        for way, into, out in ((1, before, after), (-1, after, before)):
            for number in range(len(planes)) if way > 0 else range(len(planes) - 1, -1, -1):
                _pass_on(
                    planes[number], inside[2 * number], inside[2 * number + 1], way, cost, into,
                    out, strength, price,
                )  # fmt: skip
    return fields[_decide(planes, inside, cost, after, strength, price)]


_Plane = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


def _planes(size: Sequence[int]) -> list[_Plane]:
    """Blocks of each diagonal plane, first to last."""
    index = np.indices(tuple(size)).reshape(3, -1)
    order = np.argsort(index.sum(0), kind="stable")
    cuts = np.cumsum(np.bincount(index.sum(0)))[:-1]
    return [(part[0], part[1], part[2]) for part in np.split(index[:, order], cuts, axis=1)]


def _inside(plane: _Plane, axis: int, way: int, size: Sequence[int]) -> NDArray[np.bool_]:
    there = plane[axis] + way
    return np.asarray((there >= 0) & (there < size[axis]))


def _moved(plane: _Plane, axis: int, way: int, keep: NDArray[np.bool_]) -> _Plane:
    found = [part[keep] for part in plane]
    found[axis] = found[axis] + way
    return (found[0], found[1], found[2])


def _pass_on(
    plane: _Plane, forward: Sequence[NDArray[np.bool_]], backward: Sequence[NDArray[np.bool_]],
    way: int, cost: Floats, into: Floats, out: Floats, strength: Floats, price: Floats,
) -> None:  # fmt: skip
    """Messages of the blocks of a plane to those that come next (``way`` 1) or before (-1)."""
    ahead, behind = (forward, backward) if way > 0 else (backward, forward)
    belief = cost[plane] + into[(slice(None), *plane)].sum(0) + out[(slice(None), *plane)].sum(0)
    most = np.maximum(sum(k.astype(int) for k in ahead), sum(k.astype(int) for k in behind))
    belief /= np.maximum(most, 1)[:, None]
    for axis in range(3):
        keep = ahead[axis]
        if not keep.any():
            continue
        here = _moved(plane, axis, 0, keep)
        there = _moved(plane, axis, way, keep)
        bond = np.minimum(strength[here], strength[there])[:, None, None]
        known = belief[keep] - out[(axis, *here)]
        message = (known[:, :, None] + bond * price).min(axis=1)
        into[(axis, *there)] = message - message.min(axis=1, keepdims=True)


def _decide(
    planes: Sequence[_Plane], inside: Sequence[Sequence[NDArray[np.bool_]]], cost: Floats,
    after: Floats, strength: Floats, price: Floats,
) -> NDArray[np.intp]:  # fmt: skip
    """Label of each block, given those before it and the messages from those after it."""
    labels = np.zeros(cost.shape[:3], np.intp)
    for number, plane in enumerate(planes):
        total = cost[plane] + after[(slice(None), *plane)].sum(0)
        for axis in range(3):
            keep = inside[2 * number + 1][axis]
            if keep.any():
                there = _moved(plane, axis, -1, keep)
                bond = np.minimum(strength[plane][keep], strength[there])[:, None]
                total[keep] += bond * price[labels[there]]
        labels[plane] = total.argmin(axis=1)
    return labels


def _mean_field(
    weight: Array, field: Array, at: tuple[NDArray[np.intp], ...], block: Sequence[int],
    echoes: Echoes,
) -> Array:  # fmt: skip
    """Circular mean of the field around each voxel, weighted by signal, Hz."""
    width = echoes.period if echoes.even else 1e6
    turned = np.zeros(weight.shape, np.complex128)
    turned[at] = weight[at] * np.exp(2j * np.pi * field / width)
    sigma = [b / 2 for b in block]
    mean = ndimage.gaussian_filter(turned.real, sigma) + 1j * ndimage.gaussian_filter(
        turned.imag, sigma
    )
    return np.asarray(np.angle(mean) * width / (2 * np.pi))


def _wrap(difference: Array, echoes: Echoes) -> Array:
    """Difference of two fields as the echoes see it, Hz."""
    if not echoes.even:
        return difference
    half = echoes.period / 2
    return np.asarray((difference + half) % echoes.period - half)


def _bent(angle: Array) -> Array:
    """Square near zero, proportional beyond `BEND`."""
    size = np.abs(angle)
    return np.asarray(np.where(size <= BEND, size**2, BEND * (2 * size - BEND)))
