"""Comparison of measures: pROC's paired DeLong, Ledoit-Wolf shrinkage, properties, null cases."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints import _cross_fit as cross

#: closed forms in both programs
RELATIVE = 1e-9
OPTIONS = {"reference": "P", "n_boot": 200, "seed": 3}
MEASURES = ["strong", "weak", "falling", "tied"]


@pytest.fixture(scope="module")
def data(reference: Path) -> pd.DataFrame:
    frame = pd.read_csv(reference / "compare_separation_data.csv")
    return frame.rename(columns={"subject": "USUBJID", "arm": "TRT01P"})


@pytest.fixture(scope="module")
def result(data: pd.DataFrame):
    return lt.compare_separation(data, values=MEASURES, **OPTIONS)


def simulated(n: int, effects: dict[str, float], seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    up = np.repeat([1.0, 0.0], n)
    frame = pd.DataFrame({name: rng.normal(size=2 * n) + e * up for name, e in effects.items()})
    return frame.assign(USUBJID=range(2 * n), TRT01P=np.where(up > 0, "A", "P"))


def pick(result, first: str, second: str, metric: str = "auc") -> pd.Series:
    table = result.table
    rows = table[(table["measure_1"] == first) & (table["measure_2"] == second)]
    return rows[rows["metric"] == metric].iloc[0]


def check_delong(result, expected: pd.DataFrame) -> None:
    for want in expected.itertuples():
        got = pick(result, want.measure_1, want.measure_2, "auc_delong")
        for name in ("estimate_1", "estimate_2", "conf_low", "conf_high", "p_value"):
            assert got[name] == pytest.approx(getattr(want, name), rel=RELATIVE), name


def test_paired_delong_agrees_with_proc(result, reference: Path) -> None:
    expected = pd.read_csv(reference / "compare_separation.csv")
    check_delong(result, expected[expected["case"] == "made"])


def test_liver_tests_of_the_texmex_trial_agree_with_proc(shared_data, reference) -> None:
    liver = pd.read_csv(shared_data / "tab_liver_other_trials" / "texmex_liver.csv")
    liver = liver[liver["dose"].isin(["A", "D"])]
    for name in ("ALT", "AST", "TBL"):
        liver[name] = np.log(liver[f"{name}.M"] / liver[f"{name}.B"])
    result = lt.compare_separation(
        liver, values=["ALT", "AST", "TBL"], arm="dose", reference="A", subject="rownames",
        n_boot=300, seed=1,
    )  # fmt: skip
    expected = pd.read_csv(reference / "compare_separation.csv")
    check_delong(result, expected[expected["case"] == "texmex"])
    # two large-sample intervals of the same difference
    boot, delong = pick(result, "ALT", "TBL"), pick(result, "ALT", "TBL", "auc_delong")
    assert boot["difference"] == pytest.approx(delong["difference"])
    assert boot["conf_low"] == pytest.approx(delong["conf_low"], abs=0.03)


def test_own_rows_are_the_separation_of_each_measure(result, data) -> None:
    for name in MEASURES:
        want = lt.separation(data, value=name, reference="P", n_boot=0, seed=1).table.iloc[0]
        got = result.measures.set_index("measure").loc[name]
        for column in ("g", "g_low", "g_high", "auc", "auc_low", "auc_high"):
            assert got[column] == pytest.approx(want[column], rel=1e-9), column
    assert result.measures.set_index("measure")["direction"].to_dict() == {
        "strong": "higher", "weak": "lower", "falling": "lower", "tied": "higher",
    }  # fmt: skip


def test_swapping_measures_negates_the_difference(data) -> None:
    one = lt.compare_separation(data, values=["strong", "weak"], **OPTIONS)
    two = lt.compare_separation(data, values=["weak", "strong"], **OPTIONS)
    for metric in ("g", "auc", "auc_delong"):
        a, b = pick(one, "strong", "weak", metric), pick(two, "weak", "strong", metric)
        assert b["difference"] == pytest.approx(-a["difference"])
        assert b["conf_low"] == pytest.approx(-a["conf_high"], abs=0.02)
        assert b["p_value"] == pytest.approx(a["p_value"], rel=0.1, abs=0.01)


def test_a_measure_and_its_mirror_separate_equally(data) -> None:
    mirrored = data.assign(mirror=-data["strong"])
    row = pick(
        lt.compare_separation(mirrored, values=["strong", "mirror"], **OPTIONS), "strong", "mirror"
    )
    assert row[["difference", "conf_low", "conf_high"]].tolist() == pytest.approx([0, 0, 0])
    assert row["p_value"] == 1


def test_a_stated_direction_counts_the_wrong_way_against_a_measure(data) -> None:
    result = lt.compare_separation(
        data, values=["strong", "falling"], direction={"falling": "higher"}, **OPTIONS
    )
    free = lt.compare_separation(data, values=["strong", "falling"], **OPTIONS)
    wrong, right = pick(result, "strong", "falling"), pick(free, "strong", "falling")
    assert wrong["estimate_2"] == pytest.approx(1 - right["estimate_2"])
    assert pick(result, "strong", "falling", "g")["estimate_2"] < 0
    delong = pick(result, "strong", "falling", "auc_delong")
    assert delong["estimate_2"] == pytest.approx(wrong["estimate_2"])


def test_p_and_interval_agree_on_zero(result) -> None:
    rows = result.table[result.table["metric"] != "auc_delong"]
    outside = (rows["conf_low"] > 0) | (rows["conf_high"] < 0)
    clear = (rows["p_value"] - 0.05).abs() > 0.01
    assert ((rows["p_value"] < 0.05) == outside)[clear].all()
    assert outside.any()
    assert not outside.all()


def test_each_pair_uses_the_subjects_with_both_measures(data) -> None:
    gaps = data.copy()
    gaps.loc[:4, "weak"] = np.nan
    gaps.loc[3:9, "tied"] = np.nan
    result = lt.compare_separation(gaps, values=["strong", "weak", "tied"], **OPTIONS)
    assert pick(result, "strong", "weak")["n"] == 39
    assert pick(result, "strong", "tied")["n"] == 37
    assert pick(result, "weak", "tied")[["n", "n_excluded"]].tolist() == [34, 10]
    own = result.measures.set_index("measure")
    assert own["n_missing"].to_dict() == {"strong": 0, "weak": 5, "tied": 7}
    assert (own["n_arm"] + own["n_ref"] == 34).all()
    kept = lt.compare_separation(
        gaps.dropna(subset=["weak"]), values=["strong", "weak"], **OPTIONS
    )
    want, got = pick(kept, "strong", "weak"), pick(result, "strong", "weak")
    assert got["conf_low"] == want["conf_low"]
    assert any("10 subject(s) lack at least one measure" in note for note in result.notes)


def test_row_order_and_other_arms_change_nothing(data, result) -> None:
    shuffled = data.sample(frac=1, random_state=2)
    got = lt.compare_separation(shuffled, values=MEASURES, **OPTIONS)
    pd.testing.assert_frame_equal(got.table, result.table)
    more = pd.concat([data, data.assign(USUBJID="b" + data["USUBJID"], TRT01P="B")])
    got = lt.compare_separation(more, values=MEASURES, **OPTIONS).table
    pd.testing.assert_frame_equal(got[got["arm"] == "A"], result.table)


# scores


def test_shrinkage_is_that_of_ledoit_and_wolf() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(12, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(15, 6))
    residual = np.vstack([x - x.mean(0), y - y.mean(0)])
    unit = residual / np.sqrt((residual**2).mean(0))
    gamma = ledoit_wolf_shrinkage(unit, assume_centered=True)
    matrix = (1 - gamma) * unit.T @ unit / 27 + gamma * np.eye(6)
    scale = np.sqrt((residual**2).mean(0))
    weights = np.linalg.solve(matrix, (x.mean(0) - y.mean(0)) / scale) / scale
    want = (x - (x.mean(0) + y.mean(0)) / 2) @ weights
    got = cross.discriminant(np.ones((1, 12)), np.ones((1, 15)), x, y)
    np.testing.assert_allclose(got.x[0], want, rtol=1e-9)


def test_with_many_subjects_the_score_is_fishers() -> None:
    rng = np.random.default_rng(4)
    mix = np.array([[1, 0.8, 0.1], [0, 1, -0.5], [0, 0, 2]])
    x, y = (rng.normal(size=(4000, 3)) @ mix + shift for shift in ([1, 0.5, 0], [0, 0, 0]))
    got = cross.discriminant(np.ones((1, 4000)), np.ones((1, 4000)), x, y)
    rule = LinearDiscriminantAnalysis().fit(np.vstack([x, y]), [1] * 4000 + [0] * 4000)
    assert np.corrcoef(got.x[0], rule.decision_function(x))[0, 1] > 0.9999


def test_counts_are_copies_of_subjects() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(5, 3)) + 1, rng.normal(size=(6, 3))
    wx, wy = np.array([[2.0, 0, 1, 1, 1]]), np.array([[1.0, 1, 0, 3, 1, 0]])
    got = cross.discriminant(wx, wy, x, y)
    xx, yy = (np.repeat(v, w[0].astype(int), axis=0) for v, w in ((x, wx), (y, wy)))
    want = cross.discriminant(np.ones((1, 5)), np.ones((1, 6)), xx, yy)
    np.testing.assert_allclose(got.x[0][[0, 0, 2, 3, 4]], want.x[0], rtol=1e-8)


def test_a_subject_takes_no_part_in_its_own_score() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(8, 2)), rng.normal(size=(9, 2))
    ones = np.ones((1, 8)), np.ones((1, 9))
    fx, fy = np.arange(8)[None] % 4, np.arange(9)[None] % 4
    before = cross.cross_fit(*ones, x, y, fx, fy, 4)
    moved = x.copy()
    moved[0] += 100
    after = cross.cross_fit(*ones, moved, y, fx, fy, 4)
    same_fold = (fx[0] == 0) & (np.arange(8) > 0)
    np.testing.assert_allclose(after.x[0][same_fold], before.x[0][same_fold])
    assert abs(after.x[0][fx[0] != 0] - before.x[0][fx[0] != 0]).min() > 1e-6


def test_noise_scores_at_chance_out_of_fold_and_above_it_in_sample() -> None:
    noise = [f"N{k}" for k in range(12)]
    found = []
    for seed in range(8):
        data = simulated(30, dict.fromkeys([*noise, "ALT"], 0.0), seed)
        own = lt.compare_separation(
            data, values=["ALT"], score={"signature": noise}, reference="P", seed=seed, n_boot=0
        ).measures.set_index("measure")
        found.append(own.loc["signature", ["auc", "auc_apparent", "auc_optimism"]])
    mean = pd.DataFrame(found).astype(float).mean()
    assert abs(mean["auc"] - 0.5) < 0.06
    assert mean["auc_apparent"] > 0.7
    assert mean["auc_optimism"] == pytest.approx(mean["auc_apparent"] - mean["auc"])


def test_a_real_signature_is_ahead_of_a_weak_measure() -> None:
    effects = {"T1": 0.9, "T2": -0.9, "T3": 0.0, "ALT": 0.1}
    result = lt.compare_separation(
        simulated(60, effects, 1), values=["ALT"], score={"signature": ["T1", "T2", "T3"]},
        **OPTIONS,
    )  # fmt: skip
    row = pick(result, "signature", "ALT")
    assert row["conf_low"] > 0
    assert "cross-fit repeated" in row["method"]
    own = result.measures.set_index("measure")
    assert 0 < own.loc["signature", "auc_optimism"] < 0.1
    assert math.isnan(own.loc["ALT", "auc_optimism"])


def test_log_ratios_see_a_composition_scaled_by_closure() -> None:
    parts = np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])
    logs = cross.coordinates(parts, "clr")
    np.testing.assert_allclose(logs.sum(axis=1), 0, atol=1e-12)
    assert np.isfinite(cross.coordinates(np.array([[0.0, 0.4, 0.6]]), "clr")).all()


# degenerate input and arguments


def test_too_few_common_subjects_are_nan_and_noted() -> None:
    data = simulated(4, {"a": 0.0, "b": 0.0}, 1)
    data.loc[:2, "a"] = np.nan
    result = lt.compare_separation(data, values=["a", "b"], **OPTIONS)
    assert result.table["difference"].isna().all()
    assert any("too few subjects" in note for note in result.notes)
    assert "not estimated" in result.text


def test_no_variation_is_noted() -> None:
    data = simulated(6, {"a": 0.0, "b": 0.0}, 1).assign(b=1.0)
    result = lt.compare_separation(data, values=["a", "b"], **OPTIONS)
    assert math.isnan(pick(result, "a", "b", "g")["difference"])
    assert pick(result, "a", "b")["estimate_2"] == 0.5
    assert any("no variation" in note for note in result.notes)


def test_wrong_arguments_are_refused_together(data) -> None:
    with pytest.raises(lt.UsageError, match="1 measure"):
        lt.compare_separation(data, values=["weak"], **OPTIONS)
    with pytest.raises(lt.UsageError, match=r"no plain measure: x; direction is"):
        lt.compare_separation(data, values=["weak", "tied"], direction={"x": "up"}, **OPTIONS)
    with pytest.raises(lt.DataError, match="2 column"):
        lt.compare_separation(data, values=["no", "such"], **OPTIONS)
    twice = pd.concat([data, data.head(2)])
    with pytest.raises(lt.DataError, match="2 duplicated"):
        lt.compare_separation(twice, values=["weak", "tied"], **OPTIONS)
    only = data[data["TRT01P"] == "P"].assign(
        TRT01P=lambda d: pd.Categorical(d["TRT01P"], list("PA"))
    )
    with pytest.raises(lt.DataError, match="another arm"):
        lt.compare_separation(only, values=["weak", "tied"], **OPTIONS)


def test_ard_gives_both_frames_back(result) -> None:
    back = ard_result(result.to_ard())
    pd.testing.assert_frame_equal(back.table[result.table.columns], result.table)
    pd.testing.assert_frame_equal(
        back.frames["measures"][result.measures.columns], result.measures
    )


@pytest.mark.slow
def test_difference_of_auc_is_covered_and_its_test_keeps_its_level() -> None:
    # 600 trials: 0.95 +- 0.027 and 0.05 +- 0.027 (three standard errors)
    trials, cover, wrong = 600, 0, 0
    from scipy.stats import norm

    truth = norm.cdf(1.0 / math.sqrt(2)) - norm.cdf(0.5 / math.sqrt(2))
    for seed in range(trials):
        data = simulated(50, {"a": 1.0, "b": 0.5, "c": 1.0}, seed)
        result = lt.compare_separation(
            data, values=["a", "b", "c"], reference="P", seed=seed, n_boot=400
        )
        row = pick(result, "a", "b")
        cover += row["conf_low"] <= truth <= row["conf_high"]
        wrong += pick(result, "a", "c")["p_value"] <= 0.05
    assert 0.92 < cover / trials < 0.98
    assert 0.02 < wrong / trials < 0.08
