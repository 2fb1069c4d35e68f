"""The files a run reads, and their hashes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed

from livertrack._files import hash_file

_TABLES = {".csv", ".parquet", ".xpt", ".json", ".ndjson"}


def input_files(
    study: str | Path, images: pd.DataFrame | None = None, truth: str | None = None
) -> list[Path]:
    """Every file of a study that a run reads: plan, tables, image list, scans, masks, truth."""
    study = Path(study)
    files = [study / "plan.yaml"]
    adam = study / "adam"
    if adam.is_dir():
        files += [path for path in adam.iterdir() if path.suffix.lower() in _TABLES]
    if images is not None:
        files.append(study / "images.csv")
        from livertrack.imaging.reading import files_behind

        paths = pd.unique(images[["IMAGE", "MASK"]].to_numpy().ravel())
        files += [file for path in paths if path for file in files_behind(path)]
    if truth is not None:
        files += [path for path in (study / truth).rglob("*") if path.is_file()]
    return sorted({path for path in files if path.is_file()})


def hash_inputs(
    study: str | Path, images: pd.DataFrame | None = None, truth: str | None = None
) -> dict[str, str]:
    """SHA-256 of every input by its path relative to the study folder."""
    study = Path(study).resolve()
    files = [path.resolve() for path in input_files(study, images, truth)]
    hashes = Parallel(prefer="threads", n_jobs=-1)(delayed(hash_file)(path) for path in files)
    return {_relative(path, study): digest for path, digest in zip(files, hashes, strict=True)}


def changed_inputs(study: str | Path, recorded: Mapping[str, str]) -> list[str]:
    """What differs from the recorded inputs: one line per file, ``path: changed|missing``."""
    study = Path(study).resolve()
    return [
        line for name, digest in sorted(recorded.items()) for line in _compare(study, name, digest)
    ]


def _compare(study: Path, name: str, digest: str) -> Iterable[str]:
    path = study / name
    if not path.is_file():
        yield f"{name}: missing"
    elif hash_file(path) != digest:
        yield f"{name}: changed"


def _relative(path: Path, study: Path) -> str:
    return Path(os.path.relpath(path, study)).as_posix()
