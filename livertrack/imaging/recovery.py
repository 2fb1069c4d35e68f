"""How well label maps recover a known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from livertrack.errors import UsageError

Maps = Sequence[NDArray[Any]]


def recovery(
    label_maps: Mapping[str, Maps] | Maps, truth_maps: Maps, masks: Maps, *, edge: int = 2
) -> pd.DataFrame:
    """Agreement of label maps with the truth.

    Parameters
    ----------
    label_maps : sequence of arrays, or mapping of method to sequence of arrays
        (x, y, z) each, one per scan.
    truth_maps, masks : sequence of arrays
        True types and liver masks on the same grids.
    edge : int
        Voxels this near (in plane) to another true type are left out of ``ari_interior``.

    Returns
    -------
    DataFrame
        One row per method: ``ari`` (adjusted Rand index), ``nmi`` (normalised mutual information)
        of all voxels together; ``ari_scan`` and ``ari_interior``, means over scans;
        ``signature_error``: mean absolute difference of the proportions of matched types
        (Hungarian assignment on the joint counts; unmatched types count in full);
        ``n_scans, n_voxels``.

    Notes
    -----
    Denominator: voxels of the masks. Voxels whose truth is 0 are left out.
    Checked against: hand-worked maps (tests/imaging/test_recovery.py).
    """
    named = label_maps if isinstance(label_maps, Mapping) else {"vocabulary": label_maps}
    rows = []
    for method, maps in named.items():
        if not len(maps) == len(truth_maps) == len(masks):
            msg = f"{len(maps)} maps, {len(truth_maps)} truths, {len(masks)} masks; give one each"
            raise UsageError(msg)
        rows.append({"method": method, **_agreement(maps, truth_maps, masks, edge)})
    return pd.DataFrame(rows)


def _agreement(maps: Maps, truths: Maps, masks: Maps, edge: int) -> dict[str, Any]:
    pairs, inner, per_scan = [], [], []
    for labels, truth, mask in zip(maps, truths, masks, strict=True):
        known = np.asarray(mask, bool) & (truth > 0)
        pairs.append((labels[known].astype(int), truth[known].astype(int)))
        per_scan.append(adjusted_rand_score(pairs[-1][1], pairs[-1][0]))
        deep = known & _away_from_borders(truth, edge)
        if deep.any():
            inner.append(adjusted_rand_score(truth[deep], labels[deep]))
    found = np.concatenate([pair[0] for pair in pairs])
    true = np.concatenate([pair[1] for pair in pairs])
    return {
        "ari": float(adjusted_rand_score(true, found)),
        "nmi": float(normalized_mutual_info_score(true, found)),
        "ari_scan": float(np.mean(per_scan)),
        "ari_interior": float(np.mean(inner)) if inner else np.nan,
        "signature_error": _signature_error(pairs),
        "n_scans": len(pairs),
        "n_voxels": len(true),
    }


def match_types(found: NDArray[np.integer[Any]], true: NDArray[np.integer[Any]]) -> dict[int, int]:
    """Match found types to true ones (Hungarian assignment); surplus types are left out."""
    f_values, f = np.unique(found, return_inverse=True)
    t_values, t = np.unique(true, return_inverse=True)
    joint = np.bincount(f * len(t_values) + t, minlength=len(f_values) * len(t_values))
    joint = joint.reshape(len(f_values), len(t_values))
    rows, columns = linear_sum_assignment(-joint)
    return {int(f_values[r]): int(t_values[c]) for r, c in zip(rows, columns, strict=True)}


def _signature_error(pairs: list[tuple[NDArray[Any], NDArray[Any]]]) -> float:
    matched = match_types(
        np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])
    )
    true_types = np.unique(np.concatenate([p[1] for p in pairs]))
    back = {true: found for found, true in matched.items()}
    errors = [
        abs(np.mean(found == back[kind]) - np.mean(true == kind))
        if kind in back
        else np.mean(true == kind)
        for found, true in pairs
        for kind in true_types.tolist()
    ]
    return float(np.mean(errors))


def _away_from_borders(truth: NDArray[Any], edge: int) -> NDArray[np.bool_]:
    if edge < 1:
        return np.ones(truth.shape, bool)
    size = (2 * edge + 1, 2 * edge + 1, 1)
    low = ndimage.minimum_filter(truth, size=size)
    return np.asarray(low == ndimage.maximum_filter(truth, size=size))
