"""Results are lossless as analysis results data and show themselves in a notebook."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from livertrack._results import ARD_COLUMNS, Result, ard_result


@dataclass(frozen=True, kw_only=True)
class Toy(Result):
    extra: pd.DataFrame
    keys: ClassVar[tuple[str, ...]] = ("arm", "visit", "region")
    context: ClassVar[str] = "toy"


@pytest.fixture
def toy() -> Toy:
    table = pd.DataFrame(
        {
            "arm": ["A", "B"],
            "visit": ["Week 12", "Week 12"],
            "region": ["", "SHELL1"],
            "estimate": [1.25, np.nan],
            "n": [3, 4],
            "significant": [True, False],
            "method": ["x", "y"],
        }
    )
    extra = pd.DataFrame({"arm": ["A"], "curve": [0.1 + 0.2]})
    settings = {"method": "x", "seed": 7, "levels": ["a", "b"], "size": np.int64(3)}
    return Toy(table=table, extra=extra, text="A is <b>.", settings=settings, notes=("one gone",))


def test_ard_gives_every_frame_back(toy: Toy) -> None:
    back = ard_result(toy.to_ard(analysis="t1", variable="ALT"))
    pd.testing.assert_frame_equal(back.table, toy.table)
    pd.testing.assert_frame_equal(back.frames["extra"], toy.extra)
    assert (back.text, back.notes, back.analysis) == (toy.text, toy.notes, "t1")
    assert back.variable == "ALT"
    assert back.settings == {"method": "x", "seed": 7, "levels": ["a", "b"], "size": 3}


def test_ard_has_the_same_columns_and_types_for_every_result(toy: Toy, tmp_path) -> None:
    ard = toy.to_ard()
    assert tuple(ard.columns) == ARD_COLUMNS
    assert ard["stat"].dtype == "float64"
    ard.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), ard)


def test_html_escapes_text_and_shows_notes(toy: Toy) -> None:
    html = toy._repr_html_()
    assert "A is &lt;b&gt;." in html
    assert "one gone" in html


def test_settings_cannot_be_changed(toy: Toy) -> None:
    with pytest.raises(TypeError):
        toy.settings["seed"] = 8
