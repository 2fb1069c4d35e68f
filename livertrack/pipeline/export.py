"""Hand over the datasets of a run: SAS transport, Dataset-JSON, define.xml, reader's guide."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from livertrack import cdisc
from livertrack._files import write_text
from livertrack.cdisc.variables import Dataset, require_writable
from livertrack.datasets import find_datasets, read_dataset
from livertrack.dictionary import conform, schema_names
from livertrack.errors import UsageError
from livertrack.pipeline.environment import purposes, versions
from livertrack.pipeline.lock import Locked, read_lock
from livertrack.pipeline.manifest import read_manifest

#: time that headers state where the caller gives none: the first day of SAS
EPOCH = dt.datetime(1960, 1, 1)
FORMATS = ("xpt", "json")
#: files of OUT/adam that are no datasets of subjects
_ABOUT_THE_RUN = {
    "findings": "what was noticed in the data", "matches": "types beside the simulated truth",
    "recovery": "agreement of the vocabulary with the simulated truth",
}  # fmt: skip


def export_run(
    out: str | Path,
    *,
    to: str | Path,
    study: str | Path | None = None,
    formats: Sequence[str] = FORMATS,
    drop: Collection[str] = (),
    created: dt.datetime = EPOCH,
) -> list[Path]:
    """Write the analysis datasets behind a run in the formats that trials hand over.

    Parameters
    ----------
    out : path
        Folder of a finished run.
    to : path
        Folder to write: ``<dataset>.xpt``, ``<dataset>.json``, ``define.xml``, ``adrg.md``.
    study : path, optional
        Where the study folder is now, if it moved since the run.
    formats : sequence of {"xpt", "json"}
        The files that define.xml refers to are those of the first.
    drop : collection of str
        Columns left out of every dataset, e.g. those a format cannot hold.
    created : datetime
        Time in the headers; the same run and time give the same bytes.

    Returns
    -------
    list of path
        Files written.

    Raises
    ------
    DataError
        Something that SAS transport cannot hold: everything at once, before the first file.

    Notes
    -----
    Datasets: those of ``STUDY/adam``, and of ``OUT/adam`` the ones that the data dictionary
    knows (signatures, pathways, scans, registrations). A dataset of both is the run's.
    Checked against: pyreadstat, pandas and, for numbers, R haven
    (tests/cdisc/test_export.py).
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        msg = f"formats are among {', '.join(FORMATS)}, got {', '.join(formats) or 'none'}"
        raise UsageError(msg)
    manifest = read_manifest(out)
    folder = Path(out) if Path(out).is_dir() else Path(out).parent
    place = Path(study) if study is not None else folder / manifest["study_path"]
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    datasets = [
        cdisc.describe(frame.drop(columns=[c for c in drop if c in frame]), name, derived=derived)
        for name, (frame, derived) in _frames(place / "adam", folder / "adam").items()
    ]
    if "xpt" in formats:
        require_writable(datasets, transport=True)
    to = Path(to)
    identity, title = str(plan["study"]["id"]), str(plan["study"]["title"])
    written = []
    for dataset in datasets:
        if "xpt" in formats:
            path = to / f"{dataset.name}.xpt"
            written.append(cdisc.write_transport(dataset, path, created=created))
        if "json" in formats:
            path = to / f"{dataset.name}.json"
            written.append(
                cdisc.write_dataset_json(dataset, path, study=identity, created=created)
            )
    define = cdisc.write_define(
        datasets, to / "define.xml", study=identity, title=title, created=created,
        suffix=f".{formats[0]}", guide="adrg.md",
    )  # fmt: skip
    guide = to / "adrg.md"
    lock = folder / str(manifest.get("environment", {}).get("lock", "none"))
    others = read_lock(lock) if lock.is_file() else []
    kept = sorted(p.stem for p in (folder / "adam").glob("*.parquet"))
    left_out = [name for name in kept if name not in {d.name for d in datasets}]
    write_text(guide, readers_guide(datasets, title, manifest, packages=others, kept=left_out))
    return [*written, define, guide]


def readers_guide(
    datasets: Sequence[Dataset], title: str, manifest: dict[str, Any],
    *, packages: Sequence[Locked] = (), kept: Sequence[str] = (),
) -> str:  # fmt: skip
    """Text of the analysis data reader's guide: datasets, and every package with its purpose.

    Parameters
    ----------
    packages : sequence of Locked
        Every package of the run's environment; those without a purpose of their own say who needs
        them.
    kept : sequence of str
        Datasets of the run that are not handed over.
    """
    rows = [
        f"| {d.name.upper()} | {d.label} | {'this run' if d.derived else 'the study'} | "
        f"{len(d.frame)} | "
        f"{', '.join(v.name for v in sorted(d.variables, key=lambda v: v.key) if v.key)} |"
        for d in datasets
    ]
    left_out = [
        "Not handed over, since they describe the run and no subject: "
        + ", ".join(f"{name} ({_ABOUT_THE_RUN.get(name, 'of the run')})" for name in kept)
        + "."
    ]
    return "\n".join(
        [
            f"# Analysis data reader's guide: {title}",
            "",
            "## Datasets",
            "",
            "| Dataset | Label | From | Records | Key |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "Columns, code lists and parameters: define.xml. Missing text is blank, missing",
            "numbers are missing; dates are days since 1960-01-01 in SAS transport.",
            "",
            *([*left_out, ""] if kept else []),
            "## Software",
            "",
            f"Plan hash {manifest.get('plan_hash', '')}, seed {manifest.get('seed', '')}.",
            "",
            "| Package | Version | Purpose |",
            "|---|---|---|",
            *_software(manifest.get("versions"), packages),
            "",
            "To repeat the results: `livertrack rerun OUT/manifest.json`; in a new environment of",
            "these packages: `livertrack rerun OUT/manifest.json --new-environment`.",
            "",
        ]
    )


def _software(used: dict[str, str] | None, packages: Sequence[Locked]) -> list[str]:
    """One line per package: those with a purpose, then those that they need."""
    known, why = used or versions(), purposes()
    lines = [
        f"| {name} | {version} | {why.get(name, '')} |" for name, version in sorted(known.items())
    ]
    named = {name.lower() for name in known}
    return lines + [
        f"| {package.name} | {package.version} | needed by {', '.join(package.needed_by)} |"
        for package in packages
        if package.name not in named
    ]


def _frames(study: Path, run: Path) -> dict[str, tuple[pd.DataFrame, bool]]:
    """Typed datasets by name, and whether the run made them; those of the run win."""
    found: dict[str, tuple[pd.DataFrame, bool]] = {}
    for name, paths in find_datasets(study).items():
        found[name] = conform(read_dataset(paths[0]), name)[0], False
    known = set(schema_names()) - {"images", "bds"}
    for path in sorted(run.glob("*.parquet")):
        if path.stem in known:
            found[path.stem] = conform(pd.read_parquet(path), path.stem)[0], True
    if not found:
        msg = f"no dataset in {study} or {run}; say where the study is"
        raise UsageError(msg)
    return dict(sorted(found.items(), key=lambda pair: (pair[0] != "adsl", pair[0])))
