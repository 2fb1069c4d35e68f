"""Soft labels: how probable each tissue type is in each voxel, for pathways that doubt.

A voxel between two types has either label by chance of the noise, and changes it from scan to
scan. Its probabilities hardly change, and pathways counted from them take it as unchanged.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from tqdm import tqdm

from livertrack._files import whole_file
from livertrack.imaging._threads import pick_device, torch_threads
from livertrack.imaging.preprocessing import prepare
from livertrack.imaging.scan import Scan, read_scan

if TYPE_CHECKING:
    from livertrack.imaging.vocabulary import Vocabulary

#: Variance of a voxel's latent about its type, in units of the mean squared distance of a place
#: from the mean of its type: what predicts the type in a repeat scan best
#: (analysis/benchmarks/soft_labels.py).
SOFTNESS = 0.35
#: steps of a stored probability
_STEPS = 255
_ROW = 30_000


def soft_labels(
    vocabulary: Vocabulary, scan: Scan, *, softness: float = SOFTNESS, device: str | None = None
) -> NDArray[np.float32]:
    """Probability of every tissue type in every voxel of the mask.

    Parameters
    ----------
    vocabulary : Vocabulary
    scan : Scan
        The channels of the vocabulary, in order.
    softness : float
        Variance of the latent about a cluster's centre, in units of the squared spread of the
        types (mean squared distance of a place from the mean of its type). Towards 0 the
        probabilities are 0 and 1.
    device : str or None

    Returns
    -------
    array
        float32 (x, y, z, K): rows sum to one inside the mask, to zero outside.

    Notes
    -----
    ``p(k) ~ sum over the clusters c of type k of exp(-|z - c|^2 / (2 softness spread^2))``, with z
    the latent of the voxel. The latent space is scaled so that differences between views of one
    place have the same size in all directions, so one variance serves. The most probable type is
    the label of `Vocabulary.label` where every type is one cluster.
    Checked against: the label maps, and hand-worked distances (tests/imaging/test_soft_labels.py).
    """
    import torch

    from livertrack.imaging.network import feature_rows

    where = pick_device(device)
    with torch_threads(1):
        prepared = prepare(scan, vocabulary.preparation, vocabulary.encoder.field)
        encoder = vocabulary.encoder.to(where)
        rows = feature_rows(
            encoder, torch.from_numpy(prepared.volume), torch.from_numpy(prepared.mask),
            device=where,
        )  # fmt: skip
        with torch.inference_mode():
            parts = [encoder.head(part.to(where)).cpu().numpy() for part in rows.split(16384)]
    variance = softness * _spread(vocabulary) ** 2
    shares = np.concatenate([_shares(vocabulary, part, variance) for part in parts])
    # a label map holds 16 bits, so the number of a row is carried to the scan's grid in two parts
    number = np.arange(len(shares))
    high = prepared.restore((number // _ROW + 1).astype(np.int16))[scan.mask].astype(np.int64)
    low = prepared.restore((number % _ROW + 1).astype(np.int16))[scan.mask].astype(np.int64)
    out = np.zeros((*scan.mask.shape, vocabulary.n_types), np.float32)
    out[scan.mask] = shares[(high - 1) * _ROW + low - 1]
    return out


def _spread(vocabulary: Vocabulary) -> float:
    """Root mean squared distance of a place from the mean of its type, in latent units."""
    types = range(1, vocabulary.n_types + 1)
    groups = np.asarray(vocabulary.groups)
    means = np.stack([
        vocabulary.centres[groups == t].mean(axis=0) if (groups == t).any()
        else np.full(vocabulary.centres.shape[1], np.nan)
        for t in types
    ]).astype(float)  # fmt: skip
    between = np.sqrt(((means[:, None] - means[None]) ** 2).sum(axis=-1))
    units = np.asarray(vocabulary.card["distances"], float)
    known = np.isfinite(between) & (units > 0)
    return float(np.median(between[known] / units[known])) if known.any() else 1.0


def _shares(
    vocabulary: Vocabulary, latents: NDArray[np.floating[Any]], variance: float
) -> NDArray[np.float32]:
    centres = np.asarray(vocabulary.centres, float)
    latents = np.asarray(latents, float)
    # |z - c|^2 without |z|^2, which is the same for all
    far = (centres**2).sum(axis=1) - 2 * latents @ centres.T
    logs = -far / (2 * variance)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    out = np.zeros((len(latents), vocabulary.n_types), np.float32)
    for cluster, kind in enumerate(vocabulary.groups):
        out[:, kind - 1] += weights[:, cluster].astype(np.float32)
    return out


def soft_name(label_map: str | Path) -> str:
    """File name of the probabilities beside a label map."""
    name = Path(str(label_map)).name
    return name.removesuffix(".nii.gz").removesuffix("_dseg") + "_probseg.nii.gz"


def write_soft_labels(
    scans: pd.DataFrame,
    vocabulary: Vocabulary,
    *,
    out: str | Path,
    liver_label: int | None = None,
    reference_label: int | None = None,
    vessel_label: int | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> list[Path]:
    """Write the probabilities of labelled scans as NIfTI, (x, y, z, K) on the grid of the mask.

    Parameters
    ----------
    scans : DataFrame, one row per labelled scan
        ``MAP, MASK``, and ``IMAGES``: a mapping of sequence to path.
    vocabulary : Vocabulary
    out : path
        Folder; a file is called as its label map, ``_probseg`` in place of ``_dseg``.
    liver_label, reference_label, vessel_label : int or None
        Values in MASK.
    workers : int or None
        Processes; None leaves it to ``joblib.parallel_config``. Results do not depend on it.

    Returns
    -------
    list of Path
        One per row. Probabilities are stored in steps of 1/255.
    """
    labels: dict[str, Any] = {
        "liver_label": liver_label, "reference_label": reference_label,
        "vessel_label": vessel_label,
    }  # fmt: skip
    work = partial(_write, vocabulary=vocabulary, labels=labels, out=Path(out))
    rows = scans.to_dict("records")
    done = Parallel(n_jobs=workers, return_as="generator")(delayed(work)(row) for row in rows)
    shown = tqdm(done, total=len(rows), desc="soft labels", unit="scan", disable=not progress)
    return list(shown)


def _write(
    row: dict[str, Any], *, vocabulary: Vocabulary, labels: dict[str, Any], out: Path
) -> Path:
    named: dict[str, Any] = row["IMAGES"]
    order = vocabulary.sequences if any(vocabulary.sequences) else tuple(named)
    scan = read_scan([named[name] for name in order], row["MASK"], **labels)
    shares = np.rint(soft_labels(vocabulary, scan) * _STEPS).astype(np.uint8)
    image = nib.Nifti1Image(shares, scan.affine)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(1 / _STEPS, 0)
    path = out / soft_name(row["MAP"])
    with whole_file(path) as temporary:
        nib.save(image, temporary)
    return path
