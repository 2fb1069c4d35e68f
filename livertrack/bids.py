"""BIDS datasets as a list of images: which file is which subject, visit and sequence."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from livertrack.errors import DataError

#: entities that tell images of one suffix apart, in the order in which they name a sequence
_TELLING = ("acq", "ce", "rec", "inv", "flip", "part")
_ENDINGS = (".nii.gz", ".nii")
_COLUMNS = ["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
#: maps that are made of the complex echoes of a MEGRE group, by their sequence
_MAPS = {"PDFF": "pdff", "R2STAR": "r2star"}


def bids_images(
    folder: str | Path,
    *,
    sequences: Sequence[str] | None = None,
    subjects: Iterable[str] | None = None,
    visits: Sequence[str] | None = None,
    sessions: Mapping[str, str] | None = None,
    masks: str | None = None,
) -> pd.DataFrame:
    """Images of a BIDS dataset, as images.csv lists them.

    Parameters
    ----------
    folder : path
        Root of the dataset (with ``dataset_description.json``).
    sequences : sequence of str or None
        Sequences that are wanted. A file has the sequence whose name is its whole name
        (``ip_T1w`` for ``acq-ip_T1w``), its ``acq`` label or its suffix, in any case. None takes
        every image by its whole name.
    subjects : iterable of str or None
        USUBJIDs: a ``sub-`` label that equals one but for signs and case stands for it.
    visits : sequence of str or None
        Visits in their order: a ``ses-`` label that equals one but for signs and case stands for
        it. Without sessions every image is of the first visit.
    sessions : mapping or None
        Session label to visit where they differ more.
    masks : str or None
        Derivative (folder under ``derivatives``) with the liver masks; all where None.

    Returns
    -------
    DataFrame
        ``USUBJID, AVISIT, AVISITN, SEQUENCE, IMAGE, MASK`` (absolute paths; MASK missing where
        there is none), sorted. The complex echoes of a MEGRE group give the sequences ``PDFF`` and
        ``R2STAR`` (``FILE#pdff``, see `fat_fraction`).

    Raises
    ------
    DataError
        No dataset, ancpbids is not installed, a sequence that several files of a scan have, or
        several masks of a scan.

    Notes
    -----
    Masks are files with the suffix ``dseg`` or ``mask`` in a derivative; where a scan has several,
    the one whose ``desc`` or ``label`` is ``liver`` counts.
    Checked against: datasets written by hand (tests/study/test_bids.py).
    """
    folder = Path(folder).resolve()
    files = [*_files(folder, scope="raw"), *_files(folder, scope="derivatives")]
    images, outlines = [], []
    for path, entities, suffix in files:
        if "sub" not in entities:
            continue
        scan = (str(entities["sub"]), str(entities.get("ses", "")))
        inside = path.relative_to(folder).parts
        derived = inside[0] == "derivatives"
        if suffix in ("dseg", "mask"):
            if derived and (masks is None or inside[1] == masks):
                outlines.append((scan, path, entities))
        elif not derived:
            images.append((scan, path, entities, suffix))
    chosen = _masks(outlines)
    named = _sequences(images, sequences)
    people = _matcher(subjects)
    times = _matcher(visits)
    known = sorted({ses or "Scan" for (_, ses), *_ in images})
    order = known if visits is None else list(visits)
    rows = []
    for (sub, ses), sequence, image in named:
        visit = (sessions or {}).get(ses) or times(ses)
        visit = visit or (order[0] if visits is not None and order else "Scan")
        number = order.index(visit) if visit in order else len(order)
        rows.append([people(sub), visit, number, sequence, image, chosen.get((sub, ses))])
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    keys = ["USUBJID", "AVISIT", "SEQUENCE"]
    repeated = int(frame.duplicated(keys).sum())
    if repeated:
        msg = (
            f"bids: {repeated} image(s) repeat a subject, visit and sequence; name sequences in "
            "full (acq label and suffix, e.g. ip_T1w) and give each session a visit of its own"
        )
        raise DataError(msg)
    return frame.sort_values(["USUBJID", "AVISITN", "SEQUENCE"], ignore_index=True)


def _files(folder: Path, *, scope: str) -> list[tuple[Path, dict[str, Any], str]]:
    """Images of a dataset with their entities and suffix."""
    if not (folder / "dataset_description.json").is_file():
        msg = "bids: the folder is no BIDS dataset: it has no dataset_description.json"
        raise DataError(msg)
    try:
        ancpbids: Any = importlib.import_module("ancpbids")
    except ImportError as error:
        msg = "bids: ancpbids is not installed; install livertrack with the extra io"
        raise DataError(msg) from error
    layout = ancpbids.BIDSLayout(str(folder))
    found = [
        file for ending in _ENDINGS for file in layout.get(scope=scope, extension=ending) or ()
    ]
    return sorted(
        (Path(file.get_absolute_path()).resolve(), dict(file.get_entities()), str(file.suffix))
        for file in found
    )


def _masks(
    outlines: Sequence[tuple[tuple[str, str], Path, Mapping[str, Any]]],
) -> dict[tuple[str, str], str]:
    """Mask of each scan."""
    by_scan: dict[tuple[str, str], list[tuple[Path, bool]]] = {}
    for scan, path, entities in outlines:
        names = {str(entities.get(key, "")).lower() for key in ("desc", "label")}
        by_scan.setdefault(scan, []).append((path, "liver" in names))
    chosen, several = {}, 0
    for scan, found in by_scan.items():
        livers = [path for path, liver in found if liver] or [path for path, _ in found]
        several += len(livers) > 1
        chosen[scan] = str(livers[0])
    if several:
        msg = (
            f"bids: {several} scan(s) have several masks; name the derivative (masks), or mark "
            "the mask with desc-liver"
        )
        raise DataError(msg)
    return chosen


def _sequences(
    images: Sequence[tuple[tuple[str, str], Path, Mapping[str, Any], str]],
    wanted: Sequence[str] | None,
) -> list[tuple[tuple[str, str], str, str]]:
    """Scan, sequence and image of each file that is wanted."""
    found: list[tuple[tuple[str, str], str, str]] = []
    groups: dict[tuple[Any, ...], Path] = {}
    for scan, path, entities, suffix in images:
        labels = [str(entities[key]) for key in _TELLING if key in entities]
        if suffix == "MEGRE" and {"echo", "part"} <= set(entities):
            rest = tuple(label for label in labels if label != str(entities["part"]))
            groups.setdefault((scan, rest, entities.get("run")), path)
            continue
        echo = [f"echo{entities['echo']}"] if "echo" in entities else []
        whole = "_".join([*labels, *echo, suffix])
        names = (whole, str(entities.get("acq", "")), suffix)
        if wanted is None:
            found.append((scan, whole, str(path)))
            continue
        found += [
            (scan, name, str(path))
            for name in wanted
            if name.lower() in {other.lower() for other in names if other}
        ]
    for (scan, *_), path in groups.items():
        maps = [name for name in _MAPS if wanted is None or name in wanted]
        found += [(scan, name, f"{path}#{_MAPS[name]}") for name in maps]
    return found


def _matcher(names: Iterable[str] | None) -> Any:
    """Function from a label to the name it stands for: the label itself where there is none."""
    plain: dict[str, list[str]] = {}
    for name in () if names is None else names:
        plain.setdefault(_plain(name), []).append(str(name))

    def match(label: str) -> str:
        found = plain.get(_plain(label), [])
        return found[0] if len(set(found)) == 1 else label

    return match


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())
