"""Pseudo-domains help where scanners differ, do no harm where not, and say when they fall back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import livertrack as lt

APPEARANCE = ["NOISE", "BIAS", "GRAIN"]


def trial(n: int, *, differ: float, seed: int) -> pd.DataFrame:
    """Fat at week 12 and response at week 48; a second scanner reads fat with another slope.

    ``differ`` 0: both scanners read alike. No column names the scanner.
    """
    rng = np.random.default_rng(seed)
    second = rng.random(n) < 0.4
    truth = rng.normal(size=n)
    look = rng.normal(size=(n, 3)) + 4 * second[:, None] * np.array([1.0, -0.5, 0.8])
    fat = truth * (1 - 2 * differ * second) + 1.5 * differ * second
    frame = pd.DataFrame(look, columns=APPEARANCE)
    return frame.assign(
        USUBJID=[f"S{i:03d}" for i in range(n)], FATW12=fat + rng.normal(0, 0.3, n),
        CHGW48=truth + rng.normal(0, 0.5, n),
    )  # fmt: skip


def compared(data: pd.DataFrame, **options: Any) -> Any:
    plain = lt.Tabular(Ridge(), ["FATW12"])
    options = {"n_folds": 4, "n_inner": 3, "n_boot": 199, **options}
    return lt.cross_validate(
        data, outcome="CHGW48", task="continuous", seed=6,
        models={"domains": lt.PseudoDomains(plain, APPEARANCE, n_domains=(1, 2)), "one": plain},
        **options,
    )  # fmt: skip


def gain(found: Any) -> pd.Series:
    pairs = found.comparison
    return pairs[pairs["metric"].eq("r2") & pairs["level"].eq("subject")].iloc[0]


def test_where_scanners_differ_domains_predict_week_48_better() -> None:
    found = compared(trial(160, differ=1.0, seed=1))
    row = gain(found)
    assert row["model_1"] == "domains"
    assert row["conf_low"] > 0.3
    chosen = found.folds.query("model == 'domains'")["chosen"]
    assert chosen.str.startswith("domains=2").all()


def test_where_scanners_are_alike_domains_do_no_harm() -> None:
    found = compared(trial(160, differ=0.0, seed=2))
    row = gain(found)
    assert abs(row["difference"]) < 0.03
    assert row["conf_low"] <= 0.0 <= row["conf_high"]


def test_one_domain_is_the_learner_itself() -> None:
    data = trial(60, differ=1.0, seed=3)
    plain = lt.Tabular(Ridge(), ["FATW12"])
    y = data["CHGW48"].to_numpy()
    one = lt.PseudoDomains(plain, APPEARANCE, n_domains=(1,)).fit(data, y, "continuous", seed=1)
    np.testing.assert_array_equal(
        one(data), plain.fit(data, y, "continuous", seed=1)(data)
    )  # fmt: skip


def test_each_domain_has_the_model_of_its_own_rows() -> None:
    data = trial(120, differ=1.0, seed=4)
    plain = lt.Tabular(Ridge(), ["FATW12"])
    y = data["CHGW48"].to_numpy()
    model = lt.PseudoDomains(plain, APPEARANCE, n_domains=(2,))
    place = model.domains(data, seed=1).of(data)
    assert set(place) == {0, 1}
    predicted = model.fit(data, y, "continuous", seed=1)(data)
    for number in (0, 1):
        here = place == number
        alone = plain.fit(data[here], y[here], "continuous", seed=1)(data[here])
        np.testing.assert_allclose(predicted[here], alone, rtol=1e-12)


def test_a_small_domain_falls_back_to_the_model_of_all_rows() -> None:
    data = trial(80, differ=0.0, seed=5)
    odd = data.index[:6]
    data.loc[odd, APPEARANCE] += 40.0
    plain = lt.Tabular(Ridge(), ["FATW12"])
    y = data["CHGW48"].to_numpy()
    model = lt.PseudoDomains(plain, APPEARANCE, n_domains=(3,), smallest=20)
    place = model.domains(data, seed=1).of(data)
    assert len(set(place[odd])) == 1
    assert (place == place[odd[0]]).sum() == 6
    whole = plain.fit(data, y, "continuous", seed=1)(data)
    np.testing.assert_array_equal(
        model.fit(data, y, "continuous", seed=1)(data)[odd], whole[odd]
    )  # fmt: skip


def test_scans_unlike_any_or_without_a_known_look_fall_back_too() -> None:
    data = trial(120, differ=1.0, seed=6)
    plain = lt.Tabular(Ridge(), ["FATW12"])
    y = data["CHGW48"].to_numpy()
    model = lt.PseudoDomains(plain, APPEARANCE, n_domains=(2,))
    new = data.iloc[:3].copy()
    new.loc[new.index[0], APPEARANCE] = [-60.0, 60.0, -60.0]
    new.loc[new.index[1], "GRAIN"] = np.nan
    assert list(model.domains(data, seed=1).of(new)[:2]) == [-1, -1]
    got = model.fit(data, y, "continuous", seed=1)(new)
    whole = plain.fit(data, y, "continuous", seed=1)(new)
    np.testing.assert_array_equal(got[:2], whole[:2])
    assert got[2] != whole[2]


def test_a_domain_without_both_outcomes_falls_back() -> None:
    data = trial(120, differ=0.0, seed=7)
    model = lt.PseudoDomains(lt.Tabular(LogisticRegression(), ["FATW12"]), APPEARANCE, (2,))
    place = model.domains(data, seed=1).of(data)
    y = ((data["CHGW48"] > 0) & (place == 0)).to_numpy(float)
    got = model.fit(data, y, "binary", seed=1)(data)
    assert ((got > 0) & (got < 1)).all()
    whole = lt.Tabular(LogisticRegression(), ["FATW12"]).fit(data, y, "binary", seed=1)(data)
    np.testing.assert_array_equal(got[place == 1], whole[place == 1])


def test_order_of_rows_and_columns_changes_nothing() -> None:
    data = trial(60, differ=1.0, seed=8)
    mixed = data.sample(frac=1, random_state=1)[list(data.columns[::-1])]
    first, second = (compared(d, n_folds=2, n_inner=2, n_boot=0) for d in (data, mixed))
    pd.testing.assert_frame_equal(first.table, second.table)


def test_no_known_appearance_at_all_is_one_model() -> None:
    data = trial(40, differ=0.0, seed=9).assign(NOISE=np.nan)
    plain = lt.Tabular(Ridge(), ["FATW12"])
    y = data["CHGW48"].to_numpy()
    got = lt.PseudoDomains(plain, APPEARANCE, (2,)).fit(data, y, "continuous", seed=1)(data)
    np.testing.assert_array_equal(got, plain.fit(data, y, "continuous", seed=1)(data))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"appearance": []}, "at least one column"),
        ({"n_domains": (0, 2)}, r"numbers from 1, got \[0, 2\]"),
        ({"smallest": 1}, "smallest is at least 2"),
    ],
)
def test_arguments_that_do_not_fit_are_said(options: dict[str, Any], words: str) -> None:
    with pytest.raises(lt.UsageError, match=words):
        lt.PseudoDomains(**{"learner": lt.Tabular(Ridge(), ["A"]), "appearance": ["B"], **options})


def test_an_appearance_that_is_not_there_is_said() -> None:
    data = trial(60, differ=0.0, seed=1).drop(columns="GRAIN")
    with pytest.raises(lt.DataError, match="GRAIN"):
        compared(data)


def test_a_feature_copied_from_the_outcome_is_refused_behind_domains_too() -> None:
    data = trial(60, differ=0.0, seed=1)
    leak = lt.Tabular(Ridge(), ["COPY"])
    with pytest.raises(lt.DataError, match="COPY"):
        lt.cross_validate(
            data.assign(COPY=data["CHGW48"]), outcome="CHGW48", task="continuous", n_folds=2,
            models={"domains": lt.PseudoDomains(leak, APPEARANCE)}, n_boot=0, seed=1,
        )  # fmt: skip
