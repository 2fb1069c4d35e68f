"""Run the cells of a report in a fresh kernel of the running interpreter."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livertrack.errors import MissingToolError
from livertrack.report._errors import ReportError
from livertrack.report._source import Cell, Source

KERNEL = "livertrack"
#: seconds that one cell may take
CELL_TIMEOUT = 600
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run_cells(
    source: Source, assignments: str, *, folder: Path
) -> dict[str, list[Mapping[str, Any]]]:
    """Execute the cells in order with ``folder`` as working directory.

    The kernel is this interpreter; its specification, profile and connection file lie in a
    temporary folder, so nothing is written to the user's home.

    Parameters
    ----------
    source : Source
        The report.
    assignments : str
        Parameter assignments, run right after the cell tagged ``parameters``.
    folder : Path
        Working directory of the cells.

    Returns
    -------
    dict of str to list of mapping
        Outputs (nbformat 4) by cell label.

    Raises
    ------
    ReportError
        A cell failed: names the cell, its place and the exception.
    MissingToolError
        The libraries of the ``report`` extra are not installed.
    """
    try:
        import nbformat
        from jupyter_client.kernelspec import KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ImportError as error:
        msg = f"rendering needs {error.name}: pip install 'livertrack[report]'"
        raise MissingToolError(msg) from error

    v4: Any = nbformat.v4
    notebook = v4.new_notebook()
    by_index: list[Cell] = []
    for cell in source.cells:
        if cell.options.get("eval", True):
            notebook.cells.append(v4.new_code_cell(cell.code, id=f"c{len(by_index)}"))
            by_index.append(cell)
            if cell.is_parameters:
                notebook.cells.append(v4.new_code_cell(assignments, id=f"c{len(by_index)}"))
                by_index.append(cell)
    if not by_index:
        return {}
    with tempfile.TemporaryDirectory(prefix="livertrack-") as place:
        private = Path(place)
        specs = _kernel_spec(private)
        manager = AsyncKernelManager(
            kernel_name=KERNEL,
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)]),
            connection_file=str(private / "kernel.json"),
        )
        if os.name == "posix":
            manager.transport, manager.ip = "ipc", str(private / "ipc")
        resources = {"metadata": {"path": str(folder)}}
        client = NotebookClient(notebook, km=manager, timeout=CELL_TIMEOUT, resources=resources)
        try:
            client.execute(cleanup_kc=True, env=_environment(private), cwd=str(folder))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise _failure(source, by_index, notebook, error) from None
    outputs: dict[str, list[Mapping[str, Any]]] = {}
    for cell, executed in zip(by_index, notebook.cells, strict=True):
        outputs.setdefault(cell.label, []).extend(executed.outputs)
    return outputs


def _kernel_spec(private: Path) -> Path:
    specs = private / "kernels"
    (specs / KERNEL).mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": KERNEL, "language": "python"}
    (specs / KERNEL / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return specs


def _environment(private: Path) -> dict[str, str]:
    return {
        **os.environ,
        "IPYTHONDIR": str(private / "ipython"),
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _failure(source: Source, cells: list[Cell], notebook: Any, error: Exception) -> ReportError:
    failed = next(
        (
            (cell, output)
            for cell, executed in zip(cells, notebook.cells, strict=True)
            for output in executed.outputs
            if output.output_type == "error"
        ),
        None,
    )
    if failed is None:
        return ReportError(f"report {source.path.name}: a cell did not finish: {error}")
    cell, output = failed
    reason = ReportError(
        f"report {source.path.name}: cell {cell.label!r} ({cell.place}) failed: "
        f"{output.ename}: {output.evalue}"
    )
    reason.add_note(_COLOUR.sub("", "\n".join(output.traceback)))
    return reason
