"""Reference-based imputation agrees with R rbmi 1.5.2 (tests/reference/imputation.R).

Estimates and jackknife standard errors are deterministic given the fit: both programs are at the
optimum of the same likelihood, so that 1e-8 holds with room. Draws differ by their Monte Carlo
error, which the reference states.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt

VISITS = ["Week 04", "Week 12", "Week 24", "Week 48"]
MODEL = "CHG ~ BASE * AVISIT + TRT01P * AVISIT + us(AVISIT | USUBJID)"
STRATEGIES = ["MAR", "JR", "CR", "CIR", "LMCF"]
TOLERANCE = 1e-8


@pytest.fixture(scope="module")
def data(reference: Path) -> pd.DataFrame:
    """Everything observed, also what came after an event."""
    found = pd.read_csv(reference / "imputation_data.csv")
    return found.astype({"AVISIT": pd.CategoricalDtype(VISITS)})


@pytest.fixture(scope="module")
def events(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "imputation_events.csv")


@pytest.fixture(scope="module")
def gone(data: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Every event ends observation."""
    first = data["USUBJID"].map(events.set_index("USUBJID")["AVISIT"]).map(VISITS.index, "ignore")
    return data.assign(CHG=data["CHG"].where(~(data["AVISIT"].cat.codes >= first)))


@pytest.fixture(scope="module")
def rbmi(reference: Path) -> pd.DataFrame:
    parts = [
        pd.read_csv(reference / f"imputation_{part}.csv") for part in ("conditional", "pbcseq")
    ]
    return pd.concat(parts).set_index(["case", "strategy"]).sort_index()


def agree(imputation: object, theirs: pd.DataFrame, **options: object) -> None:
    ours = imputation.analyse(**options).table.set_index("AVISIT")  # type: ignore[attr-defined]
    theirs = theirs.set_index("AVISIT").loc[ours.index]
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=TOLERANCE)
    np.testing.assert_allclose(ours["std_error"], theirs["std_error"], rtol=TOLERANCE)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_conditional_means_with_jackknife_agree(
    gone: pd.DataFrame, rbmi: pd.DataFrame, strategy: str
) -> None:
    found = lt.impute(gone, reference="Placebo", strategy=strategy, draws="conditional-mean")
    agree(found, rbmi.loc[("common", strategy)])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_covariance_per_arm_agrees(
    gone: pd.DataFrame, rbmi: pd.DataFrame, strategy: str
) -> None:
    found = lt.impute(
        gone, reference="Placebo", strategy=strategy, draws="conditional-mean",
        formula=MODEL.replace("| USUBJID", "| TRT01P / USUBJID"),
    )  # fmt: skip
    agree(found, rbmi.loc[("by arm", strategy)])


def test_a_structured_covariance_agrees(gone: pd.DataFrame, rbmi: pd.DataFrame) -> None:
    found = lt.impute(
        gone, reference="Placebo", strategy="JR", draws="conditional-mean",
        formula=MODEL.replace("us(", "toeph("),
    )  # fmt: skip
    agree(found, rbmi.loc[("toeph", "JR")])


def test_a_delta_on_imputed_values_agrees(gone: pd.DataFrame, rbmi: pd.DataFrame) -> None:
    found = lt.impute(gone, reference="Placebo", strategy="JR", draws="conditional-mean")
    agree(found, rbmi.loc[("delta", "JR")], delta=1.25)


def test_a_strategy_per_subject_agrees(
    data: pd.DataFrame, events: pd.DataFrame, rbmi: pd.DataFrame
) -> None:
    """Records past an event: kept but not modelled; removed where the strategy is hypothetical."""
    found = lt.impute(data, reference="Placebo", events=events, draws="conditional-mean")
    agree(found, rbmi.loc[("by subject", "given")])


@pytest.mark.parametrize("draws", ["bootstrap", "bayes"])
@pytest.mark.parametrize("strategy", ["MAR", "JR", "CIR"])
def test_draws_agree_within_their_monte_carlo_error(
    gone: pd.DataFrame, reference: Path, draws: str, strategy: str
) -> None:
    """Rubin's rules on draws of both programs; rbmi's prior of the covariance is informative.

    Its inverse Wishart prior has d + 2 = 6 degrees of freedom, with the REML estimate as mode:
    with 64 subjects the standard errors may differ by some percent.
    """
    table = pd.read_csv(reference / "imputation_draws.csv")
    theirs = table[table["case"].eq(draws) & table["strategy"].eq(strategy)].set_index("AVISIT")
    found = lt.impute(
        gone, reference="Placebo", strategy=strategy, draws=draws, n_imputations=60, seed=6
    )
    ours = found.analyse().table.set_index("AVISIT").loc[theirs.index]
    between = ours["std_error"] * np.sqrt(ours["fraction_missing"])
    error = np.sqrt(between**2 / 60 + theirs["monte_carlo"] ** 2)
    assert (np.abs(ours["estimate"] - theirs["estimate"]) < 4 * error + 1e-9).all()
    np.testing.assert_allclose(ours["std_error"], theirs["std_error"], rtol=0.08)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_log_bilirubin_of_pbcseq_agrees(
    shared_data: Path, rbmi: pd.DataFrame, strategy: str
) -> None:
    """The first 160 subjects of the trial; change of log bilirubin over two years."""
    frame = pd.read_csv(shared_data / "tab_r_survival_liver/derived_csv/pbcseq.csv")
    labels = ["Baseline", "Month 06", "Month 12", "Month 24"]
    frame["AVISIT"] = pd.cut(frame["day"], [-1, 0, 274, 547, 912], labels=labels)
    frame = frame[frame["AVISIT"].notna() & (frame["id"] <= 160)]
    frame = frame.sort_values(["id", "day"], kind="stable").drop_duplicates(["id", "AVISIT"])
    seen_again = frame.loc[frame["AVISIT"] != "Baseline", "id"]
    first = frame[(frame["AVISIT"] == "Baseline") & frame["id"].isin(seen_again)].set_index("id")
    grid = pd.MultiIndex.from_product([first.index, labels[1:]], names=["id", "AVISIT"])
    bili = frame.set_index(["id", "AVISIT"])["bili"]
    base = np.log(first["bili"].loc[grid.get_level_values(0)].to_numpy())
    records = pd.DataFrame(
        {
            "USUBJID": grid.get_level_values(0), "AVISIT": grid.get_level_values(1),
            "BASE": base, "CHG": np.log(bili.reindex(grid).to_numpy()) - base,
            "TRT01P": np.where(
                first["trt"].loc[grid.get_level_values(0)] == 1, "Active", "Placebo"
            ),
        }
    )  # fmt: skip
    found = lt.impute(records, reference="Placebo", strategy=strategy, draws="conditional-mean")
    agree(found, rbmi.loc[("pbcseq", strategy)])
