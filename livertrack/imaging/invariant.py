"""An encoder learned in closed form: the directions that views of a place share best.

Fixed random rectified features widen the bank; of all linear codes of them those are kept whose
variance between places is largest in units of that between views of one place (another scanner,
a few voxels away): canonical variates with places as classes. It is what invariance learning by
steps approaches, without steps and without a start that decides the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg
from torch import Tensor

from livertrack._seeds import generator
from livertrack.imaging.augment import Scanner
from livertrack.imaging.texture import BankEncoder

Doubles = NDArray[np.float64]

#: added to the variance within places, as a part of the mean variance
RIDGE = 1e-3
#: places whose features are widened at once
BLOCK = 2048


class InvariantEncoder(BankEncoder):
    """Random rectified features of the bank and a linear code of them (see `BankEncoder`)."""

    least_signal = 1.0
    weights: Tensor
    offsets: Tensor
    readout: Tensor
    shift: Tensor

    def __init__(
        self, channels: int, *, hidden: int = 256, latent: int = 8, **geometry: Any
    ) -> None:
        super().__init__(channels, hidden=hidden, latent=latent, **geometry)
        # the same for every seed: two fits differ by the places and views that they saw alone
        rng = generator(0, "random features")
        weights = rng.standard_normal((hidden, self.width)) / np.sqrt(self.width)
        self.register_buffer("weights", torch.from_numpy(weights).float())
        offsets = 0.5 * rng.standard_normal(hidden)
        self.register_buffer("offsets", torch.from_numpy(offsets).float())
        self.register_buffer("readout", torch.zeros(latent, self.width + hidden))
        self.register_buffer("shift", torch.zeros(latent))

    def wide(self, rows: Tensor) -> Tensor:
        """Standardised features and their random rectified ones (n, features + hidden)."""
        x = (rows - self.centre) / self.scale
        return torch.cat([x, torch.relu(x @ self.weights.T + self.offsets)], dim=1)

    def code(self, rows: Tensor) -> Tensor:
        """Code (n, latent) of features (n, features)."""
        return self.wide(rows) @ self.readout.T - self.shift

    def fused(self) -> Callable[[Tensor], Tensor]:
        """`head` for many voxels: columns (features, n) to latents (latent + channels, n).

        Standardisation is folded into the weights; what is linear in the features, the local
        signal too, is one product. max(x + b, 0) is written as max(x, -b) + b, the last b as a
        part of the shift: one pass over the hidden layer.
        """
        with torch.inference_mode():
            inner = (self.weights / self.scale).contiguous()
            offset = self.offsets - inner @ self.centre
            least = -offset[:, None]
            code = self.mix.T @ self.readout
            plain, bent = code[:, : self.width] / self.scale, code[:, self.width :].contiguous()
            tail, tail_shift = self._tail()
            linear = torch.cat([plain, tail]).contiguous()
            shift = bent @ offset - plain @ self.centre - self.mix.T @ self.shift
            shifts = torch.cat([shift[:, None], tail_shift])

        def latents(columns: Tensor) -> Tensor:
            hidden = torch.mm(inner, columns)
            torch.maximum(hidden, least, out=hidden)
            out = torch.addmm(shifts, linear, columns)
            out[: len(bent)].addmm_(bent, hidden)
            return out

        return latents


def gain_views(
    encoder: BankEncoder, rows: Tensor, scanner: Scanner, draw: torch.Generator
) -> Tensor:
    """Views of places with gains of their own.

    Parameters
    ----------
    rows : Tensor
        (places, views, features); the first view stays as it is.
    """
    out = rows.clone()
    for view in range(1, rows.shape[1]):
        gains = scanner.log_gains(len(rows), encoder.channels, draw)
        out[:, view] = encoder.with_gains(rows[:, view], gains)
    return out


def learn_invariant(encoder: InvariantEncoder, rows: Tensor) -> Doubles:
    """Set the code of ``encoder``.

    Parameters
    ----------
    rows : Tensor
        (places, views, features) of the bank.

    Returns
    -------
    array
        (latent,), of each direction the variance of places in units of that between views of a
        place; 1 where views of a place differ as much as places do.

    Notes
    -----
    Source: canonical variates (Fisher) on random features (Rahimi and Recht 2008).
    Checked against: a hand-worked case and scikit-learn's discriminant analysis
    (tests/imaging/test_invariant.py).
    """
    with torch.no_grad():
        encoder.centre.copy_(rows[:, 0].mean(0))
        encoder.scale.copy_(rows[:, 0].std(0).clamp_min(1e-6))
    total, within, mean = _scatter(encoder, rows)
    ridge = RIDGE * np.trace(total) / len(total) * np.eye(len(total))
    values, vectors = linalg.eigh(total, within + ridge)
    latent = int(encoder.settings["latent"])
    kept = vectors[:, ::-1][:, :latent]
    kept = kept * np.sign(kept[np.abs(kept).argmax(0), np.arange(latent)])
    with torch.no_grad():
        encoder.readout.copy_(torch.from_numpy(kept.T.copy()))
        encoder.shift.copy_(torch.from_numpy(mean @ kept))
    ratios: Doubles = values[::-1][:latent]
    return ratios


def _scatter(encoder: InvariantEncoder, rows: Tensor) -> tuple[Doubles, Doubles, Doubles]:
    """Covariance of all views, that of views about their place, and the mean; in blocks."""
    size, views = encoder.readout.shape[1], rows.shape[1]
    products, within, sums = np.zeros((size, size)), np.zeros((size, size)), np.zeros(size)
    for block in rows.split(BLOCK):
        with torch.no_grad():
            wide = encoder.wide(block.flatten(0, 1)).double().numpy()
        sums += wide.sum(0)
        products += wide.T @ wide
        apart = wide.reshape(-1, views, size)
        apart = (apart - apart.mean(1, keepdims=True)).reshape(-1, size)
        within += apart.T @ apart
    count = len(rows) * views
    mean = sums / count
    total = products / count - np.outer(mean, mean)
    return total, within / (len(rows) * max(1, views - 1)), mean
