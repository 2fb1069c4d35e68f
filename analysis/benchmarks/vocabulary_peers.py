"""Other ways to tissue types, for comparison: all see the same prepared scans and places.

``voxels``: k-means on single voxels. ``radiomics``: k-means on local first-order and texture
features (9 x 9 x 3). ``dec`` and ``idec``: autoencoder on raw 7 x 7 x 3 patches and clusters that
sharpen their own assignments (Xie et al. 2016; Guo et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional

from livertrack.imaging._adam import Adam
from livertrack.imaging._clusters import kmeans
from livertrack.imaging.preprocessing import Prepared
from livertrack.imaging.sampling import _windows
from livertrack.imaging.training import torch_generator

PATCH = (7, 7, 3)
PEERS = ("voxels", "radiomics", "dec", "idec")


def peer_maps(
    method: str,
    train: Sequence[Prepared],
    test: Sequence[Prepared],
    *,
    margin: Sequence[int],
    n_types: int,
    n_places: int,
    steps: int,
    seed: int,
) -> Callable[[], list[np.ndarray]]:
    """Fit ``method`` on the places of ``train``; what is returned labels ``test``."""
    rng = np.random.default_rng([seed, 7])
    rows = []
    for scan in train:
        inside = np.argwhere(scan.mask)
        chosen = inside[rng.choice(len(inside), n_places // len(train), replace=False)]
        rows.append(_rows(method, scan, chosen, margin))
    found = np.concatenate(rows)
    centre, scale = found.mean(0), found.std(0) + 1e-6
    if method in ("voxels", "radiomics"):
        centres, _ = kmeans((found - centre) / scale, n_types, seed=seed, name=method, n_init=20)

        def nearest(values: np.ndarray) -> np.ndarray:
            values = (values - centre) / scale
            return (values @ centres.T - (centres**2).sum(1) / 2).argmax(1)
    else:
        nearest = _embedded((found - centre) / scale, method, n_types, steps, seed, centre, scale)

    def maps() -> list[np.ndarray]:
        out = []
        for scan in test:
            inside = np.argwhere(scan.mask)
            parts = np.array_split(inside, max(1, len(inside) // 20_000))
            labels = [nearest(_rows(method, scan, part, margin)) + 1 for part in parts]
            out.append(scan.restore(np.concatenate(labels).astype(np.int16)))
        return out

    return maps


def _rows(method: str, scan: Prepared, places: np.ndarray, margin: Sequence[int]) -> np.ndarray:
    at = places + np.asarray(margin)
    if method == "voxels":
        return scan.volume[:, at[:, 0], at[:, 1], at[:, 2]].T.astype(np.float32)
    if method == "radiomics":
        maps = _radiomics(scan.volume)
        return maps[:, at[:, 0], at[:, 1], at[:, 2]].T.astype(np.float32)
    return _windows(scan.volume, at, PATCH).reshape(len(places), -1)


_KEPT: dict[int, np.ndarray] = {}


def _radiomics(volume: np.ndarray) -> np.ndarray:
    """Mean, SD, skewness, range, gradients and neighbour correlations in a box, per channel."""
    key = id(volume)
    if key in _KEPT:
        return _KEPT[key]
    size, maps = (9, 9, 3), []
    for channel in volume.astype(np.float64):
        mean = ndimage.uniform_filter(channel, size)
        rest = channel - mean
        variance = np.maximum(ndimage.uniform_filter(rest**2, size), 1e-9)
        maps += [mean, np.sqrt(variance)]
        maps.append(ndimage.uniform_filter(rest**3, size) / variance**1.5)
        maps.append(ndimage.maximum_filter(channel, size) - ndimage.minimum_filter(channel, size))
        for axis in range(3):
            step = np.diff(channel, axis=axis, append=channel.take([-1], axis))
            maps.append(ndimage.uniform_filter(np.abs(step), size))
            near = np.roll(rest, -1, axis)
            maps.append(ndimage.uniform_filter(rest * near, size) / variance)
    _KEPT[key] = np.stack(maps).astype(np.float32)
    return _KEPT[key]


def _embedded(
    rows: np.ndarray, method: str, k: int, steps: int, seed: int, centre: np.ndarray,
    scale: np.ndarray,
) -> Callable[[np.ndarray], np.ndarray]:  # fmt: skip
    draw = torch_generator(seed, method)
    torch.manual_seed(int(draw.initial_seed()) % 2**31)
    width = rows.shape[1]
    encoder = nn.Sequential(
        nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    decoder = nn.Sequential(
        nn.Linear(10, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, width)
    )
    data = torch.from_numpy(rows.astype(np.float32))
    optimiser = Adam([*encoder.parameters(), *decoder.parameters()], rate=1e-3)
    for _ in range(steps):
        batch = data[torch.randint(len(data), (256,), generator=draw)]
        optimiser.step(functional.mse_loss(decoder(encoder(batch)), batch))
    with torch.no_grad():
        start, _ = kmeans(encoder(data).numpy(), k, seed=seed, name=method, n_init=20)
    centres = nn.Parameter(torch.from_numpy(start))
    optimiser = Adam([*encoder.parameters(), *decoder.parameters(), centres], rate=1e-3)
    for step in range(steps):
        if step % 50 == 0:
            with torch.no_grad():
                q = _student(encoder(data), centres)
                target = q**2 / q.sum(0)
                target = target / target.sum(1, keepdim=True)
        chosen = torch.randint(len(data), (256,), generator=draw)
        latent = encoder(data[chosen])
        log = torch.log(_student(latent, centres))
        loss = functional.kl_div(log, target[chosen], reduction="batchmean")
        if method == "idec":
            loss = functional.mse_loss(decoder(latent), data[chosen]) + 0.1 * loss
        optimiser.step(loss)

    def nearest(values: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            scaled = torch.from_numpy(((values - centre) / scale).astype(np.float32))
            return _student(encoder(scaled), centres).argmax(1).numpy()

    return nearest


def _student(latents: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    q = 1 / (1 + torch.cdist(latents, centres) ** 2)
    return q / q.sum(1, keepdim=True)
