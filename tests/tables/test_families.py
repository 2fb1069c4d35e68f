"""Tables and sentences of hypotheses adjusted together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack import tables
from livertrack._results import ard_result

P = {"ALT": 0.004, "PDFF": 0.2, "NAS": 0.012, "LRE": 0.5}
ARMS = ["Placebo", "Low", "High"]


def stored(result: lt.Result) -> object:
    return ard_result(result.to_ard(analysis="a", variable="ALT"))


def test_families_stand_in_order_under_the_level_that_reached_them() -> None:
    families = {"primary": ["ALT", "PDFF"], "secondary": ["NAS", "LRE"]}
    table = tables.family_table(stored(lt.gatekeeping(P, families, truncation=[0.5, 1.0])))
    assert [row.stub for row in table.rows] == [
        "primary (Holm, truncation 0.5; level 0.0500)", "ALT", "PDFF",
        "secondary (Holm; level 0.0125)", "NAS", "LRE",
    ]  # fmt: skip
    assert [row.cells[-1] for row in table.rows if row.cells] == ["yes", "no", "no", "no"]


def test_a_closed_test_lists_its_hypotheses_with_adjusted_p() -> None:
    result = lt.closed_test(P, local="bonferroni")
    table = tables.family_table(stored(result))
    assert [row.stub for row in table.rows] == list(P)
    assert table.rows[0].cells == ("0.004", "0.016", "yes")
    assert any("Bonferroni" in note for note in table.footnotes)


@pytest.mark.parametrize("alternative", ["two-sided", "less"])
def test_every_arm_is_told_with_its_simultaneous_limits(alternative: str) -> None:
    rng = np.random.default_rng(3)
    data = pd.DataFrame({
        "USUBJID": [f"S{i}" for i in range(24)], "TRT01P": np.repeat(ARMS, 8),
        "CHG": rng.normal(0, 8, 24) - np.repeat([0, 4, 14], 8),
    })  # fmt: skip
    result = lt.dunnett(data, reference="Placebo", alternative=alternative)
    high = result.table.set_index("arm").loc["High"]
    table = tables.dunnett_table([stored(result)], arms=ARMS)
    assert [row.stub for row in table.rows[1:]] == ["Low minus Placebo", "High minus Placebo"]
    cells = table.rows[2].cells
    assert cells[0] == "8 / 8"
    digits = 1 if alternative == "two-sided" else 2
    assert cells[1].endswith(f"to {high['conf_high']:.{digits}f})".replace("-", "−"))
    assert ("−∞" in cells[1]) is (alternative == "less")
    assert cells[3] == (f"{high['p_adjusted']:.3f}" if high["p_adjusted"] >= 0.001 else "<0.001")
    said = tables.contrast_sentences(stored(result), label="ALT (U/L)", arms=ARMS)
    assert high["p_adjusted"] > high["p_value"]
    assert len(said) == 2
    assert "simultaneous 95 % CI" in said[1]
    assert ", adjusted p " in said[1]
