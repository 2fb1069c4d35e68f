"""Separation: R effectsize, pROC and boot; hand-worked, property, degenerate and seed cases."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints import _bootstrap as boot
from livertrack.endpoints._effect_sizes import exact_j, noncentral_t_limits

#: closed forms and root finding to 1e-12 in both programs
RELATIVE = 1e-8
#: effectsize finds its noncentral limits by a simplex search that stops early
SIMPLEX = 1e-6


def frame(x, y, arm: str = "A", reference: str = "P") -> pd.DataFrame:
    arms = [arm] * len(x) + [reference] * len(y)
    names = [f"s{i:03d}" for i in range(len(arms))]
    return pd.DataFrame({"USUBJID": names, "TRT01P": arms, "CHG": [*x, *y]})


def row(x, y, **options) -> pd.Series:
    options = {"reference": "P", "seed": 1, "n_boot": 0, **options}
    return lt.separation(frame(x, y), **options).table.iloc[0]


@pytest.fixture(scope="module")
def samples(reference: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    data = pd.read_csv(reference / "separation_data.csv")
    return {
        case: tuple(part.loc[part["arm"] == arm, "value"].to_numpy(float) for arm in ("A", "P"))
        for case, part in data.groupby("case")
    }


def check_against_r(x, y, expected: pd.DataFrame) -> None:
    for level, part in expected.groupby("conf_level"):
        want = part.set_index("statistic")["value"].astype(float)
        got = row(x, y, conf_level=level)
        null = row(x, y, conf_level=level, delta_variance="null")
        for name in want.index.drop(["auc_variance"]):
            if name.endswith("effectsize"):
                value, tolerance = got[name.removesuffix("_effectsize")], SIMPLEX
            elif name.startswith("delta_null"):
                value, tolerance = null[name.replace("null_", "")], RELATIVE
            else:
                value, tolerance = got[name], RELATIVE
            assert value == pytest.approx(want[name], rel=tolerance, abs=tolerance), (level, name)


@pytest.mark.parametrize("case", ["normal", "skewed", "ties", "negative", "smallest", "apart"])
def test_effect_sizes_and_auc_agree_with_r(case: str, samples, reference: Path) -> None:
    expected = pd.read_csv(reference / "separation.csv")
    check_against_r(*samples[case], expected[expected["case"] == case])


def test_alt_change_of_the_texmex_trial_agrees_with_r(shared_data: Path, reference: Path) -> None:
    liver = pd.read_csv(shared_data / "tab_liver_other_trials" / "texmex_liver.csv")
    liver["CHG"] = np.log(liver["ALT.M"] / liver["ALT.B"])
    expected = pd.read_csv(reference / "separation.csv")
    x, y = (liver.loc[liver["dose"] == dose, "CHG"] for dose in "DA")
    check_against_r(x, y, expected[expected["case"] == "texmex_D_v_A"])
    table = lt.separation(
        liver, arm="dose", reference="A", subject="rownames", seed=1, n_boot=0
    ).table
    assert table["arm"].tolist() == ["B", "C", "D"]
    assert table["n_arm"].sum() + table["n_ref"].iloc[0] == 606


def test_copper_of_the_pbc_trial_agrees_with_r(shared_data: Path, reference: Path) -> None:
    pbc = pd.read_csv(shared_data / "tab_r_survival_liver" / "pbc.csv")
    pbc = pbc[pbc["trt"].notna()]
    expected = pd.read_csv(reference / "separation.csv")
    parts = [pbc.loc[pbc["trt"] == trt, "copper"].dropna() for trt in (1, 2)]
    check_against_r(*parts, expected[expected["case"] == "pbc_copper"])
    got = lt.separation(
        pbc, value="copper", arm="trt", reference=2, subject="id", seed=1, n_boot=0
    )
    missing = int(pbc["copper"].isna().sum())
    assert missing > 0
    assert got.table["n_missing"].item() == missing


def test_bca_limits_agree_with_r_boot(samples, reference: Path) -> None:
    # 40,000 resamples in R, 20,000 here: the Monte Carlo error of a limit is about 0.01
    expected = pd.read_csv(reference / "separation_bca.csv")
    for case, part in expected.groupby("case"):
        got = row(*samples[case], n_boot=20_000)
        sizes = tuple(map(len, samples[case]))
        one_out = boot.leave_one_out(sizes)
        kernel = boot.pair_kernel(*samples[case])
        jack = {
            "g": boot.weighted_g(*one_out, *samples[case]),
            "auc": boot.weighted_auc(*one_out, kernel),
        }
        for want in part.itertuples():
            accel = boot.acceleration(jack[want.statistic], sizes)
            assert accel == pytest.approx(want.acceleration, rel=1e-9)
            name = f"{want.statistic}_boot"
            assert got[f"{name}_low"] == pytest.approx(want.low, abs=0.03)
            assert got[f"{name}_high"] == pytest.approx(want.high, abs=0.03)


def test_bca_limits_agree_with_scipy(samples) -> None:
    x, y = samples["skewed"]

    def auc(a, b, axis=-1):
        return (np.sign(a[..., :, None] - b[..., None, :]) + 1).mean(axis=(-2, -1)) / 2

    rng = np.random.default_rng(0)
    want = stats.bootstrap((x, y), auc, n_resamples=6000, rng=rng).confidence_interval
    got = row(x, y, n_boot=20_000)
    assert got["auc_boot_low"] == pytest.approx(want.low, abs=0.02)
    assert got["auc_boot_high"] == pytest.approx(want.high, abs=0.02)


def test_bca_of_given_resamples_is_the_textbook_formula() -> None:
    values = np.random.default_rng(3).normal(0.3, 1, 999)
    z0 = stats.norm.ppf((values < 0.5).mean())
    z = stats.norm.ppf(0.025)
    want = np.quantile(values, stats.norm.cdf(z0 + (z0 + z) / (1 - 0.07 * (z0 + z))))
    low, _ = boot.bca_limits(values, 0.5, 0.07, 0.95)
    assert low == pytest.approx(want)
    p = boot.bca_p_value(values, 0.5, 0.07, null=low)
    assert p == pytest.approx(0.05, abs=0.003)


def test_hand_worked_example() -> None:
    # x = 2, 4, 6; y = 1, 3: pooled variance (8 + 2) / 3, difference 2
    got = row([2, 4, 6], [1, 3])
    j = math.gamma(1.5) / (math.sqrt(1.5) * math.gamma(1))
    assert got["g"] == pytest.approx(j * 2 / math.sqrt(10 / 3))
    assert got["glass_delta"] == pytest.approx(2 / math.sqrt(2))
    assert got["auc"] == pytest.approx(5 / 6)  # 2 > 1, 4 > 1, 4 > 3, 6 > 1, 6 > 3; 2 < 3
    assert got["cliffs_delta"] == pytest.approx(2 / 3)
    assert (got["mean_arm"], got["mean_ref"]) == (4, 2)


def test_ties_count_half() -> None:
    assert row([1, 2], [1, 2])["auc"] == 0.5
    assert row([1, 1, 2], [1, 1])["auc"] == pytest.approx((4 * 0.5 + 2) / 6)


def test_exact_j_is_near_its_approximation_and_below_one() -> None:
    for df in (2, 5, 30, 500):
        assert 0 < exact_j(df) < 1
    assert exact_j(30) == pytest.approx(1 - 3 / (4 * 30 - 1), abs=1e-4)


@pytest.mark.parametrize("t", [-60.0, -3.0, 0.0, 0.4, 25.0, 200.0])
def test_noncentral_limits_put_t_at_its_tails(t: float) -> None:
    low, high = noncentral_t_limits(t, 17, 0.9)
    assert stats.nct.cdf(t, 17, low) == pytest.approx(0.95, abs=1e-9)
    assert stats.nct.cdf(t, 17, high) == pytest.approx(0.05, abs=1e-9)


def test_swapping_arms_negates_g(samples) -> None:
    x, y = samples["normal"]
    one, two = row(x, y), row(y, x)
    for name in ("g", "cliffs_delta"):
        assert two[name] == pytest.approx(-one[name])
    assert two["g_low"] == pytest.approx(-one["g_high"], abs=1e-9)
    assert two["delta_low"] == pytest.approx(-one["delta_high"])
    assert two["auc"] == pytest.approx(1 - one["auc"])
    assert two["auc_low"] == pytest.approx(1 - one["auc_high"])


def test_shift_and_scale_change_nothing_and_a_monotone_map_not_the_auc(samples) -> None:
    x, y = samples["skewed"]
    one, two = row(x, y), row(3 * x - 40, 3 * y - 40)
    numbers = one.drop(["arm", "method", "mean_arm", "mean_ref"]).astype(float)
    np.testing.assert_allclose(two[numbers.index].astype(float), numbers, rtol=1e-8)
    assert row(np.log(x), np.log(y))["auc"] == one["auc"]


def test_row_order_column_order_and_subject_names_change_nothing(samples) -> None:
    data = frame(*samples["ties"])
    options = {"reference": "P", "seed": 9, "n_boot": 500}
    want = lt.separation(data, **options).table
    shuffled = data.sample(frac=1, random_state=1)[["CHG", "TRT01P", "USUBJID"]]
    renamed = shuffled.assign(USUBJID=range(len(data)))
    pd.testing.assert_frame_equal(lt.separation(shuffled, **options).table, want)
    pd.testing.assert_frame_equal(lt.separation(renamed, **options).table, want)


def test_same_seed_same_numbers_other_seed_other_resamples(samples) -> None:
    x, y = samples["normal"]
    one, again, other = (row(x, y, n_boot=400, seed=seed) for seed in (5, 5, 6))
    pd.testing.assert_series_equal(one, again)
    assert one["g_boot_low"] != other["g_boot_low"]
    assert one["g_low"] == other["g_low"]


def test_a_further_arm_leaves_the_others_as_they_are(samples) -> None:
    x, y = samples["normal"]
    two = frame(x, y)
    more = pd.concat([two, frame(y + 1, [], "B").assign(USUBJID=lambda d: "b" + d["USUBJID"])])
    options = {"reference": "P", "seed": 5, "n_boot": 200}
    want = lt.separation(two, **options).table
    got = lt.separation(more, **options).table
    pd.testing.assert_frame_equal(got[got["arm"] == "A"], want)


def test_blocks_of_resamples_do_not_change_the_draws(monkeypatch) -> None:
    whole = np.vstack([a for a, _ in boot.count_blocks(np.random.default_rng(1), (4, 0), 50)])
    assert whole.shape == (50, 4)
    assert (whole.sum(axis=1) == 4).all()
    monkeypatch.setattr(boot, "BLOCK", 40)
    parts = [a for a, _ in boot.count_blocks(np.random.default_rng(1), (4, 0), 50)]
    assert len(parts) == 5
    np.testing.assert_array_equal(np.vstack(parts), whole)


def test_the_callers_frame_is_untouched(samples) -> None:
    data = frame(*samples["ties"])
    before = data.copy()
    lt.separation(data, reference="P", seed=1, n_boot=50)
    pd.testing.assert_frame_equal(data, before)


def test_arms_come_in_the_order_of_their_categories() -> None:
    data = frame([1, 2, 3, 5], [1, 2, 4])
    data.loc[2:3, "TRT01P"] = "B"
    data["TRT01P"] = pd.Categorical(data["TRT01P"], ["P", "B", "A"])
    table = lt.separation(data, reference="P", seed=1, n_boot=0).table
    assert table["arm"].tolist() == ["B", "A"]


# degenerate input


def test_duplicate_subject_raises_without_naming_anyone() -> None:
    data = frame([1, 2], [3, 4]).assign(USUBJID=["secret", "secret", "b", "c"])
    with pytest.raises(lt.DataError, match="1 duplicated") as error:
        lt.separation(data, reference="P", seed=1)
    assert "secret" not in str(error.value)


def test_empty_arm_is_a_row_of_nan_and_a_note() -> None:
    data = frame([1, 2], [3, 4])
    data["TRT01P"] = pd.Categorical(data["TRT01P"], ["P", "A", "B"])
    result = lt.separation(data, reference="P", seed=1, n_boot=50)
    empty = result.table.set_index("arm").loc["B"]
    assert empty["n_arm"] == 0
    assert math.isnan(empty["g"])
    assert math.isnan(empty["auc_boot_low"])
    assert any(note.startswith("B v P: no subject") for note in result.notes)
    assert "B v P: not estimated" in result.text


def test_one_subject_has_an_auc_without_limits() -> None:
    data = frame([2], [1, 3, 4])
    result = lt.separation(data, reference="P", seed=1, n_boot=50)
    got = result.table.iloc[0]
    assert got["auc"] == pytest.approx(1 / 3)
    for name in ("g", "g_low", "glass_delta", "auc_low", "delta_high", "auc_boot_low"):
        assert math.isnan(got[name]), name
    assert "one subject" in result.notes[0]


def test_no_variation_has_no_g_but_an_auc() -> None:
    got = lt.separation(frame([2, 2, 2], [1, 1, 1]), reference="P", seed=1, n_boot=50)
    assert math.isnan(got.table["g"].item())
    assert got.table["auc"].item() == 1
    assert any("no variation within either arm" in note for note in got.notes)
    # rounding is no variation
    near = row([0.1 + 0.2, 0.3, 0.3], [0.3, 0.1 + 0.2, 0.3])
    assert math.isnan(near["g"])


def test_constant_reference_has_no_glass_delta() -> None:
    got = lt.separation(frame([1, 2, 4], [3, 3, 3]), reference="P", seed=1, n_boot=50)
    assert math.isnan(got.table["glass_delta"].item())
    assert math.isfinite(got.table["g"].item())
    assert any("Glass delta is undefined" in note for note in got.notes)


def test_all_tied_is_half_without_width() -> None:
    got = lt.separation(frame([5, 5, 5], [5, 5]), reference="P", seed=1, n_boot=50)
    assert got.table[["auc", "auc_low", "auc_high"]].iloc[0].tolist() == [0.5, 0.5, 0.5]
    assert got.table["auc_boot_low"].item() == 0.5
    assert any("all values are tied" in note for note in got.notes)


def test_no_overlap_has_wilsons_limit_for_delta() -> None:
    got = lt.separation(frame([7, 8, 9], [1, 2, 3, 4]), reference="P", seed=1, n_boot=50)
    table = got.table.iloc[0]
    z = stats.norm.ppf(0.975)
    assert table["cliffs_delta"] == 1
    assert table["delta_high"] == 1
    assert table["delta_low"] == pytest.approx((3 - z**2) / (3 + z**2))
    assert table["auc_low"] == 1
    assert any("do not overlap" in note for note in got.notes)


def test_all_missing_is_nan_and_counted() -> None:
    got = lt.separation(frame([np.nan] * 3, [1, 2, np.nan]), reference="P", seed=1, n_boot=50)
    assert got.table["n_missing"].item() == 4
    assert got.table["n_ref"].item() == 2
    assert math.isnan(got.table["auc"].item())


def test_subjects_without_arm_are_left_out_and_counted() -> None:
    data = frame([1, 2, 9], [3, 4, 6])
    data.loc[2, "TRT01P"] = None
    got = lt.separation(data, reference="P", seed=1, n_boot=0)
    assert got.table["n_arm"].item() == 2
    assert "1 of 6 subject(s) have no TRT01P" in got.notes[0]


def test_wrong_arguments_are_refused() -> None:
    data = frame([1, 2], [3, 4])
    with pytest.raises(lt.DataError, match="'Q' does not occur"):
        lt.separation(data, reference="Q", seed=1)
    with pytest.raises(lt.DataError, match="column"):
        lt.separation(data, value="AVAL", reference="P", seed=1)
    with pytest.raises(lt.DataError, match="only arm"):
        lt.separation(data.assign(TRT01P="P"), reference="P", seed=1)
    with pytest.raises(lt.UsageError, match="conf_level"):
        lt.separation(data, reference="P", seed=1, conf_level=95)
    with pytest.raises(lt.UsageError, match="n_boot"):
        lt.separation(data, reference="P", seed=1, n_boot=-1)
    with pytest.raises(lt.DataError, match="not finite"):
        lt.separation(data.assign(CHG=["a", 1, 2, 3]), reference="P", seed=1)


def test_ard_gives_the_table_back(samples) -> None:
    result = lt.separation(frame(*samples["normal"]), reference="P", seed=1, n_boot=100)
    back = ard_result(result.to_ard(analysis="s1"))
    pd.testing.assert_frame_equal(back.table, result.table, check_dtype=False)
    assert back.text == result.text
    for name in ("g", "auc"):
        assert f"{result.table[name].item():.2f}" in result.text


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    # 1,200 trials: a coverage of 95 % is seen within 0.95 +- 0.019 (three standard errors)
    rng = np.random.default_rng(1)
    effect, m, n, trials = 0.8, 40, 50, 1200
    truth = {"g": effect, "auc": stats.norm.cdf(effect / math.sqrt(2))}
    truth["delta"] = 2 * truth["auc"] - 1
    seen = dict.fromkeys(("g", "auc", "delta", "g_boot", "auc_boot", "delta_boot"), 0)
    for trial in range(trials):
        got = row(rng.normal(effect, 1, m), rng.normal(0, 1, n), n_boot=600, seed=trial)
        for name in seen:
            value = truth[name.removesuffix("_boot")]
            seen[name] += got[f"{name}_low"] <= value <= got[f"{name}_high"]
    cover = {name: count / trials for name, count in seen.items()}
    assert 0.931 < cover["g"] < 0.969
    assert 0.931 < cover["delta"] < 0.969
    # DeLong and BCa are large-sample limits: a little short at 40 v 50
    assert all(0.92 < cover[name] < 0.969 for name in seen), cover
