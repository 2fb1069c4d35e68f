"""A common frame of livers: every subject's changes on one template liver.

The template is one subject's baseline liver, chosen by its volume alone. Each of its voxels is
found in every other subject's baseline liver by an affine registration of the surfaces; the types
there, then and at the follow-up, are counted in cells of the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from livertrack._files import whole_file
from livertrack.imaging.correspondence import register
from livertrack.imaging.scan import Scan

#: Edge of a cell of the template, mm.
CELL_MM = 12.0
#: Voxels of the template that are looked up in every subject.
MOST_VOXELS = 60_000
#: A subject whose liver overlaps the template less after registration has no atlas records.
LEAST_DICE = 0.7

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Template:
    """Template liver.

    Attributes
    ----------
    scan : Scan
        Its mask decides; intensities are not used.
    cells : int32 array (x, y, z)
        Number of the cell of each liver voxel, from 1; 0 outside.
    voxels : int array (n, 3)
        Voxels that are looked up, evenly spread.
    """

    scan: Scan
    cells: NDArray[np.int32]
    voxels: NDArray[np.intp]

    @classmethod
    def of(cls, scan: Scan, cell_mm: float = CELL_MM) -> Template:
        """Template with cells of about ``cell_mm`` along each axis of its grid."""
        flat = Scan(
            np.zeros((1, *scan.mask.shape), np.float32), scan.mask, scan.spacing,
            affine=scan.affine,
        )  # fmt: skip
        edge = [max(1, round(cell_mm / step)) for step in scan.spacing]
        blocks = [np.arange(n) // size for n, size in zip(scan.mask.shape, edge, strict=True)]
        counts = [int(block[-1]) + 1 for block in blocks]
        number = (
            blocks[0][:, None, None] * counts[1] + blocks[1][None, :, None]
        ) * counts[2] + blocks[2][None, None, :]  # fmt: skip
        found = np.unique(number[scan.mask])
        cells = np.zeros(scan.mask.shape, np.int32)
        cells[scan.mask] = 1 + np.searchsorted(found, number[scan.mask])
        voxels = np.argwhere(scan.mask)
        if len(voxels) > MOST_VOXELS:
            voxels = voxels[np.linspace(0, len(voxels) - 1, MOST_VOXELS).astype(int)]
        return cls(flat, cells, voxels)

    def write(self, path: str | Path) -> None:
        """Write the cells as NIfTI, on the grid of the template."""
        image = nib.Nifti1Image(self.cells, self.scan.affine)
        image.header.set_xyzt_units("mm")
        with whole_file(path) as temporary:
            nib.save(image, temporary)

    def place(self, baseline: Scan) -> Placement:
        """Find the template's voxels in a baseline liver."""
        own = np.asarray(self.scan.affine, float)
        flat = Scan(
            np.zeros((1, *baseline.mask.shape), np.float32), baseline.mask, baseline.spacing,
            affine=baseline.affine,
        )  # fmt: skip
        found = register(self.scan, flat, method="affine")
        points = self.voxels @ own[:3, :3].T + own[:3, 3]
        to_voxel = np.linalg.inv(np.asarray(baseline.affine, float))
        index = found(points) @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        near = np.floor(index + 0.5 + 1e-6).astype(int)
        inside = ((near >= 0) & (near < baseline.mask.shape)).all(axis=1)
        flat_index = np.full(len(near), -1)
        order = np.full(baseline.mask.shape, -1)
        order[baseline.mask] = np.arange(baseline.n_voxels)
        flat_index[inside] = order[tuple(near[inside].T)]
        return Placement(
            self.cells[tuple(self.voxels.T)], flat_index, float(found.quality["dice"])
        )


@dataclass(frozen=True)
class Placement:
    """Where the template's voxels lie in one baseline liver.

    Attributes
    ----------
    cell : array (n,)
        Cell of each template voxel.
    voxel : array (n,)
        Its voxel in the baseline mask, counted in array order; -1 outside.
    dice : float
        Overlap of the template, carried over, with the liver.
    """

    cell: NDArray[np.int32]
    voxel: NDArray[np.intp]
    dice: float

    def records(
        self, before: NDArray[np.int16], after: NDArray[np.int16], head: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Count, per cell, template voxels by type before and after; none below the Dice limit.

        ``before`` and ``after`` are labels of the baseline mask's voxels, 0 where unknown.
        """
        if self.dice < LEAST_DICE:
            return []
        inside = self.voxel >= 0
        cell, voxel = self.cell[inside], self.voxel[inside]
        seen = (before[voxel] > 0) & (after[voxel] > 0)
        triples = np.stack([cell[seen], before[voxel][seen], after[voxel][seen]], axis=1)
        found, counts = np.unique(triples, axis=0, return_counts=True)
        return [
            {**head, "CELL": int(c), "FROMTYPE": int(a), "TOTYPE": int(b), "NVOX": int(n)}
            for (c, a, b), n in zip(found, counts, strict=True)
        ]
