"""Reading the tables of a study folder and checking them against dictionary and plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from livertrack._conform import finding
from livertrack._elastography_records import exclude_undiagnostic
from livertrack._intercurrent import no_intercurrent_events, prepare_events
from livertrack._records import (
    in_population,
    nameable,
    prepare_records,
    prepare_subjects,
    stack_records,
    visit_numbers,
    visits_without_data,
)
from livertrack.bids import bids_images
from livertrack.datasets import UnreadableFileError, find_datasets, read_dataset
from livertrack.dictionary import conform, load_schema, schema_names
from livertrack.errors import DataError
from livertrack.findings import Finding
from livertrack.plan import DataSettings, Plan

#: columns that identify a record of adrec
_RECURRENCE = ("USUBJID", "PARAMCD", "AVAL", "CNSR")


def read_tables(path: Path, plan: Plan) -> tuple[dict[str, Any] | None, list[Finding]]:
    """Frames of a `Study` by attribute name (None without a usable adsl), and all findings."""
    data = plan.data
    frames, found = _read_folder(path / "adam")
    if "adsl" not in frames:
        if not any(item.dataset == "adsl" for item in found):
            cure = "a study needs adam/adsl.csv (or .parquet, .xpt, .json)"
            found.append(Finding("adsl", "", "dataset is missing", 1, cure))
        return None, found
    adsl, items = conform(frames.pop("adsl"), "adsl")
    found += items
    if "USUBJID" not in adsl.columns:
        return None, found
    adsl, items = prepare_subjects(adsl, data)
    found += items
    parts = []
    events, recurrences = pd.DataFrame(), pd.DataFrame()
    intercurrent = no_intercurrent_events()
    for name, frame in sorted(frames.items()):
        kind = load_schema(name).kind
        if name not in schema_names() and not {"PARAMCD", "AVAL"} <= set(frame.columns):
            problem = "is not a BDS dataset (no PARAMCD, AVAL) and is left out"
            found.append(Finding(name, "", problem, 1, "none needed", "warning"))
            continue
        typed, items = conform(frame, name, subjects=adsl["USUBJID"], visits=data.occasions)
        found += items
        if kind == "bds":
            records, items = prepare_records(typed, name, adsl, data)
            parts.append(records)
            found += items
        elif kind == "adtte":
            events = typed
        elif kind == "recurrences":
            recurrences = typed
        elif kind == "occurrences":
            intercurrent, items = prepare_events(typed, adsl, data)
            found += items
    records, items = exclude_undiagnostic(stack_records(parts, data), data)
    found += items
    found += _ambiguous(records, adsl)
    images, items = _read_images(path, adsl, plan, have_signatures="admri" in frames)
    found += items
    if "AVISIT" in records.columns and (len(records) or images is not None):
        seen = set(records["AVISIT"].dropna().unique())
        seen |= set(images["AVISIT"].dropna()) if images is not None else set()
        found += visits_without_data(sorted(seen), data)
    contents = {
        "adsl": adsl,
        "records": records,
        "events": _events(events, adsl, data),
        "images": images,
        "intercurrent": intercurrent,
        "recurrences": _events(recurrences, adsl, data, key=_RECURRENCE),
    }
    return contents, found


def add_records(
    records: pd.DataFrame, frame: pd.DataFrame, dataset: str, adsl: pd.DataFrame, plan: Plan
) -> tuple[pd.DataFrame, list[Finding]]:
    """Stacked records with those of one dataset replaced, and findings in the new ones."""
    typed, found = conform(frame, dataset, subjects=adsl["USUBJID"], visits=plan.data.occasions)
    new, items = prepare_records(typed, dataset, adsl, plan.data)
    stacked = stack_records([records[records["DATASET"].ne(dataset)], new], plan.data)
    stacked, more = exclude_undiagnostic(stacked, plan.data)
    return stacked, [*found, *items, *more, *_ambiguous(stacked, adsl)]


def _read_folder(folder: Path) -> tuple[dict[str, pd.DataFrame], list[Finding]]:
    """Every dataset of a folder as read, and one finding per file that cannot be."""
    if not folder.is_dir():
        return {}, [Finding("study", "", "folder adam is missing", 1, "put the datasets there")]
    frames: dict[str, pd.DataFrame] = {}
    found: list[Finding] = []
    for name, paths in find_datasets(folder).items():
        if len(paths) > 1:
            problem = f"several files hold it: {', '.join(path.name for path in paths)}"
            found.append(Finding(name, "", problem, len(paths), "keep one of them"))
            continue
        try:
            frames[name] = read_dataset(paths[0])
        except UnreadableFileError as error:
            found.append(Finding(name, "", error.problem, 1, error.cure))
    return frames, found


def _ambiguous(records: pd.DataFrame, adsl: pd.DataFrame) -> list[Finding]:
    """Find PARAMCDs that several datasets hold: one error per combination of datasets."""
    homes: dict[tuple[str, ...], list[str]] = {}
    for code, names in records.groupby("PARAMCD")["DATASET"].unique().items():
        if len(names) > 1:
            homes.setdefault(tuple(sorted(map(str, names))), []).append(str(code))
    found = []
    for datasets, codes in homes.items():
        shown = nameable(codes, records, "PARAMCD", adsl)
        problem = f"PARAMCD also in {', '.join(datasets[1:])}" + (f" ({shown})" if shown else "")
        cure = "give each measure a PARAMCD of its own, or remove a dataset"
        found.append(Finding(datasets[0], "PARAMCD", problem, len(codes), cure))
    return found


def _events(
    events: pd.DataFrame,
    adsl: pd.DataFrame,
    data: DataSettings,
    key: Sequence[str] = ("USUBJID", "PARAMCD"),
) -> pd.DataFrame:
    """Join adtte (or adrec) and adsl, sorted; no rows where there is no such dataset."""
    own = [c for c in events.columns if c not in adsl.columns or c == "USUBJID"]
    if not {"USUBJID", "PARAMCD", "AVAL", "CNSR"} <= set(own):
        events = pd.DataFrame(columns=["USUBJID", "PARAMCD", "AVAL", "CNSR"], dtype=object)
        own = list(events.columns)
    events = events[events["USUBJID"].isin(adsl["USUBJID"])]
    events = events[~events.duplicated(list(key))]
    merged = events[own].merge(adsl, on="USUBJID", how="inner")
    first = ["USUBJID", data.arm, "PARAMCD", "AVAL", "CNSR"]
    merged = merged[[*first, *[c for c in merged.columns if c not in first]]]
    merged = merged.astype({"AVAL": float, "CNSR": float})
    order = ["PARAMCD", "USUBJID", "AVAL", "CNSR"]
    return merged.sort_values(order, kind="stable").reset_index(drop=True)


def _read_images(
    path: Path, adsl: pd.DataFrame, plan: Plan, *, have_signatures: bool
) -> tuple[pd.DataFrame | None, list[Finding]]:
    """Images with absolute paths and their findings; None for a plan without imaging."""
    if plan.imaging is None:
        return None, []
    file = path / "images.csv"
    if plan.imaging.bids is None and not file.is_file() and have_signatures:
        return None, []
    frame, found = _listed_images(path, adsl, plan)
    if frame is None:
        return None, found
    occasions = plan.data.occasions
    typed, found = conform(frame, "images", subjects=adsl["USUBJID"], visits=occasions)
    if not {"USUBJID", "AVISIT", "SEQUENCE", "IMAGE", "MASK"} <= set(typed.columns):
        return None, found
    found += _image_visits(typed, adsl, plan)
    keys = ["USUBJID", "AVISIT", "SEQUENCE"]
    keep = typed["USUBJID"].isin(adsl["USUBJID"]) & typed["AVISIT"].isin(occasions)
    keep &= typed[[*keys, "IMAGE"]].notna().all(axis=1) & ~typed.duplicated(keys)
    images = typed[keep].copy()
    if "AVISITN" not in images.columns:
        images["AVISITN"] = images["AVISIT"].map(visit_numbers(plan.data))
    root = path.resolve()
    for column in ("IMAGE", "MASK"):
        images[column] = [str(root / c) if isinstance(c, str) else "" for c in images[column]]
    columns = ["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
    return images[columns], found


def _listed_images(
    path: Path, adsl: pd.DataFrame, plan: Plan
) -> tuple[pd.DataFrame | None, list[Finding]]:
    """List images as images.csv or the BIDS dataset of the plan has them."""
    file, settings = path / "images.csv", plan.imaging
    if settings is not None and settings.bids is not None:
        if file.is_file():
            cure = "remove images.csv, or bids from the plan"
            return None, [Finding("images", "", "images.csv beside a BIDS dataset", 1, cure)]
        try:
            return bids_images(
                path / settings.bids.folder, subjects=adsl["USUBJID"],
                sequences=list(dict.fromkeys([*settings.sequences, *settings.measures])),
                visits=plan.data.occasions, sessions=settings.bids.sessions,
                masks=settings.bids.masks,
            ).drop(columns="AVISITN"), []  # fmt: skip
        except DataError as error:
            return None, [Finding("images", "", str(error), 1, "correct the dataset or the plan")]
    if not file.is_file():
        cure = "add it, or remove the imaging section of the plan"
        return None, [Finding("images", "", "images.csv is missing", 1, cure)]
    try:
        return read_dataset(file), []
    except UnreadableFileError as error:
        return None, [Finding("images", "", error.problem, 1, error.cure)]


def _image_visits(images: pd.DataFrame, adsl: pd.DataFrame, plan: Plan) -> list[Finding]:
    data, settings = plan.data, plan.imaging
    planned = images["AVISIT"].isin(data.occasions)
    names = nameable(images.loc[~planned, "AVISIT"].dropna(), images, "AVISIT", adsl)
    problem = "image(s) at visits the plan does not list are left out"
    problem += f" ({names})" if names else ""
    cure = "list the visits in the plan (data.visits) if they are to be analysed"
    found = finding(images, ~planned, "images", "AVISIT", problem, cure, severity="warning")
    sequences = settings.sequences if settings else []
    scans = images[planned & images["SEQUENCE"].isin(sequences) & images["IMAGE"].notna()]
    counts = scans.groupby(["USUBJID", "AVISIT"])["SEQUENCE"].nunique()
    listed = images[planned].drop_duplicates(["USUBJID", "AVISIT"])
    complete = counts.reindex(pd.MultiIndex.from_frame(listed[["USUBJID", "AVISIT"]]))
    short = complete.fillna(0).to_numpy() < len(sequences)
    problem = f"scan(s) lack one of the sequences {', '.join(sequences)}"
    cure = "list an image of each sequence, or leave the sequence out of the plan"
    severity: Any = "error" if settings and settings.on_error == "stop" else "warning"
    found += finding(listed, short, "images", "SEQUENCE", problem, cure, severity=severity)
    population = adsl.loc[in_population(adsl, data), "USUBJID"]
    scanned = images.loc[planned & images["USUBJID"].isin(population)]
    have = set(scanned.loc[scanned["AVISIT"].eq(data.baseline), "USUBJID"])
    lost = scanned[~scanned["USUBJID"].isin(have)].drop_duplicates("USUBJID")
    every = pd.Series(True, index=lost.index)
    problem = "subject(s) have scans after baseline but none at baseline"
    cure = "they have no change from baseline; add the baseline scan if it exists"
    found += finding(lost, every, "images", "AVISIT", problem, cure, severity="warning")
    return found
