"""The pages of the documentation: their examples run, their links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import yaml

import livertrack as lt
from livertrack.report import render
from livertrack.report._source import read_source
from livertrack.report.display import frame_markdown, result_markdown

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(path.stem for path in DOCS.glob("[!_]*.qmd") if path.stem != "index")
#: pages whose example takes more than three seconds
LONG = {"biopsy-prediction", "cross-validate", "impute"}
SECTIONS = ["Question", "Estimand", "Formula", "Worked example", "Pitfalls", "Code"]


def source(page: str) -> str:
    return (DOCS / f"{page}.qmd").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def pbc_study(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PBC trial as a study folder."""
    data = shared_data / "tab_r_survival_liver"
    if not (data / "pbc.csv").is_file():
        pytest.skip(f"real data absent: no {data / 'pbc.csv'}")
    folder = tmp_path_factory.mktemp("pbc") / "study"
    script = DOCS.parent / "analysis" / "pbc" / "build_study.py"
    subprocess.run([sys.executable, str(script), str(data), str(folder)], check=True)
    return folder


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.slow) if p in LONG else p for p in PAGES],
)
def test_the_example_of_a_page_runs(
    page: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "_pbc.qmd" in source(page):
        monkeypatch.setenv("PBC_STUDY", str(request.getfixturevalue("pbc_study")))
    if "_udca.qmd" in source(page):
        data = Path(request.getfixturevalue("shared_data")) / "tab_r_survival_liver"
        if not (data / "udca.csv").is_file():
            pytest.skip(f"real data absent: no {data / 'udca.csv'}")
        monkeypatch.setenv("UDCA", str(data))
    names: dict[str, Any] = {}
    cells = read_source(DOCS / f"{page}.qmd").cells
    assert len(cells) > 1
    for cell in cells:
        exec(compile(cell.code, cell.place, "exec"), names)  # noqa: S102 - our own pages
    plt.close("all")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_its_sections_in_order_and_names_real_functions(page: str) -> None:
    text = source(page)
    assert re.findall(r"^# (.*)$", text, flags=re.MULTILINE) == SECTIONS
    header = read_source(DOCS / f"{page}.qmd").header
    for name in str(header["subtitle"]).split(", "):
        assert hasattr(lt, name.removeprefix("lt.")), name
    assert header["title"]
    for cell in read_source(DOCS / f"{page}.qmd").cells:
        if cell.label.startswith("fig-"):
            assert cell.options.get("fig-alt"), cell.label
    assert "$$" in text


def test_every_page_is_in_the_index_and_in_the_sidebar() -> None:
    index = source("index")
    settings = yaml.safe_load((DOCS / "_quarto.yml").read_text(encoding="utf-8"))
    groups = [g for g in settings["website"]["sidebar"]["contents"] if isinstance(g, dict)]
    listed = [page for group in groups for page in group["contents"]]
    assert sorted(listed) == [f"{page}.qmd" for page in PAGES]
    for page in PAGES:
        assert f"({page}.html)" in index


def test_links_between_pages_and_files_named_on_them_exist() -> None:
    known = {*PAGES, "index", "api", *(path.stem for path in DOCS.glob("*.md"))}
    for path in [*DOCS.glob("*.qmd"), *DOCS.glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([\w-]+)\.html(?:#[\w-]*)?\)", text):
            assert link in known, f"{path.name}: {link}"
        for file in re.findall(r"`(tests/reference/[\w.]+)`", text):
            assert (DOCS.parent / file).is_file(), f"{path.name}: {file}"


def test_the_reference_lists_every_public_name_once() -> None:
    settings = yaml.safe_load((DOCS / "_quarto.yml").read_text(encoding="utf-8"))
    names = [n for section in settings["quartodoc"]["sections"] for n in section["contents"]]
    assert len(names) == len(set(names)) > 80
    assert set(names) == set(lt._EXPORTS)


@pytest.mark.parametrize(
    "path", [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"], ids=lambda p: p.name
)
def test_python_on_the_other_pages_is_valid_and_names_what_there_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        compile(block, path.name, "exec")
        for name in re.findall(r"\blt\.(\w+)", block):
            assert hasattr(lt, name), name


@pytest.mark.slow
def test_the_examples_of_the_page_on_predictions_run() -> None:
    text = (DOCS / "prediction.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        if "PBC" not in block:
            exec(compile(block, "prediction.md", "exec"), names)  # noqa: S102 - our own page


def test_a_page_is_rendered_with_its_output_and_loads_nothing(tmp_path: Path) -> None:
    [page] = render(
        DOCS / "graphical-test.qmd", out=tmp_path, formats=("html",), renderer="embedded"
    )
    text = page.read_text(encoding="utf-8")
    shown = lt.graphical_test([0.01, 0.04], [0.5, 0.5], [[0, 1], [1, 0]]).table.columns
    for column in shown:
        assert f">{column}</th>" in text
    assert 'alt="Four nodes with their weights' in text
    assert "decisions = lt.graphical_test" in re.sub(r"<[^>]+>", "", text)
    assert not re.findall(r"(?:src|href)=\"(?!data:|#|[\w-]+\.html|https://doi\.org)", text)
    assert "<math" in text


def test_pages_that_need_absent_data_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("livertrack_docs_build", DOCS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("PATH", os.devnull)
    for name in ("PBC_STUDY", "UDCA"):
        monkeypatch.delenv(name, raising=False)
    assert module.real_data(None, tmp_path) == {}
    assert module.real_data(tmp_path, tmp_path) == {}
    for name in ("ancova", "recurrent-events"):
        assert module.build(tmp_path, pages=[name]) == ([], [name])
    [page] = module.build(tmp_path, pages=["mmrm"])[0]
    text = page.read_text(encoding="utf-8")
    assert "<h2" in text
    assert len(re.findall(r"<th\b", text)) == len(re.findall(r"<th [^>]*scope=", text)) > 10


def test_a_frame_is_shown_as_a_table_with_headers_and_escaped_text() -> None:
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame({"arm": ["<A>"], "estimate": [-0.123456], "n": [3], "ok": [True],
                          "p": [np.nan]})  # fmt: skip
    text = frame_markdown(frame)
    assert text.startswith("```{=html}\n<table>")
    assert text.count('scope="col"') == 5
    for cell in (">&lt;A&gt;<", ">−0.1235<", ">3<", ">yes<", ">–<"):
        assert cell in text
    indexed = frame_markdown(frame.set_index("arm"))
    assert ">&lt;A&gt;<" in indexed
    shown = result_markdown(lt.adjust_pvalues([0.01], "holm"))
    assert shown.startswith("```{=html}")
