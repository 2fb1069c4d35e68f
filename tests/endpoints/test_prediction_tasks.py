"""Prediction tasks end to end, on simulated subjects in the numbers that were published.

Livers of the simulation are not patients: these tests show that a task beats its baseline where
there is something to find, and finds nothing where outcomes were exchanged.
"""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

import livertrack as lt
from livertrack.imaging.preprocessing import Preparation
from livertrack.simulate import simulate_baseline, simulate_textures

pytestmark = pytest.mark.slow

TYPES = [f"TV{k:02d}" for k in range(1, 8)]
SETS = {"signature": TYPES, "fat fraction": ["PDFF"], "both": [*TYPES, "PDFF"]}


def pair(result, metric, first, second):
    rows = result.comparison
    rows = rows[rows["metric"].eq(metric) & rows["model_1"].eq(first) & rows["model_2"].eq(second)]
    return rows.iloc[0]


def exchanged(data, columns, seed=0):
    order = np.random.default_rng(seed).permutation(len(data))
    return data.assign(**{c: data[c].to_numpy()[order] for c in columns})


# steatohepatitis or steatosis: 46 + 30 patients were published ----------------------------------


@pytest.fixture(scope="module")
def biopsied():
    return simulate_baseline(76, seed=1)


def predict_nash(data, **options):
    models = lt.biopsy_models(SETS, task="binary", kinds=["linear"])
    return lt.cross_validate(data, outcome="NASH", models=models, n_boot=1000, seed=1, **options)


def test_the_signature_tells_steatohepatitis_ahead_of_the_fat_fraction(biopsied):
    result = predict_nash(biopsied, n_repeats=3)
    assert pair(result, "auc", "signature", "fat fraction")["conf_low"] > 0
    assert pair(result, "auc_delong", "signature", "fat fraction")["conf_low"] > 0


def test_exchanged_biopsies_are_told_by_nothing(biopsied):
    table = predict_nash(exchanged(biopsied, ["NASH"], seed=3)).table
    auc = table[table["metric"].eq("auc")]
    assert (auc["conf_low"] < 0.5).all()
    assert (auc["conf_high"] > 0.5).all()


def test_inflamed_tissue_carries_the_prediction(biopsied):
    larger = simulate_baseline(160, seed=2)
    model = lt.biopsy_models({"signature": TYPES}, task="ordinal", kinds=["linear"])["signature"]
    table = lt.permutation_importance(
        larger, outcome="INFLAM", model=model, task="ordinal", seed=1
    ).table
    assert table.loc[0, "feature"] == "TV06"
    assert table.loc[0, "conf_low"] > 0


# liver-related events from radiomics: 41 events of 222 were published ---------------------------


@pytest.fixture(scope="module")
def followed():
    """Hazard and grain of the texture follow one severity; age adds a little; the mean nothing."""
    rng = np.random.default_rng(11)
    n = 222
    severity, age = rng.normal(size=n), rng.normal(55, 10, n)
    images = simulate_textures(3.5 * np.exp(0.3 * severity), seed=3)
    rules = lt.RadiomicRules(
        families=("first-order", "GLCM", "GLRLM"), log_sigma_mm=(), n_bins=16, spacing_mm=None
    )
    wide = lt.radiomics(images, rules=rules, preparation=Preparation(bias_field="none")).wide()
    true = rng.exponential(24 / np.exp(severity + 0.02 * (age - 55)))
    lost = rng.uniform(2, 7, n)
    return wide.assign(
        AGE=age, AVAL=np.minimum(true, lost), CNSR=(true > lost).astype(int)
    )  # fmt: skip


def prognosis_of(data, **options):
    features = [c for c in data if "_R" in c]
    models = {
        "radiomics": lt.RidgeCox(features, n_features=(3, 10)),
        "mean": lt.RidgeCox(["CH1_RQ4LE"], penalties=(0.01,)),
    }
    arguments = {"models": models, "horizons": [2, 4], "n_boot": 1000, "seed": 5, **options}
    return lt.prognosis(data, **arguments)


def test_texture_tells_events_ahead_of_the_mean_intensity(followed):
    result = prognosis_of(followed, n_repeats=3)
    assert 30 <= result.settings["n_events"] <= 55
    for metric in ("harrell_c", "uno_c"):
        assert pair(result, metric, "radiomics", "mean")["conf_low"] > 0
    table = result.table.set_index(["model", "metric"])
    mean = table.loc[("mean", "uno_c")].iloc[0]
    assert mean["conf_low"] < 0.55


def test_exchanged_events_are_told_by_nothing(followed):
    table = prognosis_of(exchanged(followed, ["AVAL", "CNSR"], seed=1)).table
    c = table[table["metric"].eq("uno_c") & table["model"].eq("radiomics")].iloc[0]
    assert c["conf_low"] < 0.5


def test_one_and_two_workers_give_the_same_risks(followed):
    one = prognosis_of(followed, n_boot=0)
    with parallel_config(n_jobs=2):
        two = prognosis_of(followed, n_boot=0)
    pd.testing.assert_frame_equal(one.predictions, two.predictions)


def test_one_and_two_workers_give_the_same_probabilities(biopsied):
    models = lt.biopsy_models({"signature": TYPES}, task="binary", n_trees=20)
    options = {"outcome": "NASH", "models": models, "n_folds": 3, "n_inner": 2, "n_boot": 0}
    one = lt.cross_validate(biopsied, seed=2, **options)
    with parallel_config(n_jobs=2):
        two = lt.cross_validate(biopsied, seed=2, **options)
    pd.testing.assert_frame_equal(one.predictions, two.predictions)
