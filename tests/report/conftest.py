"""Runs made through the endpoints, rendered once for all tests."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from livertrack.report import render_report


def _module(name: str) -> ModuleType:
    path = Path(__file__).with_name(f"_{name}.py")
    spec = importlib.util.spec_from_file_location(f"livertrack_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tiny_run_module = _module("tiny_run")


@pytest.fixture(scope="session")
def rules() -> ModuleType:
    """Rules of accessibility."""
    return _module("accessibility")


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module that makes the runs."""
    return tiny_run_module


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with imaging."""
    return tiny_run_module.write(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of real data without imaging, one analysis of which could not be computed."""
    out = tiny_run_module.write(tmp_path_factory.mktemp("lab"), imaging=False)
    path = out / "ard" / "kaplan_meier.parquet"
    row = pd.read_parquet(path).iloc[:1].copy()
    row[["frame", "stat_name", "stat_chr"]] = ["error", "error", "no subject has follow-up"]
    row.to_parquet(path, index=False)
    return out


@pytest.fixture(scope="session")
def report(run_folder: Path) -> Path:
    """The run with its report, HTML and PDF."""
    render_report(run_folder, formats=("html", "pdf"))
    return run_folder


@pytest.fixture(scope="session")
def lab_report(lab_folder: Path) -> Path:
    """The run without imaging, with its report."""
    render_report(lab_folder)
    return lab_folder


@pytest.fixture(scope="session")
def family(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run with its report and the further ones."""
    out = tmp_path_factory.mktemp("family") / "run"
    shutil.copytree(report, out)
    for name in ("vocabulary-atlas", "scan-quality"):
        render_report(out, name)
    return out


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every endpoint of a plan, and one that no section knows, with its report."""
    from tests.report import _whole_run

    out = _whole_run.write(tmp_path_factory.mktemp("whole") / "run")
    render_report(out)
    return out
