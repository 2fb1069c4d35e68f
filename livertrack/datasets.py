"""Datasets as files: csv, parquet, SAS transport and Dataset-JSON, read whole or not at all.

Every reader returns cells as the file states them: text for csv (types are the business of
`livertrack.dictionary`), the stored types for the others. The index of a frame is the line of the
record in its file, the header being line 1; binary files count the same way.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from livertrack.errors import DataError, MissingToolError

#: bytes of a SAS transport file come in records of this length
_XPT_RECORD = 80
_XPT_MAGIC = b"HEADER RECORD*******LIBRARY HEADER RECORD"


class UnreadableFileError(DataError):
    """A file cannot be read as the format its name promises.

    Attributes
    ----------
    problem, cure : str
        What is wrong and what to do, without any cell of the file.
    """

    def __init__(self, dataset: str, problem: str, cure: str) -> None:
        self.dataset = dataset
        self.problem = problem
        self.cure = cure
        super().__init__(f"{dataset}: {problem}; {cure}")


def dataset_name(path: str | Path) -> str:
    """Name of the dataset that a file holds: its stem in lower case."""
    return Path(path).stem.lower()


def find_datasets(folder: str | Path) -> dict[str, list[Path]]:
    """Files of a folder by the dataset they hold, in sorted order.

    More than one file for a dataset is for the caller to refuse; hidden files and other formats
    are left out.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(Path(folder).iterdir()):
        if path.suffix.lower() in READERS and path.is_file() and not path.name.startswith("."):
            found.setdefault(dataset_name(path), []).append(path)
    return found


def read_dataset(path: str | Path) -> pd.DataFrame:
    """Read one dataset; the suffix tells the format.

    Parameters
    ----------
    path : path
        ``.csv`` (UTF-8, comma), ``.parquet``, ``.xpt`` (SAS transport version 5), ``.json`` or
        ``.ndjson`` (CDISC Dataset-JSON 1.1).

    Returns
    -------
    DataFrame
        One row per record, text cells stripped, blank text missing, SAS dates as datetimes.
        Index: line in the file, the header being line 1.

    Raises
    ------
    UnreadableFileError
        (a `DataError`) The file is absent, empty, truncated, in another encoding or format.
    MissingToolError
        A SAS transport file, and pyreadstat is not installed.
    """
    path = Path(path)
    name = dataset_name(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        formats = ", ".join(READERS)
        raise UnreadableFileError(name, f"unknown format {path.suffix!r}", f"use one of {formats}")
    if not path.is_file():
        raise UnreadableFileError(name, f"no file {path.name}", "check the path")
    if path.stat().st_size == 0:
        raise UnreadableFileError(name, f"{path.name} is empty", "export the dataset again")
    frame = reader(path, name)
    frame.columns = pd.Index([str(column).strip() for column in frame.columns], dtype=object)
    repeated = frame.columns.duplicated()
    if repeated.any():
        # a file without header has cells there: say where, not what
        places = ", ".join(str(place) for place in np.flatnonzero(repeated)[:5] + 1)
        problem = f"{path.name} has {repeated.sum()} column name(s) twice (column {places})"
        raise UnreadableFileError(name, problem, "keep one column of each name")
    if not isinstance(frame.index, pd.Index) or frame.index.name != "line":
        frame.index = pd.RangeIndex(2, len(frame) + 2, name="line")
    return _strip(frame)


def _strip(frame: pd.DataFrame) -> pd.DataFrame:
    """Strip text cells; blank text becomes missing."""
    for column in frame.columns:
        cells = frame[column]
        if isinstance(cells.dtype, pd.CategoricalDtype):
            cells = cells.astype(object)
        if cells.dtype == object or isinstance(cells.dtype, pd.StringDtype):
            frame[column] = pd.Series([_text(c) for c in cells], index=cells.index, dtype=object)
    return frame


def _text(cell: Any) -> Any:
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", errors="replace")
    if isinstance(cell, str):
        return cell.strip() or np.nan
    return np.nan if cell is None or cell is pd.NA else cell


def _read_csv(path: Path, name: str) -> pd.DataFrame:
    """Read cells as text; Python's csv keeps line numbers and tells short rows from blanks."""
    rows: list[list[str]] = []
    lines: list[int] = []
    ragged: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader)
            start = reader.line_num + 1
            for row in reader:
                if row:
                    rows.append(row)
                    lines.append(start)
                    if len(row) != len(header):
                        ragged.append(start)
                start = reader.line_num + 1
    except UnicodeDecodeError as error:
        problem = f"{path.name} is not UTF-8 text"
        raise UnreadableFileError(name, problem, "save it as CSV UTF-8") from error
    except (csv.Error, StopIteration) as error:
        problem = f"{path.name} breaks off or has a stray quote in the record of line {start}"
        raise UnreadableFileError(name, problem, "export the dataset again") from error
    if ragged:
        first = ", ".join(map(str, ragged[:5]))
        problem = (
            f"{path.name} has {len(ragged)} record(s) with more or fewer cells than the header "
            f"(lines {first}{', ...' if len(ragged) > 5 else ''})"
        )
        cure = "the file is truncated, or text with a comma lacks quotes: export it again"
        raise UnreadableFileError(name, problem, cure)
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        problem = f"{path.name} is not separated by commas"
        raise UnreadableFileError(name, problem, "save it with commas and decimal points")
    frame = pd.DataFrame(rows, columns=header, dtype=object)
    frame.index = pd.Index(lines, name="line", dtype="int64")
    return frame


def _read_parquet(path: Path, name: str) -> pd.DataFrame:
    import pyarrow as pa

    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        problem = f"{path.name} is truncated or not a parquet file"
        raise UnreadableFileError(name, problem, "write it again") from error
    return frame.reset_index(drop=True)


def _read_xpt(path: Path, name: str) -> pd.DataFrame:
    try:
        import pyreadstat
    except ImportError as error:
        msg = f"{name}: reading {path.name} needs pyreadstat: pip install 'livertrack[io]'"
        raise MissingToolError(msg) from error
    with path.open("rb") as stream:
        magic = stream.read(len(_XPT_MAGIC))
    if magic != _XPT_MAGIC:
        problem = f"{path.name} is not a SAS transport file of version 5"
        raise UnreadableFileError(name, problem, "write it with the SAS XPORT engine")
    if path.stat().st_size % _XPT_RECORD:
        # The format has no count of records; its only promise is the length of the file.
        problem = f"{path.name} is truncated (its length is not a multiple of {_XPT_RECORD} bytes)"
        raise UnreadableFileError(name, problem, "copy it again, in binary mode")
    try:
        try:
            frame, _ = pyreadstat.read_xport(str(path))
        except (
            UnicodeDecodeError
        ):  # the format does not name its encoding; SAS sessions mostly use this
            frame, _ = pyreadstat.read_xport(str(path), encoding="WINDOWS-1252")
    except Exception as error:  # pyreadstat raises classes of its own and of readstat
        problem = f"{path.name} cannot be read as SAS transport"
        raise UnreadableFileError(name, problem, "write it again with the XPORT engine") from error
    result = pd.DataFrame(frame).reset_index(drop=True)
    for column in result.columns:
        if _has_dates(result[column]):
            result[column] = pd.to_datetime(result[column], errors="coerce")
    return result


def _has_dates(cells: pd.Series[Any]) -> bool:
    return bool(cells.dtype == object and any(hasattr(c, "year") for c in cells.dropna()[:1]))


def _read_dataset_json(path: Path, name: str) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".ndjson":
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            head, *rows = [json.loads(line) for line in lines if line.strip()]
        else:
            head = json.loads(path.read_text(encoding="utf-8-sig"))
            rows = head.get("rows", []) if isinstance(head, dict) else []
    except UnicodeDecodeError as error:
        problem = f"{path.name} is not UTF-8 text"
        raise UnreadableFileError(name, problem, "write it as UTF-8") from error
    except ValueError as error:
        problem = f"{path.name} is truncated or not JSON"
        raise UnreadableFileError(name, problem, "write it again") from error
    columns = head.get("columns") if isinstance(head, dict) else None
    if not isinstance(columns, list) or not all(
        isinstance(c, dict) and "name" in c for c in columns
    ):
        problem = f"{path.name} is not Dataset-JSON 1.1 (no list of named columns)"
        raise UnreadableFileError(name, problem, "write it as CDISC Dataset-JSON 1.1")
    short = sum(not isinstance(row, list) or len(row) != len(columns) for row in rows)
    if short:
        problem = f"{path.name} has {short} row(s) with more or fewer cells than columns"
        raise UnreadableFileError(name, problem, "write it again")
    if head.get("records") not in (None, len(rows)):
        problem = f"{path.name} states {head['records']} records and holds {len(rows)}"
        raise UnreadableFileError(name, problem, "the file is truncated: write it again")
    frame = pd.DataFrame(rows, columns=[c["name"] for c in columns], dtype=object)
    for column in columns:
        if column.get("dataType") in ("integer", "float", "double", "decimal"):
            numbers = pd.to_numeric(frame[column["name"]], errors="coerce")
            if numbers.notna().sum() == frame[column["name"]].notna().sum():
                frame[column["name"]] = numbers
    return frame


#: suffix -> reader of that format
READERS: dict[str, Callable[[Path, str], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".xpt": _read_xpt,
    ".json": _read_dataset_json,
    ".ndjson": _read_dataset_json,
}
