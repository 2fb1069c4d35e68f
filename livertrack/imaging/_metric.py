"""The space in which types are told apart: what two views of a place have in common.

Differences between views of the same place (another scanner, a few voxels away) are what a tissue
type should ignore. Both the learned code and the local signal are scaled so that such differences
have unit size in every direction.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from livertrack.imaging.texture import BankEncoder

Doubles = NDArray[np.float64]

#: largest weight of the signal beside the code
_MOST = 3.0


def set_metric(encoder: BankEncoder, codes: Tensor, signals: Tensor) -> float:
    """Set the encoder's matrices ``mix`` and ``signal_mix``; returns the weight of the signal.

    Parameters
    ----------
    codes, signals : Tensor
        (places, views, dimensions): learned codes, and local means of the channels (ratios to the
        first, and the level).

    Notes
    -----
    The code's variance is set to one in total. The signal's is set to its signal-to-noise ratio:
    the mean over its directions of the variance between places over that between views, less
    one, kept within the encoder's ``least_signal`` and 3. Where intensities tell places apart
    (fat, contrast) they lead; where they do not, texture does.
    """
    code, code_between = _whitening(codes.numpy().astype(np.float64))
    signal, signal_between = _whitening(signals.numpy().astype(np.float64))
    weight = float(np.clip((signal_between - 1).mean(), encoder.least_signal, _MOST))
    code /= np.sqrt(code_between.sum())
    signal *= np.sqrt(weight / signal_between.sum())
    with torch.no_grad():
        encoder.mix.copy_(torch.from_numpy(code))
        encoder.signal_mix.copy_(torch.from_numpy(signal))
    return weight


def _whitening(views: Doubles) -> tuple[Doubles, Doubles]:
    """Symmetric matrix that gives differences of views unit size, and the variances it leaves."""
    n = views.shape[1]
    pairs = [views[:, a] - views[:, b] for a in range(n) for b in range(a)]
    difference = np.concatenate(pairs)
    within = difference.T @ difference / (2 * len(difference))
    values, vectors = np.linalg.eigh(within)
    values = np.maximum(values, 1e-6 * max(float(values.max()), 1e-12))
    matrix = (vectors / np.sqrt(values)) @ vectors.T
    return matrix, (views[:, 0] @ matrix).var(axis=0)
