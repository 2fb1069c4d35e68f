"""SAS transport version 5, written by pyreadstat within limits that it does not check."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd

from livertrack._files import whole_file
from livertrack.cdisc.variables import Dataset, require_writable, sas_days, text_cells
from livertrack.errors import MissingToolError

#: offsets of the four times in the header of a file with one member, 16 bytes each
_STAMPS = (144, 160, 464, 480)
_LENGTH = 16


def write_transport(dataset: Dataset, path: str | Path, *, created: dt.datetime) -> Path:
    """Write one dataset as ``.xpt``; the same records give the same bytes.

    Parameters
    ----------
    created : datetime
        Time that the header states (the format demands one).

    Raises
    ------
    DataError
        A name over 8, a label over 40 characters, text over 200 bytes or outside ASCII.
    MissingToolError
        pyreadstat is not installed.
    """
    try:
        import pyreadstat
    except ImportError as error:
        msg = "writing SAS transport needs pyreadstat: pip install 'livertrack[io]'"
        raise MissingToolError(msg) from error
    require_writable([dataset], transport=True)
    path = Path(path)
    frame = pd.DataFrame(
        {v.name.upper(): _cells(dataset.frame[v.name], v.kind) for v in dataset.variables}
    )
    with whole_file(path) as temporary:
        pyreadstat.write_xport(
            frame, str(temporary), file_label=dataset.label, table_name=dataset.name.upper(),
            column_labels=[v.label for v in dataset.variables], file_format_version=5,
            variable_format={v.name.upper(): "DATE9." for v in dataset.variables
                             if v.kind == "date"},
        )  # fmt: skip
        _stamp(temporary, created)
    return path


def _cells(cells: pd.Series, kind: str) -> pd.Series:
    if kind == "text":
        return text_cells(cells)
    return sas_days(cells) if kind == "date" else cells.astype(float)


def _stamp(path: Path, created: dt.datetime) -> None:
    """Replace the clock's time in the header by ``created``."""
    stamp = created.strftime("%d%b%y:%H:%M:%S").upper().encode("ascii")
    with path.open("r+b") as stream:
        for place in _STAMPS:
            stream.seek(place)
            stream.write(stamp.ljust(_LENGTH))
