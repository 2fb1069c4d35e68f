"""One scan of one subject at one visit: channels, liver mask and reference tissue on one grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack.errors import DataError, UsageError
from livertrack.imaging.grids import OTHER_GRID, onto, working_grid
from livertrack.imaging.reading import UnusableImage, read_header, read_voxels

Spacing = tuple[float, float, float]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

#: what is said of masks that cannot be used
EMPTY_MASK = "the mask is empty: no liver voxel"


@dataclass(frozen=True)
class Scan:
    """Volumes of one visit on one grid.

    Attributes
    ----------
    volume : array
        (channel, x, y, z) float32, in the scanner's units.
    mask : array
        Liver, bool (x, y, z).
    spacing : (float, float, float)
        Voxel size, mm.
    reference : array or None
        Tissue used to standardise intensities (spleen), bool (x, y, z).
    affine : array
        Voxel index to millimetres, (4, 4); decides the orientation and the grid of label maps.
    subject, visit : str
        USUBJID and AVISIT.
    visit_number : float
        AVISITN.
    vessels : array or None
        Vessels, bool (x, y, z); they are not part of the liver mask.
    """

    volume: Floats
    mask: Bools
    spacing: Spacing
    reference: Bools | None = None
    affine: NDArray[np.float64] | None = None
    subject: str = ""
    visit: str = ""
    visit_number: float = 0.0
    sequences: tuple[str, ...] = ()
    vessels: Bools | None = None

    def __post_init__(self) -> None:
        volume = np.asarray(self.volume, dtype=np.float32)
        volume = volume[np.newaxis] if volume.ndim == 3 else volume
        mask = np.asarray(self.mask)
        if volume.ndim != 4:
            cure = "give (channel, x, y, z)"
            raise UnusableImage(
                "not a volume of channels", cure=cure, detail=f"{volume.ndim} axes"
            )
        if mask.shape != volume.shape[1:]:
            detail = f"mask {mask.shape}, image {volume.shape[1:]}"
            raise UnusableImage(OTHER_GRID, cure="resample it to the image", detail=detail)
        mask = mask.astype(bool)
        if not mask.any():
            raise UnusableImage(EMPTY_MASK, cure="segment again or leave the scan out")
        spacing = tuple(float(s) for s in self.spacing)
        if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
            cure = "give three positive numbers"
            raise UnusableImage("voxel size is not known", cure=cure, detail=f"{self.spacing} mm")
        bad = int((~np.isfinite(volume[:, mask])).sum())
        if bad:
            raise UnusableImage(
                "voxels in the mask are not finite",
                cure="export the image again or correct the mask",
                detail=f"{bad:,} of {int(mask.sum()) * len(volume):,}",
            )
        volume = np.where(np.isfinite(volume), volume, np.float32(0))
        for name, value in (("volume", volume), ("mask", mask), ("spacing", spacing)):
            object.__setattr__(self, name, value)
        if self.reference is not None:
            reference = np.asarray(self.reference).astype(bool)
            if reference.shape != mask.shape:
                raise UnusableImage(OTHER_GRID, cure="resample the reference to the image")
            reference = reference & ~mask
            object.__setattr__(self, "reference", reference if reference.any() else None)
        if self.vessels is not None:
            vessels = np.asarray(self.vessels).astype(bool)
            if vessels.shape != mask.shape:
                raise UnusableImage(OTHER_GRID, cure="resample the vessels to the image")
            object.__setattr__(self, "vessels", vessels if vessels.any() else None)
        if self.affine is None:
            object.__setattr__(self, "affine", np.diag([*spacing, 1.0]))

    @property
    def n_voxels(self) -> int:
        """Voxels of the mask."""
        return int(self.mask.sum())

    @property
    def volume_ml(self) -> float:
        """Volume of the mask, millilitres."""
        return self.n_voxels * float(np.prod(self.spacing)) / 1000.0

    def to_torchio(self) -> Any:
        """Give a ``torchio.Subject`` with ``image``, ``mask`` and, if any, ``reference``."""
        import torch
        import torchio as tio

        def label(values: Bools) -> Any:
            return tio.LabelMap(
                tensor=torch.from_numpy(values[None].astype(np.uint8)), affine=self.affine
            )

        parts = {
            "image": tio.ScalarImage(tensor=torch.from_numpy(self.volume), affine=self.affine)
        }
        parts["mask"] = label(self.mask)
        if self.reference is not None:
            parts["reference"] = label(self.reference)
        return tio.Subject(parts)


def read_scan(
    images: str | Path | Sequence[str | Path],
    mask: str | Path,
    *,
    liver_label: int | None = None,
    reference_label: int | None = None,
    vessel_label: int | None = None,
    subject: str = "",
    visit: str = "",
    visit_number: float = 0.0,
    sequences: Sequence[str] = (),
) -> Scan:
    """Read the sequences of one visit and its mask onto the grid of the mask.

    Parameters
    ----------
    images : path or paths
        One file per channel, in the order of the channels.
    mask : path
        Liver mask or label map.
    liver_label : int or None
        Number of the liver in the label map; None takes every voxel above zero but the
        reference and the vessels.
    reference_label : int or None
        Number of the reference tissue (spleen); a scan without it has ``reference`` None.
    vessel_label : int or None
        Number of the vessels, which are not analysed as liver; a scan without them has
        ``vessels`` None.

    Returns
    -------
    Scan

    Raises
    ------
    ImageError
        A file is absent, damaged, too large, without liver voxels, with voxels that are not
        finite inside the mask, or on another grid.

    Notes
    -----
    The grid is that of the mask; of a mask stored as the box around its labels (NRRD, DICOM
    segmentation), that of the first image. The first image must have the same voxels, its axes
    may be swapped or turned. A further channel sampled differently over the same field of view
    (axes parallel within 0.02, extent within two voxels) is resampled linearly; any other grid is
    an error.
    """
    paths = [Path(p) for p in ([images] if isinstance(images, (str, Path)) else images)]
    if not paths:
        msg = "a scan needs at least one image"
        raise UsageError(msg)
    headers = [read_header(path) for path in paths]
    outline = read_header(mask)
    grid = working_grid(headers, outline)
    labels = onto(np.rint(read_voxels(outline)), outline, grid)
    reference = None if reference_label is None else labels == reference_label
    vessels = None if vessel_label is None else labels == vessel_label
    liver = liver_of(labels, liver_label, reference_label, vessel_label)
    if not liver.any():
        detail = "none above zero" if liver_label is None else f"none of label {liver_label}"
        cure = "segment again or leave the scan out"
        raise UnusableImage(
            EMPTY_MASK, cure=cure, file=outline.path.name, detail=detail, column="MASK"
        )
    channels = [onto(read_voxels(header), header, grid) for header in headers]
    return Scan(
        np.stack(channels), liver, grid.spacing, reference, grid.affine,
        subject, visit, float(visit_number), tuple(sequences), vessels,
    )  # fmt: skip


def liver_of(labels: Floats, liver: int | None, *others: int | None) -> Bools:
    """Liver voxels of a label map: those of ``liver``, or all above zero but the ``others``."""
    if liver is not None:
        return np.asarray(labels == liver)
    rest = [other for other in others if other is not None]
    return np.asarray((labels > 0) & ~np.isin(labels, rest))


@dataclass(frozen=True)
class Source:
    """A scan yet to be loaded: what a worker is sent."""

    subject: str
    visit: str
    visit_number: float
    images: tuple[Path, ...] = ()
    mask: Path | None = None
    sequences: tuple[str, ...] = ()
    liver_label: int | None = None
    reference_label: int | None = None
    vessel_label: int | None = None
    scan: Scan | None = field(default=None, repr=False)

    def load(self) -> Scan:
        """Read the scan (or give the one in memory)."""
        if self.scan is not None:
            return self.scan
        if self.mask is None or not str(self.mask):
            raise UnusableImage(
                "no mask is given", cure="every scan needs a liver mask", column="MASK"
            )
        return read_scan(
            self.images, self.mask, liver_label=self.liver_label,
            reference_label=self.reference_label, vessel_label=self.vessel_label,
            subject=self.subject, visit=self.visit, visit_number=self.visit_number,
            sequences=self.sequences,
        )  # fmt: skip


def sources(
    images: pd.DataFrame | Iterable[Any],
    *,
    sequences: Sequence[str] | None = None,
    liver_label: int | None = None,
    reference_label: int | None = None,
    vessel_label: int | None = None,
) -> list[Source]:
    """List the scans of an images frame, or of Scan objects, or of (volume, mask, spacing) tuples.

    A frame is sorted by subject and visit; ``sequences`` gives the order of the channels
    (alphabetical where None). The order of rows and columns does not matter.
    """
    if not isinstance(images, pd.DataFrame):
        return [_source_of(item, number) for number, item in enumerate(images, start=1)]
    needed = ["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
    missing = [column for column in needed if column not in images.columns]
    if missing:
        msg = (
            f"images: columns {', '.join(missing)} are missing; images.csv has {', '.join(needed)}"
        )
        raise DataError(msg)
    repeated = int(images.duplicated(["USUBJID", "AVISITN", "SEQUENCE"]).sum())
    if repeated:
        msg = f"images: {repeated} rows repeat a subject, visit and SEQUENCE; keep one of each"
        raise DataError(msg)
    wanted = (
        sorted(images["SEQUENCE"].astype(str).unique()) if sequences is None else list(sequences)
    )
    rows = images.assign(
        SEQUENCE=images["SEQUENCE"].astype(str), AVISIT=images["AVISIT"].astype(str)
    )
    found = []
    for (subject, _), part in rows.groupby(["USUBJID", "AVISITN"], sort=True):
        by_name = part.set_index("SEQUENCE")
        present = tuple(name for name in wanted if name in by_name.index)
        mask = next(
            (m for m in part.sort_values("SEQUENCE")["MASK"] if pd.notna(m) and str(m)), None
        )
        found.append(
            Source(
                str(subject), str(part["AVISIT"].iloc[0]), float(part["AVISITN"].iloc[0]),
                tuple(Path(str(by_name.loc[name, "IMAGE"])) for name in present),
                None if mask is None else Path(str(mask)), present, liver_label, reference_label,
                vessel_label,
            )
        )  # fmt: skip
    return found


def image_pairs(pairs: Iterable[tuple[str | Path, str | Path]]) -> pd.DataFrame:
    """Images frame of (IMAGE, MASK) pairs: one subject each, named 001, 002, ... in that order."""
    rows = [
        {
            "USUBJID": f"{number:03d}", "AVISIT": "Scan", "AVISITN": 0, "SEQUENCE": "IMAGE",
            "IMAGE": str(Path(image).absolute()), "MASK": str(Path(mask).absolute()),
        }
        for number, (image, mask) in enumerate(pairs, start=1)
    ]  # fmt: skip
    return pd.DataFrame(
        rows, columns=["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
    )


def _source_of(item: Any, number: int) -> Source:
    if isinstance(item, Source):
        return item
    if not isinstance(item, Scan):
        if not isinstance(item, (tuple, list)) or not 3 <= len(item) <= 4:
            msg = "images: expected a frame, Scan objects, or tuples (volume, mask, spacing)"
            raise UsageError(msg)
        item = Scan(*item)
    subject = item.subject or f"{number:04d}"
    return Source(subject, item.visit or "Scan", item.visit_number, scan=item)
