"""A small good study, whose frames a test can spoil before it is written."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml

Frames = dict[str, pd.DataFrame]

ARMS = ["Placebo", "Low", "High"]
VISITS = ["Baseline", "Week 12", "Week 48"]
#: identifiers that cannot be mistaken for a count or a word of a message
SUBJECTS = [f"0{number}-QX{number}" for number in range(101, 113)]


def good_frames() -> Frames:
    """Twelve subjects, three arms, three visits; ALT falls by 2, 4, 6 U/L per visit and arm."""
    adsl = pd.DataFrame(
        {
            "USUBJID": SUBJECTS,
            "SITEID": [f"00{i % 2 + 1}" for i in range(12)],
            "TRT01P": [ARMS[i % 3] for i in range(12)],
            "FASFL": "Y",
            "DIABFL": ["Y" if i % 4 else "N" for i in range(12)],
            "AGE": [40.5 + i for i in range(12)],
            "SEX": ["F" if i % 2 else "M" for i in range(12)],
            "RANDDT": [f"2021-03-{i + 1:02d}" for i in range(12)],
        }
    )
    labs = [
        {
            "USUBJID": s,
            "PARAMCD": code,
            "AVISIT": visit,
            "AVAL": start + i - step * (i % 3 + 1) * k,
        }
        for i, s in enumerate(SUBJECTS)
        for code, start, step in (("ALT", 80.0, 2.0), ("AST", 60.0, 0.0))
        for k, visit in enumerate(VISITS)
    ]
    biopsy = [
        {"USUBJID": s, "PARAMCD": "FIBROSIS", "AVISIT": visit, "AVAL": i % 5}
        for i, s in enumerate(SUBJECTS)
        for visit in (VISITS[0], VISITS[2])
    ]
    events = [
        {"USUBJID": s, "PARAMCD": "LRE", "AVAL": 100.0 + i, "CNSR": i % 2, "STARTDT": "2021-03-01"}
        for i, s in enumerate(SUBJECTS)
    ]
    return {
        "adsl": adsl,
        "adlb": pd.DataFrame(labs),
        "adbx": pd.DataFrame(biopsy),
        "adtte": pd.DataFrame(events),
    }


def good_plan() -> dict[str, object]:
    """Plan of the small study."""
    return {
        "study": {"id": "SMALL", "title": "A small study"},
        "seed": 1,
        "data": {
            "arms": ARMS, "reference": "Placebo", "visits": VISITS, "baseline": "Baseline",
            "site": "SITEID", "strata": ["DIABFL"],
        },
    }  # fmt: skip


@pytest.fixture
def frames() -> Frames:
    return good_frames()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write frames (csv) and a plan as a study folder; returns the folder."""

    def _write(frames: Frames, plan: dict[str, object] | None = None) -> Path:
        adam = tmp_path / "adam"
        adam.mkdir(exist_ok=True)
        for name, frame in frames.items():
            frame.to_csv(adam / f"{name}.csv", index=False)
        text = yaml.safe_dump(plan or good_plan(), sort_keys=False)
        (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return _write


@pytest.fixture(scope="session")
def pbc_builder(repository: Path) -> ModuleType:
    """The script analysis/pbc/build_study.py as a module."""
    path = repository / "analysis" / "pbc" / "build_study.py"
    spec = importlib.util.spec_from_file_location("pbc_build_study", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pbc(
    shared_data: Path, pbc_builder: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Study folder of the Mayo PBC trial."""
    folder = shared_data / "tab_r_survival_liver"
    if not (folder / "pbc.csv").is_file():
        pytest.skip(f"real data absent: no {folder / 'pbc.csv'}")
    built: Path = pbc_builder.build_study(folder, tmp_path_factory.mktemp("pbc"))
    return built
