"""Mean intensity and a few radiomic features of the liver, quick enough for a baseline.

Co-occurrence is counted in the plane, between voxels that are both in the liver: slices are
further apart than the grain of the tissue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

#: grey levels, between the 1st and 99th percentile of the liver, and distances in voxels
_LEVELS, _LAGS = 16, (1, 2, 4)
_FIRST_ORDER = ("COV", "SKEW", "KURT")
_GLCM = ("CONTRAST", "CORRELATION", "ENERGY", "HOMOGENEITY")


def mean_intensity(image: Floats, mask: Bools) -> float:
    """Mean of the liver, as the scanner stored it."""
    return float(image[mask].mean())


def feature_names() -> list[str]:
    """Names of `texture` without those of `shape`."""
    return [*_FIRST_ORDER, *(f"{name}{lag}" for lag in _LAGS for name in _GLCM)]


def texture(image: Floats, mask: Bools) -> dict[str, float]:
    """First-order and co-occurrence features of the liver, none of which changes with gain.

    Parameters
    ----------
    image : array (x, y, z)
        Intensities, arbitrary units.
    mask : array (x, y, z)
        Liver.

    Returns
    -------
    dict
        Coefficient of variation, skewness, excess kurtosis; contrast, correlation, energy and
        homogeneity of the co-occurrence of 16 grey levels at 1, 2 and 4 voxels, both directions in
        the plane joined. NaN where a liver has one intensity.

    Notes
    -----
    Source: Haralick et al. (1973); the definitions of the IBSI (8S9J, ACUI, NI2N) for two
    directions and both senses of each.
    Checked against: a hand-worked picture (tests/tasks/test_texture.py).
    """
    box = ndimage.find_objects(mask.astype(np.int8))[0]
    image, mask = image[box], mask[box]
    values = image[mask].astype(float)
    spread = float(values.std())
    if not spread > 0:
        return dict.fromkeys(feature_names(), float("nan"))
    scaled = (values - values.mean()) / spread
    found = {
        "COV": spread / max(abs(float(values.mean())), 1e-9),
        "SKEW": float((scaled**3).mean()),
        "KURT": float((scaled**4).mean()) - 3.0,
    }
    low, high = np.percentile(values, [1, 99])
    width = max(float(high - low), 1e-9)
    level = np.clip((image - low) / width * _LEVELS, 0, _LEVELS - 1).astype(np.int64)
    for lag in _LAGS:
        counts = _pairs(level, mask, lag)
        found |= {f"{name}{lag}": value for name, value in cooccurrence(counts).items()}
    return found


def cooccurrence(counts: NDArray[np.float64]) -> dict[str, float]:
    """Contrast, correlation, energy and homogeneity of counts of pairs (level, level)."""
    total = counts.sum()
    if not total > 0:
        return dict.fromkeys(_GLCM, float("nan"))
    p = (counts + counts.T) / (2 * total)
    i, j = np.indices(p.shape, dtype=float)
    mean = float((i * p).sum())
    variance = float(((i - mean) ** 2 * p).sum())
    joint = float(((i - mean) * (j - mean) * p).sum())
    return {
        "CONTRAST": float(((i - j) ** 2 * p).sum()),
        "CORRELATION": joint / variance if variance > 0 else 1.0,
        "ENERGY": float((p**2).sum()),
        "HOMOGENEITY": float((p / (1 + (i - j) ** 2)).sum()),
    }


def shape(mask: Bools, spacing: tuple[float, float, float]) -> dict[str, float]:
    """Volume (ml) and in-plane outline per root of the area (roughness) of the liver."""
    area = mask.sum(axis=(0, 1))
    padded = np.pad(mask, ((1, 1), (1, 1), (0, 0))).astype(np.int8)
    edges = np.abs(np.diff(padded, axis=0)).sum(axis=(0, 1)) * spacing[1]
    edges = edges + np.abs(np.diff(padded, axis=1)).sum(axis=(0, 1)) * spacing[0]
    used = area > 0
    rough = edges[used] / np.sqrt(area[used] * spacing[0] * spacing[1])
    return {
        "VOLML": float(mask.sum() * np.prod(spacing) / 1000),
        "ROUGHNESS": float(rough.mean()) if used.any() else float("nan"),
    }


def _pairs(level: NDArray[np.int64], mask: Bools, lag: int) -> NDArray[np.float64]:
    """Counts (level, level) of voxels ``lag`` apart along x and along y, both in the liver."""
    counts = np.zeros(_LEVELS * _LEVELS)
    for axis in (0, 1):
        n = level.shape[axis]
        if n <= lag:
            continue
        first, second = (np.take(level, span, axis=axis) for span in _spans(n, lag))
        one, two = (np.take(mask, span, axis=axis) for span in _spans(n, lag))
        both = one & two
        code = first[both] * _LEVELS + second[both]
        counts += np.bincount(code, minlength=_LEVELS * _LEVELS)
    return counts.reshape(_LEVELS, _LEVELS)


def _spans(n: int, lag: int) -> tuple[range, range]:
    return range(n - lag), range(lag, n)
