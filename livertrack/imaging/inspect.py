"""What is wrong with the scans of a study, all of it at once, before anything is computed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from livertrack.findings import Finding
from livertrack.imaging.grids import working_grid
from livertrack.imaging.reading import Header, UnusableImage, read_header, read_voxels
from livertrack.imaging.scan import EMPTY_MASK

_SHOWN = 5


def inspect_images(
    images: pd.DataFrame, *, liver_label: int | None = None, reference_label: int | None = None
) -> list[Finding]:
    """Find everything that is wrong with the scans of a study.

    Parameters
    ----------
    images : DataFrame
        Rows of ``images.csv`` with absolute paths: USUBJID, AVISIT, AVISITN, SEQUENCE, IMAGE,
        MASK.
    liver_label, reference_label : int or None
        Values of the liver and of the reference tissue in MASK.

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
    for finding, index in _problems(images, liver_label, reference_label):
        places[finding].append(lines[index])
    found = []
    for (column, problem, cure, severity), numbers in places.items():
        rows = tuple(sorted(set(numbers)))
        found.append(
            Finding("images", column, problem, len(rows), cure, severity, rows[:_SHOWN])  # type: ignore[arg-type]
        )
    return sorted(found)


_Problem = tuple[str, str, str, str]


def _problems(
    images: pd.DataFrame, liver_label: int | None, reference_label: int | None
) -> Iterator[tuple[_Problem, Any]]:
    """Every problem with the row it is in."""
    keys = ["USUBJID", "AVISITN", "SEQUENCE"]
    for index in images.index[images.duplicated(keys)]:
        yield (
            ("SEQUENCE", "repeats subject, visit and sequence", "keep one row of each", "error"),
            index,
        )
    counts = images["SEQUENCE"].nunique()
    for _, part in images.groupby(["USUBJID", "AVISITN"], sort=True):
        if part["SEQUENCE"].nunique() < counts:
            cure = "add the sequence, or leave the scan out"
            yield ("SEQUENCE", "scan without every sequence", cure, "warning"), part.index[0]
        yield from _scan_problems(part, liver_label, reference_label)


def _scan_problems(
    part: pd.DataFrame, liver_label: int | None, reference_label: int | None
) -> Iterator[tuple[_Problem, Any]]:
    first = part.index[0]
    masks = part["MASK"].dropna().astype(str)
    masks = masks[masks != ""]
    mask, labels, column = None, None, "MASK"
    if masks.empty:
        yield ("MASK", "no mask is given", "every scan needs a liver mask", "error"), first
    else:
        if len(set(masks)) > 1:
            yield ("MASK", "several masks for one scan", "give one mask per scan", "error"), first
        try:
            mask = read_header(masks.iloc[0])
            labels = np.rint(read_voxels(mask))
        except UnusableImage as error:
            yield (column, error.problem, error.cure, "error"), masks.index[0]
    liver = None
    if labels is not None:
        liver = labels == liver_label if liver_label is not None else labels > 0
        if not liver.any():
            cure = "segment again or leave the scan out"
            yield ("MASK", EMPTY_MASK, cure, "error"), first
        if reference_label is not None and not (labels == reference_label).any():
            cure = "segment the reference tissue, or standardise by tail"
            yield ("MASK", "no reference tissue in the mask", cure, "warning"), first
    headers: list[tuple[Any, Header]] = []
    for index, path in part["IMAGE"].items():
        try:
            header = read_header(Path(str(path)))
            values = read_voxels(header)
        except UnusableImage as error:
            yield ("IMAGE", error.problem, error.cure, "error"), index
            continue
        headers.append((index, header))
        if liver is not None and values.shape == liver.shape and liver.any():
            if not np.isfinite(values[liver]).all():
                cure = "export the image again or correct the mask"
                yield ("IMAGE", "voxels in the mask are not finite", cure, "error"), index
            elif float(np.ptp(values[liver])) == 0:
                cure = "check the export of the image"
                yield ("IMAGE", "every voxel in the mask has the same value", cure, "error"), index
    if mask is not None and headers:
        try:
            working_grid([header for _, header in headers], mask)
        except UnusableImage as error:
            yield (error.column, error.problem, error.cure, "error"), headers[0][0]
