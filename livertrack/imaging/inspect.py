"""What is wrong with the scans of a study, all of it at once, before anything is computed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from livertrack.findings import Finding
from livertrack.imaging.grids import onto, working_grid
from livertrack.imaging.quality import FLAGS, Limits, flags_of, image_numbers, mask_numbers
from livertrack.imaging.reading import Header, UnusableImage, read_header, read_voxels
from livertrack.imaging.scan import EMPTY_MASK, Bools, Floats, liver_of

_SHOWN = 5


def inspect_images(
    images: pd.DataFrame,
    *,
    liver_label: int | None = None,
    reference_label: int | None = None,
    vessel_label: int | None = None,
    sequences: Collection[str] = (),
    quantitative: Collection[str] = (),
    limits: Limits | None = None,
) -> list[Finding]:
    """Find everything that is wrong with the scans of a study.

    Parameters
    ----------
    images : DataFrame
        Rows of ``images.csv`` with absolute paths: USUBJID, AVISIT, AVISITN, SEQUENCE, IMAGE,
        MASK.
    liver_label, reference_label, vessel_label : int or None
        Values of the liver, of the reference tissue and of vessels in MASK.
    sequences : collection of str
        Those that every scan must have; every sequence of the frame where none are given.
    quantitative : collection of str
        Sequences in physical units, whose noise and artefacts are not judged.
    limits : Limits or None
        Limits of quality, beyond which a scan is a warning; None judges none.

    Returns
    -------
    list of Finding
        One per kind of problem and column, with the number of files and the first line numbers of
        ``images.csv``. Nothing names a subject or a file.

    Notes
    -----
    Headers are judged before voxels are loaded; of a compressed file all bytes are read, so that
    truncation is found. One scan is in memory at a time.
    """
    places: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    named = images.index.name == "line"  # as `Study.images` has it, rows left out counted
    lines = {i: int(i) if named else n for n, i in enumerate(images.index, start=2)}
    look = _Look(
        liver_label, reference_label, vessel_label, frozenset(quantitative), limits,
        frozenset(sequences),
    )  # fmt: skip
    for finding, index in look.problems(images):
        places[finding].append(lines[index])
    found = []
    for (column, problem, cure, severity), numbers in places.items():
        rows = tuple(sorted(set(numbers)))
        found.append(
            Finding("images", column, problem, len(rows), cure, severity, rows[:_SHOWN])  # type: ignore[arg-type]
        )
    return sorted(found)


_Problem = tuple[str, str, str, str]
_Found = Iterator[tuple[_Problem, Any]]


@dataclass(frozen=True)
class _Look:
    """What is looked for."""

    liver_label: int | None
    reference_label: int | None
    vessel_label: int | None
    quantitative: frozenset[str]
    limits: Limits | None
    sequences: frozenset[str]

    def problems(self, images: pd.DataFrame) -> _Found:
        """Every problem with the row it is in."""
        keys = ["USUBJID", "AVISITN", "SEQUENCE"]
        cure = "keep one row of each"
        for index in images.index[images.duplicated(keys)]:
            yield ("SEQUENCE", "repeats subject, visit and sequence", cure, "error"), index
        wanted = self.sequences or frozenset(images["SEQUENCE"].astype(str))
        for _, part in images.groupby(["USUBJID", "AVISITN"], sort=True):
            if not wanted <= set(part["SEQUENCE"].astype(str)):
                cure = "add the sequence, or leave the scan out"
                yield ("SEQUENCE", "scan without every sequence", cure, "error"), part.index[0]
            yield from self._scan(part)

    def _scan(self, part: pd.DataFrame) -> _Found:
        first = part.index[0]
        masks = part["MASK"].dropna().astype(str)
        masks = masks[masks != ""]
        if masks.empty:
            yield ("MASK", "no mask is given", "every scan needs a liver mask", "error"), first
        elif len(set(masks)) > 1:
            yield ("MASK", "several masks for one scan", "give one mask per scan", "error"), first
        mask: tuple[Header, Floats] | None = None
        if len(masks):
            try:
                header = read_header(masks.iloc[0])
                mask = header, np.rint(read_voxels(header))
            except UnusableImage as error:
                yield ("MASK", error.problem, error.cure, "error"), masks.index[0]
        headers: dict[Any, Header] = {}
        for index, path in part["IMAGE"].items():
            try:
                headers[index] = read_header(str(path))
            except UnusableImage as error:
                yield ("IMAGE", error.problem, error.cure, "error"), index
        grid = liver = None
        if mask is not None and headers:
            try:
                grid = working_grid(list(headers.values()), mask[0])
            except UnusableImage as error:
                yield (error.column, error.problem, error.cure, "error"), next(iter(headers))
        if mask is not None:
            labels = mask[1] if grid is None else onto(mask[1], mask[0], grid)
            liver = liver_of(labels, self.liver_label, self.reference_label, self.vessel_label)
            yield from self._mask(labels, liver, grid or mask[0], first)
        for index, header in headers.items():
            sequence = str(part.loc[index, "SEQUENCE"])
            yield from self._image(header, grid, liver, sequence, index)

    def _mask(self, labels: Floats, liver: Bools, grid: Header, row: Any) -> _Found:
        if not liver.any():
            cure = "segment again or leave the scan out"
            yield ("MASK", EMPTY_MASK, cure, "error"), row
            return
        if self.reference_label is not None and not (labels == self.reference_label).any():
            cure = "segment the reference tissue, or standardise by tail"
            yield ("MASK", "no reference tissue in the mask", cure, "warning"), row
        if self.vessel_label is not None and not (labels == self.vessel_label).any():
            cure = "segment the vessels; such a scan has no bands around vessels"
            yield ("MASK", "no vessels in the mask", cure, "warning"), row
        for flag in flags_of(mask_numbers(liver, grid.spacing), self.limits):
            problem, cure = FLAGS[flag]
            yield ("MASK", problem, cure, "warning"), row

    def _image(
        self, header: Header, grid: Header | None, liver: Bools | None, sequence: str, row: Any
    ) -> _Found:
        try:
            values = read_voxels(header)
        except UnusableImage as error:
            yield ("IMAGE", error.problem, error.cure, "error"), row
            return
        if grid is None or liver is None or not liver.any():
            return
        values = onto(values, header, grid)
        if not np.isfinite(values[liver]).all():
            cure = "export the image again or correct the mask"
            yield ("IMAGE", "voxels in the mask are not finite", cure, "error"), row
        elif float(np.ptp(values[liver])) == 0:
            cure = "check the export of the image"
            yield ("IMAGE", "every voxel in the mask has the same value", cure, "error"), row
        elif sequence not in self.quantitative:
            known = np.where(np.isfinite(values), values, np.float32(0))[None]
            for flag in flags_of(image_numbers(known, liver, grid.spacing), self.limits):
                problem, cure = FLAGS[flag]
                yield ("IMAGE", problem, cure, "warning"), row
