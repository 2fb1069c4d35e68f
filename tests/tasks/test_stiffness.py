"""Stiffness: missing is told from average, thresholds, intervals and audits are the endpoints'."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score

import livertrack as lt
from livertrack.errors import DataError, UsageError
from livertrack.imaging.learning.slice_tokens import FEATURES, FILTERS, slice_tokens
from livertrack.imaging.learning.stiffness_network import StiffnessNetwork
from livertrack.tasks import Cases, find_task
from livertrack.tasks._stiffness_files import read_stiffness
from livertrack.tasks._volumes import SlabRules
from livertrack.tasks.stiffness import simulate, simulate_cases, stiffness_checks, task_for

TASK = find_task("stiffness")
QUICK = replace(TASK, training=replace(TASK.training, epochs=1))
RULES = SlabRules(places=(0.4, 0.6), depth=1)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("stiffness"), 12, 3)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "copy")


@pytest.fixture(scope="module")
def cases(original):
    return read_stiffness(original, rules=RULES)


@pytest.fixture(scope="module")
def result(cases):
    return lt.evaluate_task(QUICK, cases, seed=1, n_folds=2, n_boot=50)


def edit(folder, name, change):
    change(pd.read_csv(folder / name)).to_csv(folder / name, index=False)


# ---- reading


def test_an_examination_is_one_case_with_its_gaps(cases, original):
    subjects = pd.read_csv(original / "subjects.csv").sort_values("USUBJID")
    index = pd.read_csv(original / "images.csv")
    assert list(cases.frame["USUBJID"]) == list(subjects["USUBJID"])
    assert cases.shapes["tokens"] == (3, 2, FEATURES)
    assert cases.inputs["present"].sum() == len(index)
    blank = subjects[["AGE", "BMI", "ALT", "AST", "PLAT"]].isna().to_numpy()
    np.testing.assert_array_equal(cases.inputs["recorded"][:, :5] == 0, blank)
    assert (cases.inputs["clinical"][:, :5][blank] == 0).all()
    assert cases.frame["Z_AGE"].isna().equals(pd.Series(blank[:, 0], name="Z_AGE"))
    assert cases.simulated


def test_clinical_values_are_scaled_by_constants(cases, original):
    few = read_stiffness(original, rules=RULES).subset(np.arange(12) < 3)
    np.testing.assert_array_equal(few.inputs["clinical"], cases.inputs["clinical"][:3])
    frame = cases.frame.dropna(subset=["AGE", "ALT"])
    np.testing.assert_allclose(frame["Z_AGE"], (frame["AGE"] - 50) / 15)
    np.testing.assert_allclose(frame["Z_ALT"], (np.log(frame["ALT"]) - 3.5) / 0.6)


def copied(index):
    index.loc[index["USUBJID"].eq("K0002"), "IMAGE"] = index.loc[0, "IMAGE"]
    return index


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("images.csv", lambda t: t[t["USUBJID"].ne("K0003")], r"1 of 12 examination\(s\)"),
        ("images.csv", lambda t: t.assign(SEQUENCE="PD"), "SEQUENCE is one of|duplicated"),
        ("images.csv", lambda t: pd.concat([t, t.head(1)]), r"1 duplicated record\(s\)"),
        ("images.csv", copied, "belong to more than one subject"),
        ("subjects.csv", lambda t: t.assign(ALT=0), "ALT is not positive in"),
        ("subjects.csv", lambda t: t.drop(columns="USUBJID"), r"1 column\(s\) missing: USUBJID"),
        ("subjects.csv", lambda t: pd.concat([t, t.head(2)]), r"2 duplicated record\(s\)"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_used_are_refused(folder, name, change, message):
    edit(folder, name, change)
    with pytest.raises(DataError, match=message):
        read_stiffness(folder, rules=RULES)


def test_cases_without_files_are_those_of_the_folder(tmp_path):
    streamed = simulate_cases(3, seed=3, repeated=1)
    read = read_stiffness(simulate(tmp_path, 3, 3, repeated=1))
    assert list(read.frame["USUBJID"]) == ["K0001", "K0001", "K0002", "K0003"]
    assert set(read.inputs) == set(streamed.inputs)
    for name, values in read.inputs.items():
        np.testing.assert_array_equal(values, streamed.inputs[name])
    pd.testing.assert_frame_equal(read.frame, streamed.frame, check_dtype=False)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no subjects\.csv"):
        read_stiffness(tmp_path)


# ---- the network


def given(n=5, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return {
        "tokens": torch.randn((n, 3, 2, 7), generator=rng),
        "present": torch.ones(n, 3), "clinical": torch.randn((n, 4), generator=rng),
        "recorded": torch.ones(n, 4),
    }  # fmt: skip


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return StiffnessNetwork(sequences=3, slices=2, features=7, clinical=4).eval()


def test_a_missing_sequence_is_not_looked_at(network):
    case = given()
    case["present"][:, 2] = 0
    before = network(**case)
    case["tokens"][:, 2] = 5.0
    torch.testing.assert_close(network(**case), before)


def test_a_case_is_answered_alike_alone_and_among_others(network):
    case = given()
    together = network(**case)
    alone = network(**{name: values[:1] for name, values in case.items()})
    torch.testing.assert_close(alone, together[:1])


def test_a_value_that_was_not_taken_is_not_an_average_one(network):
    case = given()
    case["clinical"][:, 1] = 0
    average = network(**case)
    case["recorded"][:, 1] = 0
    missing = network(**case)
    assert not torch.allclose(missing, average)
    case["clinical"][:, 1] = 3.0
    torch.testing.assert_close(network(**case), missing)


def test_without_pictures_and_values_there_still_is_an_answer(network):
    case = given()
    case["present"][:], case["recorded"][:] = 0, 0
    out = network(**case)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out, out[:1].expand_as(out))


def pictures(seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((2, 32, 32), np.float32)
    masks[:, 8:24, 8:24] = 1
    return rng.normal(size=masks.shape).astype(np.float32), masks


def test_energies_of_a_slice_follow_contrast_and_no_offset():
    images, masks = pictures()
    plain, strong, moved = (slice_tokens(a, masks) for a in (images, 5 * images, images + 2))
    textures = slice(0, 6 * FILTERS)
    np.testing.assert_allclose((strong - plain)[:, textures], np.log(5.0), atol=0.03)
    inside = slice(0, 2 * FILTERS, 2)  # finest scale, in the liver, far from the picture's edge
    np.testing.assert_allclose(moved[:, inside], plain[:, inside], atol=1e-4)
    np.testing.assert_array_equal(strong[:, 6 * FILTERS : 7 * FILTERS],
                                  plain[:, 6 * FILTERS : 7 * FILTERS])  # fmt: skip


def test_a_coarser_grain_moves_energy_from_the_fine_to_the_coarse_scale():
    images, masks = pictures()
    coarse = np.kron(images[:, ::4, ::4], np.ones((4, 4), np.float32))

    def ratio(tokens):
        fine, far = (tokens[:, at : at + 2 * FILTERS : 2].mean(1) for at in (0, 4 * FILTERS))
        return fine - far

    assert (ratio(slice_tokens(coarse, masks)) < ratio(slice_tokens(images, masks)) - 0.5).all()


def test_noise_shows_around_the_liver_where_its_grain_does_not():
    images, masks = pictures()
    outside = masks == 0
    plain, grainy, noisy = (
        slice_tokens(images * np.where(outside, a, b).astype(np.float32), masks)
        for a, b in ((1.0, 1.0), (1.0, 4.0), (4.0, 1.0))
    )
    # finest scale: coarser ones reach into the liver of so small a picture
    fine = slice(7 * FILTERS, 8 * FILTERS)
    np.testing.assert_allclose(grainy[:, fine], plain[:, fine], atol=0.1)
    np.testing.assert_allclose((noisy - plain)[:, fine], np.log(4.0), atol=0.1)


def test_slices_have_the_same_tokens_alone_and_together():
    images, masks = pictures()
    together = slice_tokens(images[None], masks[None])
    assert together.shape == (1, 2, FEATURES)
    np.testing.assert_allclose(together[0, 1], slice_tokens(images[1:], masks[1:])[0], atol=1e-5)


# ---- evaluation


def test_models_and_published_correlation_stand_side_by_side(result):
    assert set(result.table["model"]) == {"transformer", "mean intensity", "clinical", "radiomics"}
    row = result.published.iloc[0]
    assert (row["published"], row["model"], row["metric"]) == (0.78, "transformer", "r")
    assert row["simulated"]
    assert {"r", "r2", "mae", "rmse"} <= set(result.table["metric"])


@pytest.mark.parametrize(("split", "value"), [("temporal", 0.77), ("external", 0.76)])
def test_each_split_has_its_published_figure(split, value):
    assert list(task_for(split).published["published"]) == [value]
    assert task_for("leave-one-site-out").published.empty


def test_two_workers_predict_what_one_predicts(result, cases):
    with parallel_config("threading", n_jobs=2):
        again = lt.evaluate_task(QUICK, cases, seed=1, n_folds=2, n_boot=0, baselines=[])
    one = result.predictions[result.predictions["model"].eq("transformer")]
    pd.testing.assert_frame_equal(again.predictions, one.reset_index(drop=True))


def test_an_examination_under_two_subjects_is_refused(cases):
    twice = Cases(
        pd.concat([cases.frame, cases.frame.head(1).assign(USUBJID="new")], ignore_index=True),
        {name: np.concatenate([a, a[:1]]) for name, a in cases.inputs.items()},
    )
    with pytest.raises(DataError, match="belong to more than one USUBJID; nothing was fitted"):
        lt.evaluate_task(QUICK, twice, seed=1, n_folds=2, n_boot=0)


# ---- thresholds, intervals, audit, on predictions of a known make


def table(n=240, seed=0, bias=0.0):
    rng = np.random.default_rng(seed)
    kpa = np.exp(rng.normal(1.15, 0.35, n))
    vendor = rng.choice(["A", "B"], n)
    return pd.DataFrame({
        "USUBJID": [f"{seed}-{k:03d}" for k in range(n)], "KPA": kpa, "VENDOR": vendor,
        "AGE": rng.normal(50, 10, n), "DAY": rng.permutation(n),
        "SIGNAL": kpa + rng.normal(0, 0.6, n) - bias * (vendor == "B"),
    })  # fmt: skip


def validated(data, **options):
    return lt.cross_validate(
        data, outcome="KPA", task="continuous", columns=["SIGNAL"], n_boot=0, seed=1,
        models={"transformer": LinearRegression()}, **options,
    )  # fmt: skip


def checked(data, **options):
    keep = {k: options.pop(k) for k in ("calibrate", "thresholds") if k in options}
    cases = Cases(data, {}, simulated=True)
    return stiffness_checks(
        validated(data, **options), cases, covariates=["VENDOR", "AGE", "BMI"], **keep
    )


def test_aurocs_are_those_of_scikit_learn():
    data = table()
    found = checked(data)
    whole = validated(data).predictions
    for row in found.table.to_dict("records"):
        above = whole["observed"] >= row["threshold"]
        assert row["auc"] == pytest.approx(roc_auc_score(above, whole["predicted"]), abs=1e-12)
        assert row["auc_low"] < row["auc"] < row["auc_high"]
        assert row["n_above"] == above.sum()
    assert list(found.table["threshold"]) == [2.5, 3.0, 3.5, 4.0, 5.0]
    at = found.table.set_index("threshold")["published"]
    assert at[3.0] == 0.83
    assert at.drop(3.0).isna().all()


def test_a_threshold_beyond_everybody_has_no_auroc():
    found = checked(table(), thresholds=[3.0, 100.0]).table
    assert found["auc"].notna().tolist() == [True, False]
    assert found["n_above"].iloc[1] == 0


def test_coverage_in_folds_is_that_of_the_prediction_interval():
    data = table()
    expected = lt.prediction_interval(validated(data).predictions).table.iloc[0]
    found = checked(data).coverage.iloc[0]
    for name in ("half_width", "coverage", "conf_low", "conf_high", "n_subjects"):
        assert found[name] == expected[name]


def test_later_and_other_subjects_are_covered_by_errors_of_others():
    data, other = table(), table(150, seed=1)
    folds = validated(data)
    for options, n in (
        ({"split": "temporal", "time": "DAY"}, 72),
        ({"split": "external", "external": other}, 150),
    ):
        new = validated(data, **options)
        both = pd.concat([data, other], ignore_index=True)
        found = stiffness_checks(
            new, Cases(both, {}), covariates=["VENDOR"], calibrate=folds
        ).coverage.iloc[0]
        assert found["n_subjects"] == n
        error = (new.predictions["observed"] - new.predictions["predicted"]).abs()
        assert found["coverage"] == pytest.approx((error <= found["half_width"]).mean())
        assert 0.8 < found["coverage"] <= 1


def test_one_fold_alone_has_nothing_to_calibrate_on():
    data = table()
    found = stiffness_checks(
        validated(data, split="temporal", time="DAY"), Cases(data, {}), covariates=["AGE"]
    )
    assert found.coverage["coverage"].isna().all()
    assert any("one fold only" in note for note in found.notes)
    assert "prediction intervals" not in found.text


def test_without_covariates_nothing_is_audited():
    found = checked(table().drop(columns=["VENDOR", "AGE"]))
    assert found.audit.empty
    assert "AGE" in found.notes[0]


def test_the_audit_clears_honest_errors_and_finds_a_vendor():
    honest, biased = checked(table(400)), checked(table(400, bias=1.5))
    column = ["covariate", "equivalent"]
    assert dict(honest.audit[column].to_numpy()) == {"VENDOR": True, "AGE": True}
    assert dict(biased.audit[column].to_numpy()) == {"VENDOR": False, "AGE": True}
    assert any("BMI" in note for note in honest.notes)


def test_checks_survive_their_analysis_results_data():
    found = checked(table())
    again = lt._results.ard_result(found.to_ard(analysis="checks"))
    np.testing.assert_array_equal(again.table["auc"], found.table["auc"])
    assert again.frames["coverage"]["n_subjects"].iloc[0] == 240
    assert again.settings["simulated"] is True


def test_a_model_that_was_not_evaluated_is_refused():
    data = table()
    with pytest.raises((DataError, UsageError), match="model"):
        stiffness_checks(validated(data), Cases(data, {}), model="resnet18")


@pytest.mark.slow
def test_the_transformer_beats_the_mean_and_shuffled_stiffness_is_chance(tmp_path):
    cases = TASK.read(simulate(tmp_path, 160, 5))
    options = {"seed": 1, "n_folds": 4, "baselines": ["mean intensity"], "n_boot": 500}
    found = lt.evaluate_task(TASK, cases, **options).comparison
    assert found.loc[found["metric"].eq("r2"), "conf_low"].iloc[0] > 0
    drawn = np.random.default_rng(0).permutation(cases.frame["KPA"])
    null = lt.evaluate_task(
        TASK, replace(cases, frame=cases.frame.assign(KPA=drawn)), **options
    ).table
    row = null[null["model"].eq("transformer") & null["metric"].eq("r")].iloc[0]
    assert row["conf_low"] < 0 < row["conf_high"]
