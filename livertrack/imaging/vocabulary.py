"""A tissue vocabulary: learned from scans, frozen, and used to label the voxels of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from livertrack.errors import DataError, UsageError
from livertrack.imaging import _fitting, _vocabulary_file
from livertrack.imaging._assignment import Labelled, Work, signed_types, types_and_shares
from livertrack.imaging._dense import over_voxels
from livertrack.imaging._threads import pick_device, torch_threads
from livertrack.imaging.label_files import STEPS
from livertrack.imaging.network import Encoder
from livertrack.imaging.preprocessing import (
    Align,
    BiasField,
    Preparation,
    Prepared,
    Standardise,
    prepare,
)
from livertrack.imaging.quality import quality_numbers
from livertrack.imaging.scan import Bools, Floats, Scan, Spacing, sources
from livertrack.imaging.signatures import Unknown
from livertrack.imaging.soft_labels import latent_variance
from livertrack.imaging.training import Recipe

Method = Literal["invariant", "joint", "kmeans", "dcn"]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Encoder, clusters and preparation of scans, frozen.

    Attributes
    ----------
    encoder : Encoder
        Voxels to latents.
    centres : array
        (clusters, latent); several clusters may make one type.
    groups : array
        (clusters,), type of each cluster, 1..K.
    settings : mapping
        All that decided the vocabulary: method, seed, steps, sequences, preparation, counts.
    card : mapping of arrays
        ``profile`` (K, C) mean of each standardised channel; ``prevalence`` (K,) part of the
        training places; ``exemplars`` (K, n, C, 17, 17) standardised pictures of the most typical
        places; ``distances`` (K, K) between the mean latents of types, in units of their spread;
        ``limit, variance`` of the clusters and ``levels, heights`` of the hierarchy (see
        `calibration`).
    """

    encoder: Encoder
    centres: Floats
    groups: NDArray[np.int16]
    settings: Mapping[str, Any]
    card: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", dict(self.settings))
        object.__setattr__(self, "card", dict(self.card))
        self.encoder.eval()

    @property
    def n_types(self) -> int:
        """Number of tissue types, K."""
        return int(self.settings["n_types"])

    @property
    def sequences(self) -> tuple[str, ...]:
        """Names of the channels, in order (blank for arrays without names)."""
        return tuple(self.settings["sequences"])

    @property
    def preparation(self) -> Preparation:
        """How scans are prepared."""
        stored = dict(self.settings["preparation"])
        spacing = stored.pop("spacing_mm")
        stored["divisors"] = tuple(stored.get("divisors", ()))
        return Preparation(None if spacing is None else tuple(spacing), **stored)

    @property
    def parameters(self) -> tuple[str, ...]:
        """PARAMCD of each type: TV01, TV02, ..."""
        return tuple(f"TV{number:02d}" for number in range(1, self.n_types + 1))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the file that `save` writes."""
        return _vocabulary_file.digest(self)

    @property
    def table(self) -> pd.DataFrame:
        """The card in numbers, a row per type: share, mean of each channel, nearest type."""
        names = [name or f"CH{i}" for i, name in enumerate(self.sequences, start=1)]
        distances = np.array(self.card["distances"], dtype=float)
        np.fill_diagonal(distances, np.inf)
        frame = pd.DataFrame({"type": range(1, self.n_types + 1), "paramcd": self.parameters})
        frame["prevalence"] = self.card["prevalence"].astype(float)
        for number, name in enumerate(names):
            frame[f"mean_{name}"] = self.card["profile"][:, number].astype(float)
        frame["nearest_type"] = distances.argmin(axis=1) + 1
        frame["nearest_distance"] = distances.min(axis=1)
        return frame

    @property
    def hierarchy(self) -> pd.DataFrame:
        """How types merge: a row per level with ``n_groups``, ``merged``, ``distance, groups``.

        ``merged`` names the two groups that became one, ``distance`` is that between their mean
        latents, in units of the spread of a type where it is known.
        """
        names, rows = self.parameters, []
        before = [frozenset([number]) for number in range(self.n_types)]
        unit = self._spread or 1.0
        for level, height in zip(self.card["levels"], self.card["heights"], strict=True):
            after = [frozenset(np.flatnonzero(level == n).tolist()) for n in np.unique(level)]
            joined = [group for group in before if group not in after]
            rows.append(
                {
                    "n_groups": len(after),
                    "merged": " with ".join(_named(group, names) for group in joined),
                    "distance": float(height) / unit,
                    "groups": ", ".join(_named(group, names) for group in after),
                }
            )
            before = after
        return pd.DataFrame(rows)

    @property
    def _spread(self) -> float:
        """Root mean squared distance of the training places to their centre."""
        total = float(self.card["variance"][0]) * self.centres.shape[1]
        return float(np.sqrt(total)) if np.isfinite(total) else 0.0

    def label(
        self,
        volume: Floats,
        mask: Bools,
        spacing: Spacing,
        *,
        reference: Bools | None = None,
        affine: NDArray[np.float64] | None = None,
        unknown: Unknown = "nearest",
        device: str | None = None,
        threads: int | None = None,
    ) -> NDArray[np.int16]:
        """Tissue type of every voxel of the mask.

        Parameters
        ----------
        volume : array
            (channel, x, y, z), the channels of the fit in the same order; scanner units.
        mask : array
            Liver, bool (x, y, z).
        spacing : (float, float, float)
            Voxel size, mm.
        reference : array or None
            Reference tissue, needed where the vocabulary was fitted with one.
        affine : array or None
            Orientation; where None the axes are taken as those of the fit.
        unknown : {"nearest", "exclude"}
            A voxel farther from its centre than 99.9 % of the training views of that cluster is
            unlike any seen: give it the nearest type, or 0.
        threads : int or None
            Tiles labelled at the same time; as many as torch uses where None. The labels do not
            depend on it.

        Returns
        -------
        array
            int16 of the shape of the mask: 1..K inside (0 where unknown voxels are excluded), 0
            outside.
        """
        scan = Scan(volume, mask, spacing, reference, affine)
        return self.label_scan(scan, unknown=unknown, device=device, threads=threads)[0]

    def label_scan(
        self,
        scan: Scan,
        *,
        unknown: Unknown = "nearest",
        device: str | None = None,
        threads: int | None = None,
    ) -> tuple[NDArray[np.int16], dict[str, Any]]:
        """Label map on the scan's grid, and the scan's quality numbers.

        Among them ``UNKNOWN``: part of the mask unlike any tissue seen (see `label`).
        """
        found = self.labelled(scan, unknown=unknown, device=device, threads=threads)
        return found.labels, found.quality

    def labelled(
        self,
        scan: Scan,
        *,
        unknown: Unknown = "nearest",
        softness: float | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> Labelled:
        """Label map, quality numbers and, with ``softness``, probabilities, in one pass.

        See `label_scan` and `soft_labels`.
        """
        work: Callable[[Vocabulary, torch.device], Work] = signed_types
        if softness is not None:
            work = partial(types_and_shares, variance=latent_variance(self, softness))
        prepared, rows = self.over(scan, work, device=pick_device(device), threads=threads)
        labels = (rows if softness is None else rows[:, 0]).astype(np.int16)
        marked = prepared.restore(labels)
        fixed = self.preparation.fixed(len(scan.volume)) > 0
        numbers = quality_numbers(scan, quantitative=fixed.tolist())
        share = float((marked < 0).sum() / max(1, int(scan.mask.sum())))
        kept = np.abs(marked) if unknown == "nearest" else np.maximum(marked, 0)
        shares = None
        if softness is not None:
            shares = prepared.restore(np.rint(rows[:, 1:] * STEPS).astype(np.uint8))
        quality = {**numbers, **prepared.quality, "UNKNOWN": share}
        return Labelled(kept.astype(np.int16), shares, quality)

    def over(
        self, scan: Scan, work: Callable[[Vocabulary, torch.device], Work], *,
        device: torch.device, threads: int | None = None,
    ) -> tuple[Prepared, NDArray[Any]]:  # fmt: skip
        """Prepare a scan and apply ``work`` to the latents of its voxels."""
        channels = int(self.encoder.settings["channels"])
        if len(scan.volume) != channels:
            msg = f"the scan has {len(scan.volume)} channels, the vocabulary needs {channels}"
            raise DataError(msg)
        threads = threads or torch.get_num_threads()
        with torch_threads(1):
            prepared = prepare(scan, self.preparation, self.encoder.field)
            encoder = self.encoder.to(device)
            rows = over_voxels(
                encoder, torch.from_numpy(prepared.volume), torch.from_numpy(prepared.mask),
                work(self, device), device=device, threads=threads,
            )  # fmt: skip
        return prepared, rows.numpy()

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as safetensors; the same vocabulary gives the same bytes."""
        _vocabulary_file.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Read a vocabulary that `save` wrote.

        Raises
        ------
        DataError
            The file is absent, damaged, or not a vocabulary.
        """
        return cls(**_vocabulary_file.load(path))

    def _repr_html_(self) -> str:
        table = self.table.to_html(index=False, border=0, float_format=lambda v: f"{v:.3g}")
        return f"<div class='livertrack-result'>{table}<p>{self.text}</p></div>"

    @property
    def text(self) -> str:
        """One sentence on how it was learned."""
        s = self.settings
        steps = f"{s['steps']} steps, " if s["method"] in ("joint", "dcn") else ""
        return (
            f"{self.n_types} tissue types from {s['n_places']:,} places in {s['n_scans']} scans "
            f"(method {s['method']}, {steps}seed {s['seed']})."
        )


def fit_vocabulary(
    images: pd.DataFrame | Iterable[Any],
    *,
    n_types: int | Literal["auto"] = 10,
    type_range: tuple[int, int] = (4, 12),
    seed: int,
    method: Method = "invariant",
    steps: int = 600,
    sequences: Sequence[str] | None = None,
    liver_label: int | None = None,
    reference_label: int | None = None,
    spacing_mm: Spacing | None = None,
    standardise: Standardise | Literal["auto"] = "auto",
    bias_field: BiasField = "n4",
    align_channels: Align = "none",
    quantitative: Mapping[str, float] | None = None,
    over: int = 1,
    max_scans: int = 64,
    n_places: int = 24_000,
    recipe: Recipe | None = None,
    workers: int | None = None,
    threads: int = 1,
    device: str | None = None,
    progress: bool = False,
) -> Vocabulary:
    """Learn a tissue vocabulary from scans.

    Parameters
    ----------
    images : DataFrame or iterable
        Rows of ``images.csv`` (absolute paths), or `Scan` objects, or tuples ``(volume, mask,
        spacing)`` or ``(volume, mask, spacing, reference)`` with volume (channel, x, y, z).
    n_types : int or "auto"
        Tissue types, K; ``auto`` chooses within ``type_range`` by stability and held-out
        likelihood (see `choose_types`) and keeps what it compared in ``settings["choice"]``.
    type_range : (int, int)
        Fewest and most types that ``auto`` compares.
    seed : int
        Decides everything that is drawn.
    method : {"invariant", "joint", "kmeans", "dcn"}
        ``invariant``: an encoder learned in closed form from views of places, then k-means.
        ``joint``: network and clusters learned at once by invariance and swapped assignment.
        ``kmeans``: k-means on the principal components of raw 7 x 7 x 3 patches. ``dcn``: the
        published autoencoder with cluster centres, mended.
    steps : int
        Training steps (``joint``: 1,024 pairs each; ``dcn``: 256 patches each; the others take
        none).
    sequences : sequence of str or None
        Channels to use, in order; every sequence of the frame, alphabetically, where None.
    liver_label, reference_label : int or None
        Values of the liver and of the reference tissue in MASK.
    spacing_mm : (float, float, float) or None
        Working grid, mm; the median voxel size of the scans where None.
    standardise : {"auto", "reference", "tail", "none"}
        See `Preparation`; ``auto`` takes the reference tissue where every scan has one.
    align_channels : {"none", "rigid"}
        Align the other channels of a scan to its first.
    quantitative : mapping or None
        Sequences in physical units and the number each is divided by, in place of bias correction
        and standardisation: ``{"PDFF": 20, "R2STAR": 100}``.
    over : int
        Clusters per type that are found first and then merged (Ward); ``invariant`` and
        ``joint`` only. More than one helps signatures of rare types and costs stability.
    max_scans : int
        Scans used at most; drawn by the seed where there are more.
    n_places : int
        Voxels used for training, spread evenly over the scans.
    workers : int or None
        Processes that read and prepare scans; None leaves it to ``joblib.parallel_config``.
    threads : int
        torch threads while training, whatever the environment says: it decides the last bit, and
        is part of the settings.
    device : str or None
        ``"cpu"``, ``"cuda"``; None takes the GPU where there is one.

    Returns
    -------
    Vocabulary
        Types are numbered by the mean of their first channel, darkest first.

    Notes
    -----
    Scans that cannot be used are left out and counted in ``settings["excluded"]``; with none left
    a DataError names the reasons. Source: ``invariant``: canonical variates (Fisher) of random
    features (Rahimi and Recht 2008); ``joint``: VICReg (Bardes et al. 2022), SwAV (Caron et al.
    2020); ``dcn`` after Perkonigg et al. (arXiv 2507.12012).
    Checked against: known truth on phantoms (tests/imaging), k-means on patches in the same run.
    """
    if method not in get_args(Method):
        msg = f"method {method!r}, expected one of {', '.join(get_args(Method))}"
        raise UsageError(msg)
    automatic = n_types == "auto"
    low, high = type_range if automatic else (n_types, n_types)
    if not (isinstance(low, int) and isinstance(high, int) and 2 <= low <= high):
        msg = f"n_types={n_types}, type_range={type_range}: whole numbers from 2 up are needed"
        raise UsageError(msg)
    if steps < 1 or over < 1:
        msg = f"steps={steps}, over={over}: at least 1 is needed"
        raise UsageError(msg)
    found = sources(
        images, sequences=sequences, liver_label=liver_label, reference_label=reference_label
    )
    with torch_threads(threads):
        parts = _fitting.fit(
            found, n_types=None if automatic else high, type_range=(low, high), seed=seed,
            method=method, steps=steps, spacing_mm=spacing_mm,
            standardise=standardise, bias_field=bias_field, align_channels=align_channels,
            quantitative=quantitative or {}, over=over, max_scans=max_scans,
            n_places=n_places, recipe=recipe or Recipe(), workers=workers, threads=threads,
            device=pick_device(device), progress=progress,
        )  # fmt: skip
    return Vocabulary(**parts)


def _named(group: Iterable[int], names: Sequence[str]) -> str:
    return "+".join(names[number] for number in sorted(group))
