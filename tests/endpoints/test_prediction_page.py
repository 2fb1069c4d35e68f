"""The page on predictions: its code runs, and its sentences are those of its results."""

import re

import pytest

import livertrack as lt

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "prediction.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def simulated(page):
    """Names after the snippets that need no data."""
    names: dict = {}
    for block in BLOCK.findall(page):
        if "PBC" not in block:
            exec(compile(block, "prediction.md", "exec"), names)  # noqa: S102
    return names


def quoted(text):
    return " ".join(text.split())


def said(page):
    lines = [line[2:] if line.startswith("> ") else line for line in page.splitlines()]
    return quoted("\n".join(lines))


def test_every_name_on_the_page_exists(page):
    names = set(re.findall(r"`lt\.(\w+)|\blt\.(\w+)\(", page))
    missing = [name for pair in names for name in pair if name and not hasattr(lt, name)]
    assert not missing
    assert "_TEXT" not in page
    assert len(BLOCK.findall(page)) == 5


@pytest.mark.slow
def test_the_sentence_on_steatohepatitis_is_that_of_the_code(page, simulated):
    assert simulated["nash"].text in said(page)


@pytest.mark.slow
def test_texture_is_told_and_a_type_carries_the_prediction(simulated):
    table = simulated["texture"].table
    assert table.loc[table["metric"].eq("auc"), "estimate"].iloc[0] > 0.9
    assert simulated["carried"].table.loc[0, "estimate"] > 0


@pytest.mark.slow
def test_the_type_that_moves_the_prediction_most_is_the_one_that_the_page_names(page, simulated):
    largest = simulated["shares"].table.loc[0, "feature"]
    assert f"{largest} moves the probability by" in page


def test_the_numbers_on_pbc_are_those_of_the_code(page, shared_data):
    block = next(b for b in BLOCK.findall(page) if "PBC" in b)
    names = {"PBC": shared_data / "tab_r_survival_liver" / "pbc.csv"}
    lines = "import livertrack as lt\nimport numpy as np\n" + block
    exec(compile(lines, "prediction.md", "exec"), names)  # noqa: S102
    result = names["result"]
    assert result.text in said(page)
    for metric in ("harrell_c", "uno_c", "integrated_brier"):
        row = result.comparison[result.comparison["metric"].eq(metric)].iloc[0]
        shown = f"{row['difference']:.3f} ({row['conf_low']:.3f} to {row['conf_high']:.3f})"
        assert shown in page, metric
