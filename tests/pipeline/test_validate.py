"""The qualification writes its report, and says when something differs."""

import html
import json
from pathlib import Path

import pandas as pd
import pytest

from livertrack.cli import main
from livertrack.errors import UsageError
from livertrack.pipeline import validate as module
from livertrack.pipeline.validate import validate
from livertrack.report import ReportError, open_qualification


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("qualification")
    assert validate(out=out).passed
    return out


def test_the_page_shows_every_number_and_every_claim(folder: Path) -> None:
    text = html.unescape((folder / "validation.html").read_text()).replace("\xa0", " ")
    numbers = pd.read_csv(folder / "reference_numbers.csv")
    claims = pd.read_csv(folder / "operating_characteristics.csv", keep_default_na=False)
    assert f"{len(numbers)} of {len(numbers)} reference numbers" in " ".join(text.split())
    for family in numbers["family"].unique():
        assert f"Reference numbers: {family[0].lower()}{family[1:]}" in text
    for setting in claims["setting"].unique():
        assert setting[1:] in text
    assert "http:" not in text.replace("http://www.w3.org", "")
    assert "✗" not in text


def test_the_page_shows_the_curves_of_the_release(folder: Path) -> None:
    text = html.unescape((folder / "validation.html").read_text()).replace("\xa0", " ")
    power = pd.read_csv(folder / "pathways_power.csv")
    page, found = open_qualification(folder)
    pd.testing.assert_frame_equal(found["power"], power)
    assert "Power of the tests of change pathways" in text
    assert "Separation by the cross-fitted signature score and by other measures" in text
    for name in ("power", "separation"):
        assert (page.run.out / "figures" / f"{name}.svg").is_file()


def test_files_of_a_qualification_hold_what_the_page_shows(folder: Path) -> None:
    facts = json.loads((folder / "validation.json").read_text())
    assert facts["passed"] is True
    assert len(facts["quantities"]) > 240
    assert {"python", "livertrack", "numpy"} <= set(facts["versions"])
    page, found = open_qualification(folder)
    assert found["measured"] is None
    assert len(found["numbers"]) == len(facts["quantities"])
    assert page.run.out == folder


def test_every_off_nominal_method_is_named_with_its_reason(folder: Path) -> None:
    text = " ".join((folder / "validation.html").read_text().split())
    claims = pd.read_csv(folder / "operating_characteristics.csv", keep_default_na=False)
    outside = claims[claims["verdict"] != "inside"]
    assert text.count("in place of") == len(outside)


def test_a_number_that_differs_is_marked_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame(
        {
            "family": ["Events"] * 2, "method": ["lt.cox"] * 2, "quantity": ["x", "y"],
            "value": [1.0, 2.0], "published": [1.0, 2.1], "difference": [0.0, -0.1],
            "tolerance": [1e-6] * 2, "passed": [True, False], "source": ["nowhere"] * 2,
        }
    )  # fmt: skip
    monkeypatch.setattr(module, "reference_table", lambda: table)
    assert main(["validate", "--out", str(tmp_path), "--json"]) == 1
    assert [row["passed"] for row in json.loads(capsys.readouterr().out)] == [True, False]
    text = (tmp_path / "validation.html").read_text()
    assert text.count("✗") == 2  # the row, and the callout that explains the mark
    assert "Not reproduced" in text


def test_simulations_made_now_are_compared_with_the_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = module.released_characteristics()
    changed = released.copy()
    changed.loc[changed.index[0], "estimate"] -= 0.3
    monkeypatch.setattr(module, "reference_table", lambda: _one_number())
    monkeypatch.setattr(module, "operating_characteristics", lambda n: changed)
    found = validate(out=tmp_path, simulate=True)
    assert not found.passed
    text = " ".join((tmp_path / "validation.html").read_text().split())
    assert f"{len(released) - 1} of {len(released)} agree with the release" in text
    assert (tmp_path / "simulated_now.csv").is_file()
    monkeypatch.setattr(module, "operating_characteristics", lambda n: released)
    assert validate(simulate=True, quick=True).passed


def test_quick_without_simulate_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--simulate"):
        validate(quick=True)
    assert main(["validate", "--quick"]) == 2
    assert "--simulate" in capsys.readouterr().err


def test_a_folder_without_a_qualification_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="holds no qualification"):
        open_qualification(tmp_path)


def _one_number() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "family": ["Events"], "method": ["lt.cox"], "quantity": ["x"], "value": [1.0],
            "published": [1.0], "difference": [0.0], "tolerance": [1e-6], "passed": [True],
            "source": ["nowhere"],
        }
    )  # fmt: skip
