"""Covariate-adjusted risk differences and subgroup forests."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.errors import DataError, UsageError

# Likelihoods maximised twice.
FITTED = 1e-7


@pytest.fixture(scope="module")
def pbc(shared_data: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbc.csv").dropna(subset=["trt"])
    return frame.assign(
        TRT01P=frame["trt"].map({1: "Active", 2: "Placebo"}),
        CNSR=(frame["status"] != 2).astype(int),
        late=np.where(frame["stage"] > 2, "late", "early"),
    )


def trial(seed: int = 1, n: int = 160) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "USUBJID": [f"S{i}" for i in range(n)],
            "TRT01P": np.resize(["A", "B"], n),
            "BASE": rng.normal(0, 1, n),
            "SEX": rng.choice(["F", "M"], n),
            "CHG": rng.normal(0, 1, n),
            "AVAL": rng.exponential(10, n).round(2),
            "CNSR": rng.integers(0, 2, n),
        }
    )
    risk = 1 / (1 + np.exp(-(frame["BASE"] * 1.5 + (frame["TRT01P"] == "A"))))
    return frame.assign(RESP=(rng.random(n) < risk).astype(float))


# g-computation


def test_adjusted_difference_and_ratio_equal_r(pbc: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "subgroups_g.csv")
    ours = lt.g_computation(
        pbc, response="hepato", reference="Placebo", covariates="age + sex + log(bili)"
    ).table
    for name in ("estimate", "std_error"):
        np.testing.assert_allclose(ours[name], r[name], rtol=FITTED)


def test_useless_covariate_gives_the_crude_difference() -> None:
    data = trial()
    data["U"] = np.resize([0, 0, 1, 1], len(data))  # balanced over the arms
    data.loc[:, "RESP"] = np.resize([1, 0, 1, 0, 0, 0, 0, 1], len(data))
    result = lt.g_computation(data, response="RESP", reference="B", covariates="U")
    crude = lt.risk_difference(data, response="RESP", reference="B").table["estimate"].item()
    assert result.table["estimate"].iloc[0] == pytest.approx(crude, abs=1e-9)


def test_a_strong_covariate_narrows_the_limits() -> None:
    options = {"response": "RESP", "reference": "B"}
    adjusted = lt.g_computation(trial(), covariates="BASE", **options).table.iloc[0]
    crude = lt.risk_difference(trial(), method="mantel-haenszel", **options).table.iloc[0]
    assert adjusted["std_error"] < 0.95 * crude["std_error"]


def test_swapping_arms_negates_the_adjusted_difference() -> None:
    one, two = (
        lt.g_computation(trial(), response="RESP", reference=r, covariates="BASE + SEX").table
        for r in "BA"
    )
    assert one["estimate"][0] == pytest.approx(-two["estimate"][0])
    assert one["estimate"][1] == pytest.approx(1 / two["estimate"][1])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (trial().assign(RESP=1.0), "nobody or everybody responds"),
        (
            trial().assign(RESP=lambda d: (d["TRT01P"] == "A") * 1.0),
            "nobody or everybody responds",
        ),
        (trial().assign(BASE=1.0), "do not vary"),
        (trial().assign(RESP=lambda d: (d["BASE"] > 0) * 1.0), "separated"),
        (trial().assign(RESP=np.nan), "nobody or everybody responds in B \\(0 of 0\\)"),
    ],
    ids=["all events", "one arm responds", "flat covariate", "separation", "all missing"],
)
def test_models_that_do_not_exist_are_errors(data: pd.DataFrame, match: str) -> None:
    with pytest.raises(DataError, match=match):
        lt.g_computation(data, response="RESP", reference="B", covariates="BASE")


def test_missing_covariates_and_responses_are_counted() -> None:
    data = trial()
    data.loc[0, "BASE"] = np.nan
    data.loc[1, "RESP"] = np.nan
    result = lt.g_computation(
        data, response="RESP", reference="B", covariates="BASE", missing="non-responder"
    )
    assert result.settings["n"] == 159
    assert any("1 of 160 subjects: no covariates" in note for note in result.notes)
    assert any("as non-responders" in note for note in result.notes)


@pytest.mark.slow
def test_adjusted_limits_cover_95_percent() -> None:
    rng = np.random.default_rng(1)
    big = rng.normal(0, 1, 2_000_000)
    expit = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    truth = (expit(1.5 * big + 1) - expit(1.5 * big)).mean()
    hits = 0
    for seed in range(500):
        row = lt.g_computation(
            trial(seed), response="RESP", reference="B", covariates="BASE"
        ).table.iloc[0]
        hits += row["conf_low"] <= truth <= row["conf_high"]
    assert abs(hits / 500 - 0.95) < 0.03


# forest


@pytest.mark.parametrize(
    ("effect", "prefix", "value"),
    [("mean difference", "mean", "albumin"), ("hazard ratio", "hr", "albumin")],
)
def test_every_subgroup_equals_r(
    pbc: pd.DataFrame, reference: Path, effect: str, prefix: str, value: str
) -> None:
    r = pd.read_csv(reference / "subgroups_forest.csv", dtype={"level": str}).fillna("")
    result = lt.subgroup_forest(
        pbc, subgroups=["sex", "stage"], effect=effect, value=value, time="time",
        reference="Placebo",
    )  # fmt: skip
    ours = result.table.set_index(["subgroup", "level"])
    for row in r.to_dict("records"):
        mine = ours.loc[(row["subgroup"], row["level"])]
        expected = [row[prefix], row[f"{prefix}_low"], row[f"{prefix}_high"], row[f"{prefix}_p"]]
        got = mine[["estimate", "conf_low", "conf_high", "p_value"]].astype(float)
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_interactions_equal_r(pbc: pd.DataFrame, reference: Path) -> None:
    r = pd.read_csv(reference / "subgroups_interaction.csv")
    options = {"subgroups": ["sex", "late"], "reference": "Placebo", "time": "time"}
    means = lt.subgroup_forest(pbc, effect="mean difference", value="albumin", **options)
    hazards = lt.subgroup_forest(pbc, effect="hazard ratio", **options)
    np.testing.assert_allclose(means.interactions["statistic"], r["f"], rtol=1e-8)
    np.testing.assert_allclose(means.interactions["p_value"], r["f_p"], rtol=1e-8)
    np.testing.assert_allclose(hazards.interactions["statistic"], r["lr"], rtol=1e-5)


def test_risk_difference_rows_are_those_of_risk_difference() -> None:
    data = trial()
    table = lt.subgroup_forest(
        data, subgroups=["SEX"], effect="risk difference", value="RESP", reference="B"
    ).table
    for label, part in (("", data), ("F", data[data["SEX"] == "F"])):
        alone = lt.risk_difference(part, response="RESP", reference="B").table.iloc[0]
        row = table[table["level"] == label].iloc[0]
        assert row["conf_low"] == pytest.approx(alone["conf_low"])
        assert row["n_arm"] == alone["n_arm"]


def test_a_subgroup_with_one_arm_is_nan_with_a_note() -> None:
    data = trial()
    data.loc[data["TRT01P"] == "A", "SEX"] = "F"
    for effect, value in (
        ("mean difference", "CHG"), ("risk difference", "RESP"), ("hazard ratio", "CHG"),
    ):  # fmt: skip
        result = lt.subgroup_forest(
            data, subgroups=["SEX"], effect=effect, value=value, reference="B"
        )
        row = result.table.query("level == 'M'").iloc[0]
        assert np.isnan(row["estimate"])
        assert row["n_arm"] == 0
        assert "A, SEX M: no estimate" in result.notes
        assert np.isnan(result.interactions["p_value"].item())


def test_row_order_changes_nothing() -> None:
    data = trial()
    one, two = (
        lt.subgroup_forest(d, subgroups=["SEX"], effect="mean difference", reference="B")
        for d in (data, data.sample(frac=1, random_state=1))
    )
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.interactions, two.interactions)


def test_unknown_effects_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="hazard ratio"):
        lt.subgroup_forest(
            trial(),
            subgroups=["SEX"],
            effect="odds",
            reference="B",  # type: ignore[arg-type]
        )
