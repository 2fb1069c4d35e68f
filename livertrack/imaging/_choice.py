"""How many tissue types: as many as come back on other scans and explain them better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.metrics import adjusted_rand_score

from livertrack._seeds import generator
from livertrack.imaging._clusters import kmeans

Floats = NDArray[np.float32]

#: places used at most, and halvings of the scans
PLACES, SPLITS = 8000, 5


def choose_types(
    latents: Floats, scan_of: NDArray[np.int64], candidates: Sequence[int], *, seed: int
) -> tuple[int, list[dict[str, Any]]]:
    """Choose the number of types by stability and held-out likelihood.

    Parameters
    ----------
    latents : array
        (places, latent).
    scan_of : array
        (places,), scan of each place: scans, not places, are put into halves.
    candidates : sequence of int
        Numbers of types to compare.

    Returns
    -------
    int
        Of the numbers whose types come back (mean agreement of the halves within one standard
        error of the most stable) the one with the highest held-out likelihood, or the smallest
        within one standard error of it.
    list of dict
        Per candidate ``n_types, stability`` (mean adjusted Rand index between the labels that the
        two halves give all places), ``stability_se``, ``loglik`` (mean log density of places of
        the other half under a mixture of round Gaussians of one size, nats per place),
        ``loglik_se`` (over halvings, of the difference to the best).

    Notes
    -----
    Source: stability as in Ben-Hur et al. (2002) and Lange et al. (2004); one standard error as in
    Breiman et al. (1984). Checked against: phantoms of known types (tests/imaging).
    """
    rng = generator(seed, "choice")
    if len(latents) > PLACES:
        chosen = np.sort(rng.choice(len(latents), PLACES, replace=False))
        latents, scan_of = latents[chosen], scan_of[chosen]
    agree = np.empty((SPLITS, len(candidates)))
    likely = np.empty((SPLITS, len(candidates)))
    for split in range(SPLITS):
        first = _half(scan_of, rng)
        for column, k in enumerate(candidates):
            labels, logs = [], []
            for number, half in enumerate((first, ~first)):
                centres, own = kmeans(
                    latents[half], k, seed=seed, name=f"choice{split}-{number}-{k}", n_init=6
                )
                distances = _squared(latents, centres)
                labels.append(distances.argmin(1))
                logs.append(_log_density(distances, half, own, latents.shape[1]))
            agree[split, column] = adjusted_rand_score(*labels)
            likely[split, column] = np.mean(logs)
    stability, loglik = agree.mean(0), likely.mean(0)
    error = agree.std(0, ddof=1) / np.sqrt(SPLITS)
    top = int(stability.argmax())
    eligible = stability >= stability[top] - error[top]
    best = int(np.where(eligible, loglik, -np.inf).argmax())
    behind = (likely - likely[:, [best]]).std(0, ddof=1) / np.sqrt(SPLITS)
    near = eligible & (loglik >= loglik[best] - behind)
    rows = [
        {
            "n_types": int(k), "stability": float(stability[i]), "stability_se": float(error[i]),
            "loglik": float(loglik[i]), "loglik_se": float(behind[i]),
        }
        for i, k in enumerate(candidates)
    ]  # fmt: skip
    return int(min(k for k, is_near in zip(candidates, near, strict=True) if is_near)), rows


def _half(scan_of: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Half of the scans; half of the places where there is one scan."""
    scans = np.unique(scan_of)
    if len(scans) < 2:
        half: NDArray[np.bool_] = rng.random(len(scan_of)) < 0.5
        return half
    chosen = rng.permutation(scans)[: len(scans) // 2]
    return np.isin(scan_of, chosen)


def _squared(rows: Floats, centres: Floats) -> NDArray[np.float64]:
    cross = rows.astype(np.float64) @ centres.T.astype(np.float64)
    inner = (rows.astype(np.float64) ** 2).sum(1, keepdims=True)
    found: NDArray[np.float64] = inner - 2 * cross + (centres.astype(np.float64) ** 2).sum(1)
    return found.clip(0)


def _log_density(
    distances: NDArray[np.float64], half: NDArray[np.bool_], own: NDArray[np.intp], dimension: int
) -> float:
    """Mean log density of the other half; size and shares of the Gaussians from this half."""
    variance = distances[half].min(1).mean() / dimension
    share = np.bincount(own, minlength=distances.shape[1]) / len(own)
    log = np.log(np.maximum(share, 1e-12)) - distances[~half] / (2 * variance)
    total = logsumexp(log, axis=1) - dimension / 2 * np.log(2 * np.pi * variance)
    return float(total.mean())
