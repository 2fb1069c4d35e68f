"""Selection of features: what is repeatable, unlike and telling is learned inside the folds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import livertrack as lt
from livertrack.endpoints.feature_selection import repeatable
from livertrack.errors import DataError, UsageError

MANY = [f"F{k:03d}" for k in range(60)]


def subjects(n=60, telling=(), seed=0):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(rng.normal(size=(n, 60)), columns=MANY)
    y = (np.arange(n) % 2).astype(float)
    for column in telling:
        data[column] += 1.2 * y
    return data.assign(USUBJID=[f"S{k:03d}" for k in range(n)], Y=y)


def repeats_of(data, noise, seed=1):
    rng = np.random.default_rng(seed)
    parts = []
    for number in (1, 2):
        part = data[["USUBJID", *MANY]].copy()
        for column in MANY:
            part[column] += rng.normal(0, noise.get(column, 0.1), len(part))
        parts.append(part.assign(REPEAT=number))
    return pd.concat(parts, ignore_index=True)


def test_agreement_is_the_icc_of_the_package():
    repeats = repeats_of(subjects(20), {"F000": 1.0, "F001": 3.0})
    found = repeatable(repeats, MANY[:3], "USUBJID", "REPEAT")
    for column in MANY[:3]:
        table = lt.icc(repeats, subject="USUBJID", rater="REPEAT", value=column).table
        expected = table.loc[table["form"].eq("ICC2"), "estimate"].iloc[0]
        assert found[column] == pytest.approx(expected, abs=1e-10)


def test_of_like_features_the_telling_one_stays():
    data = subjects(telling=["F003"])
    data["F004"] = data["F003"] + 0.01 * data["F005"]
    kept = lt.UncorrelatedFeatures(0.9).fit(data[MANY].to_numpy(), data["Y"]).kept_
    assert len({3, 4} & set(kept)) == 1
    assert len(kept) == 59


def test_a_constant_feature_goes():
    x = np.column_stack([np.ones(8), np.arange(8.0)])
    assert lt.UncorrelatedFeatures().fit(x).transform(x).shape == (8, 1)


def test_selection_outside_the_folds_would_find_signal_in_noise_and_inside_does_not():
    data = subjects(seed=3)
    outside = data[MANY].corrwith(data["Y"]).abs().nlargest(5).index.tolist()
    shared = {"outcome": "Y", "n_folds": 5, "n_boot": 50, "seed": 4}
    models = {
        "inside": lt.selected_features(MANY, n_features=[5], penalties=[1.0]),
        "outside": lt.Tabular(LogisticRegression(), outside),
    }
    table = lt.cross_validate(data, models=models, **shared).table
    auc = table[table["metric"].eq("auc")].set_index("model")["estimate"]
    assert auc["outside"] > 0.65
    assert auc["inside"] < 0.6


def test_a_telling_feature_is_found_among_many():
    data = subjects(80, telling=["F010", "F020"])
    result = lt.cross_validate(
        data,
        outcome="Y",
        models={"few": lt.selected_features(MANY, n_features=[2, 5], penalties=[1.0])},
        n_boot=50,
        seed=1,
    )
    auc = result.table.loc[result.table["metric"].eq("auc"), "estimate"].iloc[0]
    assert auc > 0.8
    assert result.folds["chosen"].str.contains("best__n=").all()


def test_a_feature_that_repeat_scans_do_not_give_again_is_not_used():
    data = subjects(telling=["F000"])
    learner = lt.Tabular(LogisticRegression(), ["F000", "F001"])
    noisy = lt.StableFeatures(learner, repeats_of(data, {"F000": 5.0}))
    steady = lt.StableFeatures(learner, repeats_of(data, {}))
    table = lt.cross_validate(
        data, outcome="Y", models={"noisy": noisy, "steady": steady}, n_boot=50, seed=1
    ).table
    auc = table[table["metric"].eq("auc")].set_index("model")["estimate"]
    assert auc["steady"] > 0.7
    assert auc["noisy"] < 0.65


def test_repeats_of_predicted_subjects_do_not_count():
    data = subjects(40)
    learner = lt.StableFeatures(lt.Tabular(LogisticRegression(), MANY[:3]), repeats_of(data, {}))
    train = data.iloc[:30]
    whole = learner.fit(train, train["Y"].to_numpy(), "binary", seed=1)(data.iloc[30:])
    garbled = learner.repeats.copy()
    far = garbled["USUBJID"].isin(data["USUBJID"].iloc[30:])
    garbled.loc[far, MANY[:3]] = np.random.default_rng(0).normal(size=(int(far.sum()), 3))
    other = lt.StableFeatures(learner.learner, garbled)
    same = other.fit(train, train["Y"].to_numpy(), "binary", seed=1)(data.iloc[30:])
    np.testing.assert_array_equal(whole, same)


def test_repeats_of_others_may_not_hold_a_predicted_subject():
    data = subjects(40)
    learner = lt.StableFeatures(
        lt.Tabular(LogisticRegression(), MANY[:3]), repeats_of(data, {}), others=True
    )
    with pytest.raises(DataError, match="with repeat scans are predicted"):
        lt.cross_validate(data, outcome="Y", models={"m": learner}, n_boot=0, seed=1)


def test_nothing_repeatable_or_too_few_repeats_are_said():
    data = subjects(40)
    learner = lt.Tabular(LogisticRegression(), MANY[:2])
    noise = dict.fromkeys(MANY, 50.0)
    y = data["Y"].to_numpy()
    with pytest.raises(DataError, match="none of 2 features has an ICC"):
        lt.StableFeatures(learner, repeats_of(data, noise)).fit(data, y, "binary", seed=1)
    with pytest.raises(DataError, match="at least 5 with 2"):
        lt.StableFeatures(learner, repeats_of(data.head(4), {})).fit(data, y, "binary", seed=1)
    with pytest.raises(UsageError, match="at least one of each"):
        lt.selected_features([])
