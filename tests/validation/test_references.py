"""The shipped reference numbers are reproduced, cover the package, and can fail."""

import re
from pathlib import Path

import pandas as pd
import pytest

import livertrack
from livertrack.validation import reference_table
from livertrack.validation.characteristics import released_characteristics
from livertrack.validation.references import COLUMNS, FAMILY_OF, separation
from livertrack.validation.references._data import flows, recurrences, reference_numbers, trial

#: public functions that need no reference number or simulation of their own, and why
WITHOUT = {
    "derive_responders": "a derivation; checked by hand in the tests",
    "ilr": "an isometry of clr; checked in the tests",
    "ilr_inverse": "the inverse of ilr; checked in the tests",
    "disposition": "counts",
    "baseline_table": "counts and summaries",
    "scan_quality": "counts and summaries",
    "elastography_quality": "counts and summaries",
    "registration_quality": "counts and summaries",
    "site_effects": "compared with R's aov in the tests",
    "type_atlas": "means with t limits, compared with R in the tests",
    "type_correlation": "compared with R in the tests; its error rate is simulated there",
    "vocabulary_recovery": "describes simulated trials",
    "planted_pathways": "describes simulated trials",
    "mmrm_diagnostics": "describes residuals of a fit that is checked itself",
    "freeze_pathways": "stores what a first cohort chose",
    "null_transitions": "means of repeat scans; checked by hand in the tests",
    "selected_features": "makes a model; what it chooses is tested on planted features",
    "abstention": "checked by hand in the tests; its accuracy is simulated there",
    "biopsy_models": "makes models; they are compared with scikit-learn in the tests",
    "permutation_importance": "exchanges are drawn; a known loss is tested",
    "shapley_values": "folds are drawn; compared with the library shap in the tests",
    "fit_tabular": "the fit of a learner, which is compared with it in the tests",
    "load_tabular": "reads a file; what it refuses is tested",
    "prognosis": "folds are drawn; its metrics are compared with R in the tests",
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return reference_table()


def test_every_reference_number_is_reproduced(table: pd.DataFrame) -> None:
    assert table["passed"].all(), table[~table["passed"]].to_string()
    assert len(table) > 240
    assert list(table.columns) == COLUMNS


def test_numbers_of_other_programs_agree_to_six_decimals(table: pd.DataFrame) -> None:
    programs = table[table["source"].str.match(r"R 4|[A-Za-z]+ \d")]
    assert len(programs) > 200
    assert programs["tolerance"].max() <= 1e-5


def test_a_wrong_number_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    right = separation.CHECKS["lt.max_t"]()
    wrong = {**right, "p, 1 to 2": right["p, 1 to 2"] + 1e-4, "Adjusted p, 2 to 3": float("nan")}
    monkeypatch.setitem(separation.CHECKS, "lt.max_t", lambda: wrong)
    table = reference_table()
    assert set(table.loc[~table["passed"], "quantity"]) == {"p, 1 to 2", "Adjusted p, 2 to 3"}


def test_every_statistical_function_has_a_reference_or_a_reason() -> None:
    exports = livertrack._EXPORTS
    functions = {
        name
        for name, module in exports.items()
        if module.startswith("livertrack.endpoints") and name[0].islower()
    }
    checked = {method.removeprefix("lt.") for method in FAMILY_OF}
    checked |= {m.removeprefix("lt.") for m in released_characteristics()["method"]}
    missing = functions - checked - set(WITHOUT)
    assert not missing, f"neither a reference number, nor a simulation, nor a reason: {missing}"


def test_the_invented_trial_has_what_makes_numbers_go_wrong() -> None:
    data = trial()
    assert data["USUBJID"].is_unique
    assert data["CHG"].isna().any()
    assert data["TIME"].duplicated().any()
    assert set(data["CNSR"]) == {0, 1}
    assert len(recurrences()["USUBJID"].unique()) == 60
    assert flows().groupby("USUBJID")["AVAL"].sum().round(12).eq(1).all()


def test_the_script_of_the_numbers_is_beside_the_tests(reference: Path) -> None:
    script = (reference / "qualification.R").read_text()
    named = set(re.findall(r'"(lt\.\w+)"', script))
    assert set(reference_numbers()["method"]) <= named
