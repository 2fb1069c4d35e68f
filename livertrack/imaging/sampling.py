"""From scans to training rows, one scan at a time: memory is flat in the number of scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray

from livertrack._seeds import generator, spawn
from livertrack.imaging._threads import torch_threads
from livertrack.imaging.augment import Scanner
from livertrack.imaging.network import Encoder, feature_rows
from livertrack.imaging.preprocessing import Preparation, Prepared, prepare
from livertrack.imaging.reading import UnusableImage
from livertrack.imaging.scan import Source
from livertrack.imaging.texture import BankEncoder

#: voxels of an exemplar picture, in plane
PICTURE = 17


@dataclass(frozen=True)
class Sample:
    """What one scan gives to training.

    Attributes
    ----------
    rows : array
        (places, views, features) of a bank encoder, or (places, 1, C, field) raw patches.
    profile : array
        (places, C) local mean of each standardised channel (3 x 3 in plane).
    pictures : array
        (some places, C, 17, 17) standardised voxels around the first places.
    """

    rows: NDArray[np.float32]
    profile: NDArray[np.float32]
    pictures: NDArray[np.float16]


@dataclass(frozen=True)
class Plan:
    """How places and views are drawn from each scan."""

    preparation: Preparation
    encoder: Encoder
    places: int
    views: int
    jitter: tuple[int, int, int]
    scanner: Scanner
    seed: int
    pictures: int


def draw_samples(
    scans: Sequence[Source], plan: Plan, *, workers: int | None = None
) -> tuple[list[Sample], list[str]]:
    """Sample every scan that can be used, and say why the others cannot.

    The draw of a scan depends on the seed and its place in the sequence only, so that any number
    of workers gives the same samples.
    """
    jobs = (delayed(_sample)(source, plan, number) for number, source in enumerate(scans))
    results = Parallel(n_jobs=workers)(jobs)
    samples = [result for result in results if isinstance(result, Sample)]
    return samples, [result for result in results if isinstance(result, str)]


def _sample(source: Source, plan: Plan, number: int) -> Sample | str:
    try:
        scan = source.load()
        with torch_threads(1):
            prepared = prepare(scan, plan.preparation, plan.encoder.field)
            return sample(prepared, plan, number)
    except UnusableImage as error:
        return f"{error.problem}; {error.cure}"


def sample(prepared: Prepared, plan: Plan, number: int) -> Sample:
    """Draw places in the liver and encode every view of them."""
    rng = generator(plan.seed, "places", number)
    inside = np.argwhere(prepared.mask)
    chosen = rng.choice(len(inside), size=min(plan.places, len(inside)), replace=False)
    places = inside[chosen]
    margin = np.array([(need - 1) // 2 for need in plan.encoder.field])
    volume = prepared.volume
    around = _windows(volume, places + margin, (3, 3, 1))
    pictures = _windows(volume, places[: plan.pictures] + margin, (PICTURE, PICTURE, 1))
    if isinstance(plan.encoder, BankEncoder):
        rows = _views(prepared, places, plan, number, rng)
    else:
        rows = _windows(volume, places + margin, plan.encoder.field)[:, np.newaxis]
    return Sample(rows, around.mean(axis=(2, 3, 4)), pictures[..., 0].astype(np.float16))


def _views(
    prepared: Prepared, places: NDArray[np.intp], plan: Plan, number: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    draw = torch.Generator().manual_seed(
        int(spawn(plan.seed, "scanner", number).generate_state(1, np.uint32)[0])
    )
    volume = torch.from_numpy(prepared.volume)
    margin = [(need - 1) // 2 for need in plan.encoder.field]
    inner = prepared.volume[
        :, *(slice(m, m + n) for m, n in zip(margin, prepared.mask.shape, strict=True))
    ]
    spread = torch.from_numpy(inner[:, prepared.mask].std(axis=1))
    views = []
    for number_of_view in range(plan.views):
        spots, seen = places, volume
        if number_of_view:
            seen = plan.scanner.view(volume, spread, draw)
            spots = _near(places, prepared.mask, plan.jitter, rng)
        where = np.zeros(prepared.mask.shape, bool)
        where[tuple(spots.T)] = True
        order = np.cumsum(where.ravel()) - 1
        rows = feature_rows(
            plan.encoder, seen, torch.from_numpy(where), device=torch.device("cpu")
        ).numpy()
        flat = np.ravel_multi_index(tuple(spots.T), where.shape)
        views.append(rows[order[flat]])
    return np.stack(views, axis=1)


def _near(
    places: NDArray[np.intp],
    mask: NDArray[np.bool_],
    jitter: Sequence[int],
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Places moved by at most ``jitter`` voxels; those that would leave the liver stay."""
    step = np.stack([rng.integers(-j, j + 1, len(places)) for j in jitter], axis=1)
    moved: NDArray[np.intp] = np.clip(places + step, 0, np.array(mask.shape) - 1)
    outside = ~mask[tuple(moved.T)]
    moved[outside] = places[outside]
    return moved


def _windows(
    volume: NDArray[np.float32], centres: NDArray[np.intp], size: Sequence[int]
) -> NDArray[np.float32]:
    """Windows (n, C, size) around centres, edges repeated, in one indexing operation."""
    grids = []
    for axis, width in enumerate(size):
        offsets = np.arange(width) - width // 2
        index = np.clip(centres[:, axis, None] + offsets, 0, volume.shape[axis + 1] - 1)
        shape = [len(centres), 1, 1, 1]
        shape[axis + 1] = width
        grids.append(index.reshape(shape))
    return np.ascontiguousarray(np.moveaxis(volume[:, grids[0], grids[1], grids[2]], 1, 0))
