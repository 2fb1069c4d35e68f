"""Recurrent events: mean function, Andersen-Gill with robust variance, negative binomial."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import ard_result
from livertrack.endpoints.recurrent_events import RecurrentEvents
from livertrack.errors import DataError, UsageError

# Both programs iterate to their tightest stopping rule.
FITTED = 1e-7
# glm.nb alternates between coefficients and dispersion and stops at about this precision.
ALTERNATED = 1e-6

KINDS = ["hprogress.dt", "varices.dt", "ascites.dt", "enceph.dt", "double.dt", "worsen.dt"]


def records(
    subjects: pd.DataFrame, days: dict[object, np.ndarray], end: pd.Series, step: int = 1
) -> pd.DataFrame:
    """One row per event and one that closes follow-up, times rounded up to ``step`` days."""
    rows = []
    for place, row in enumerate(subjects.to_dict("records")):
        last = step * np.ceil(end.iloc[place] / step)
        found = np.unique(step * np.ceil(np.asarray(days.get(row["id"], []), float) / step))
        found = found[(found > 0) & (found <= last)]
        rows += [{**row, "AVAL": day, "CNSR": 0} for day in found]
        rows.append({**row, "AVAL": last, "CNSR": 1})
    return pd.DataFrame(rows).rename(columns={"id": "USUBJID"})


@pytest.fixture(scope="module")
def udca(shared_data: Path) -> dict[str, pd.DataFrame]:
    raw = pd.read_csv(shared_data / "tab_r_survival_liver" / "udca.csv")
    dates = raw[["entry.dt", "last.dt", *KINDS]].apply(pd.to_datetime)
    since = dates.sub(dates["entry.dt"], axis=0).apply(lambda column: column.dt.days)
    days = {
        one: row.dropna().to_numpy()
        for one, (_, row) in zip(raw["id"], since[KINDS].iterrows(), strict=True)
    }
    subjects = raw[["id", "stage", "bili"]].assign(TRT01P=raw["trt"].astype(str))
    found = {
        name: records(subjects, days, since["last.dt"], step)
        for name, step in (("rec", 1), ("quarters", 91))
    }
    rec = found["rec"]
    start = rec.groupby("USUBJID")["AVAL"].shift(fill_value=0.0)
    gaps = rec.assign(START=np.where(start > 0, np.minimum(start + 180, rec["AVAL"]), 0.0))
    found["gaps"] = gaps[gaps["AVAL"] > gaps["START"]]
    return found


@pytest.fixture(scope="module")
def nafld(shared_data: Path) -> pd.DataFrame:
    folder = shared_data / "tab_r_survival_liver"
    subjects, events = (pd.read_csv(folder / f"nafld{k}.csv") for k in (1, 3))
    subjects = subjects[(subjects["id"] % 10 == 0) & (subjects["futime"] > 0)]
    days = {k: part.to_numpy() for k, part in events.groupby("id")["days"]}
    subjects = subjects.assign(TRT01P=subjects["male"].astype(str))
    frame = records(subjects[["id", "age", "TRT01P"]], days, subjects["futime"])
    return frame.assign(DECADE=(frame["age"] // 10).clip(3, 7))


def trial(seed: int = 1, n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        arm = "Active" if number < n // 2 else "Placebo"
        end = float(rng.uniform(20, 60))
        rate = rng.gamma(1.5, 1 / 1.5) * (0.04 if arm == "Active" else 0.08)
        times = np.sort(rng.uniform(0, end, rng.poisson(rate * end)))
        base = {
            "USUBJID": f"S{number}",
            "TRT01P": arm,
            "AGE": 40 + number % 7,
            "SEX": "FM"[number % 2],
        }
        rows += [{**base, "AVAL": t, "CNSR": 0} for t in times]
        rows.append({**base, "AVAL": end, "CNSR": 1})
    return pd.DataFrame(rows)


def of(result: RecurrentEvents, model: str) -> pd.DataFrame:
    frame = result.coefficients
    return frame[frame["model"].eq(model)].reset_index(drop=True)


CASES = {
    "udca": ("rec", {}),
    "udca_covariates": ("rec", {"covariates": "log(bili)"}),
    "udca_strata": ("rec", {"strata": "stage"}),
    "udca_breslow": ("quarters", {"covariates": "log(bili)", "ties": "breslow"}),
    "udca_efron": ("quarters", {"covariates": "log(bili)"}),
    "udca_gaps": ("gaps", {"start": "START"}),
    "nafld": ("nafld", {"covariates": "age"}),
    "nafld_decades": ("nafld", {"strata": "DECADE"}),
}


@pytest.mark.parametrize("name", CASES)
def test_both_models_equal_r(
    udca: dict[str, pd.DataFrame], nafld: pd.DataFrame, reference: Path, name: str
) -> None:
    table = pd.read_csv(reference / "recurrent_events.csv")
    which, options = CASES[name]
    data = nafld if which == "nafld" else udca[which]
    result = lt.recurrent_events(data, reference="0", **options)
    fit = result.fit.set_index("model")
    r = table.query(f"model == '{name}_ag'")
    if len(r):
        ours = of(result, "Andersen-Gill")
        for column in ("estimate", "std_error", "naive_error"):
            np.testing.assert_allclose(ours[column], r[column], rtol=FITTED)
        assert fit.loc["Andersen-Gill", "loglik"] == pytest.approx(r["loglik"].iloc[0], abs=1e-6)
    r = table.query(f"model == '{name}_nb'")
    if len(r):
        ours = of(result, "negative binomial")
        for column in ("estimate", "std_error"):
            np.testing.assert_allclose(ours[column], r[column], rtol=ALTERNATED)
        line = fit.loc["negative binomial"]
        assert line["loglik"] == pytest.approx(r["loglik"].iloc[0], abs=1e-7)
        assert line["dispersion"] == pytest.approx(r["dispersion"].iloc[0], rel=1e-5)


@pytest.mark.parametrize("name", ["udca", "gaps", "nafld"])
def test_mean_function_and_its_robust_error_equal_survfit(
    udca: dict[str, pd.DataFrame], nafld: pd.DataFrame, reference: Path, name: str
) -> None:
    r = pd.read_csv(reference / "recurrent_events_mean.csv", dtype={"arm": str})
    r = r.query(f"model == '{name}'")
    data = {"udca": udca["rec"], "gaps": udca["gaps"], "nafld": nafld}[name]
    start = "START" if name == "gaps" else None
    result = lt.recurrent_events(data, reference="0", start=start)
    ours = r[["arm", "time"]].merge(result.mean_function, how="left")
    for column in ("n_risk", "n_event", "estimate", "std_error"):
        np.testing.assert_allclose(ours[column], r[column], rtol=1e-9)


def test_counts_and_exposure_equal_r(udca: dict[str, pd.DataFrame], reference: Path) -> None:
    r = pd.read_csv(reference / "recurrent_events_rates.csv")
    result = lt.recurrent_events(udca["rec"], reference="0")
    np.testing.assert_allclose(
        result.rates.sort_values("arm")[["n", "n_with_event", "events", "exposure"]],
        r[["n", "n_with_event", "events", "exposure"]],
    )
    assert "dropped 1 of 170 subjects: no time at risk" in result.notes


def test_hand_worked_rates_and_mean_function() -> None:
    data = pd.DataFrame(
        {
            "USUBJID": ["a", "a", "a", "b", "c", "c"],
            "TRT01P": ["A", "A", "A", "A", "P", "P"],
            "AVAL": [2, 5, 10, 4, 3, 8],
            "CNSR": [0, 0, 1, 1, 0, 1],
        }
    )
    result = lt.recurrent_events(data, reference="P")
    rates = result.rates.set_index("arm")
    assert rates.loc["A", ["n", "n_with_event", "events", "exposure"]].tolist() == [2, 1, 2, 14]
    curve = result.mean_function.query("arm == 'A'")
    # two at risk at 2, one at 5
    assert curve["estimate"].tolist() == [0.5, 1.5]
    # a: 1/2 - 1/4, b: -1/4; at 5 the one at risk adds 1 - 1
    np.testing.assert_allclose(curve["std_error"], [np.sqrt(2) / 4] * 2)


def test_intervals_may_be_given_or_derived() -> None:
    data = trial().sort_values(["USUBJID", "AVAL", "CNSR"])
    given = data.assign(START=data.groupby("USUBJID")["AVAL"].shift(fill_value=0.0))
    one = lt.recurrent_events(data, reference="Placebo")
    two = lt.recurrent_events(given, reference="Placebo", start="START")
    for name, frame in one.frames().items():
        pd.testing.assert_frame_equal(frame, two.frames()[name])


def test_one_event_at_most_is_cox_with_clustered_variance() -> None:
    data = trial().sort_values(["USUBJID", "AVAL"]).drop_duplicates("USUBJID")
    row = of(lt.recurrent_events(data, reference="Placebo"), "Andersen-Gill").iloc[0]
    flipped = pd.Categorical(data["TRT01P"], categories=["Placebo", "Active"])
    cox = lt.cox(data.assign(TRT01P=flipped), "TRT01P").table.iloc[0]
    assert row["estimate"] == pytest.approx(cox["estimate"], rel=1e-9)
    assert row["naive_error"] == pytest.approx(cox["std_error"], rel=1e-9)


def test_swapping_the_reference_inverts_the_ratios() -> None:
    one, two = (
        lt.recurrent_events(trial(), reference=reference, covariates="AGE").table
        for reference in ("Placebo", "Active")
    )
    np.testing.assert_allclose(one["rate_ratio"], 1 / two["rate_ratio"], rtol=1e-8)
    np.testing.assert_allclose(one["rate_ratio_low"], 1 / two["rate_ratio_high"], rtol=1e-8)


def test_the_unit_of_time_changes_no_ratio() -> None:
    data = trial()
    one, two = (
        lt.recurrent_events(d, reference="Placebo")
        for d in (data, data.assign(AVAL=data["AVAL"] * 365.25))
    )
    np.testing.assert_allclose(one.table["estimate"], two.table["estimate"], rtol=1e-8)
    np.testing.assert_allclose(one.rates["rate"], two.rates["rate"] * 365.25)


def test_row_and_column_order_change_nothing() -> None:
    data = trial(4)
    shuffled = data.sample(frac=1, random_state=3)[data.columns[::-1]]
    one, two = (
        lt.recurrent_events(d, reference="Placebo", covariates="AGE", strata="SEX")
        for d in (data, shuffled)
    )
    for name, frame in one.frames().items():
        pd.testing.assert_frame_equal(frame, two.frames()[name])


def test_a_closing_row_at_the_last_event_may_be_left_out() -> None:
    data = pd.DataFrame(
        {"USUBJID": list("aabcc"), "TRT01P": list("AAAPP"), "AVAL": [2.0, 5, 9, 4, 7],
         "CNSR": [0, 0, 1, 0, 1]}
    )  # fmt: skip
    closed = pd.concat([data, data.iloc[[1]].assign(CNSR=1)])
    one, two = (lt.recurrent_events(d, reference="P").rates for d in (data, closed))
    pd.testing.assert_frame_equal(one, two)


def test_incomplete_subjects_are_dropped_whole_and_counted() -> None:
    data = trial()
    data.loc[data.index[data["USUBJID"].eq("S1")][0], "AGE"] = np.nan
    result = lt.recurrent_events(data, reference="Placebo", covariates="AGE")
    assert "dropped 1 of 40 subjects" in result.notes[0]
    assert result.rates["n"].sum() == 39


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (trial().assign(AVAL=np.nan), "no subject has complete records"),
        (trial().assign(AVAL=-1.0), "negative"),
        (trial().assign(CNSR=0.5), "not 0"),
        (trial().assign(USUBJID=None), "without a subject"),
        (trial().assign(TRT01P=lambda d: np.where(d.index % 2, "Active", "Placebo")), "differs"),
        (trial().assign(CNSR=1), "follow a closing one"),
        (trial().assign(AVAL=5.0), "end where they begin"),
        (trial().drop(columns="CNSR"), "CNSR"),
        (trial().query("TRT01P == 'Active'"), "'Placebo' does not occur"),
    ],
)
def test_records_that_make_no_intervals_are_errors(data: pd.DataFrame, match: str) -> None:
    with pytest.raises(DataError, match=match):
        lt.recurrent_events(data, reference="Placebo")


def test_overlapping_intervals_are_an_error() -> None:
    data = trial().sort_values(["USUBJID", "AVAL"]).assign(START=0.0)
    with pytest.raises(DataError, match="overlap"):
        lt.recurrent_events(data, reference="Placebo", start="START")


def test_no_event_in_an_arm_is_a_ratio_of_zero_without_limits() -> None:
    data = trial()
    silent = data[data["TRT01P"].eq("Placebo") | data["CNSR"].eq(1)]
    result = lt.recurrent_events(silent, reference="Placebo")
    assert result.table["rate_ratio"].tolist() == [0, 0]
    assert result.table["conf_high"].isna().all()
    assert result.rates.set_index("arm").loc["Active", "rate"] == 0
    assert "Active: no event in 20 subjects; no limits of a ratio" in result.notes
    turned = lt.recurrent_events(silent, reference="Active")
    assert turned.table["rate_ratio"].tolist() == [np.inf, np.inf]


def test_an_arm_without_events_or_subjects_leaves_the_others_as_they_are() -> None:
    data = trial()
    third = data[data["TRT01P"].eq("Active") & data["CNSR"].eq(1)]
    third = third.assign(USUBJID=third["USUBJID"] + "x", TRT01P="Quiet")
    levels = ["Placebo", "Active", "Quiet", "Planned"]
    more = pd.concat([data, third]).assign(TRT01P=lambda d: pd.Categorical(d["TRT01P"], levels))
    one = lt.recurrent_events(data, reference="Placebo").table
    two = lt.recurrent_events(more, reference="Placebo").table.set_index("arm")
    np.testing.assert_allclose(one["estimate"], two.loc["Active", "estimate"], rtol=1e-9)
    np.testing.assert_allclose(one["std_error"], two.loc["Active", "std_error"], rtol=1e-9)
    assert two.loc["Quiet", "rate_ratio"].tolist() == [0, 0]
    assert two.loc["Planned", "rate_ratio"].isna().all()


def test_no_event_at_all_is_nan_with_notes() -> None:
    result = lt.recurrent_events(trial().query("CNSR == 1"), reference="Placebo")
    assert result.mean_function.empty
    assert result.table["rate_ratio"].isna().all()
    assert result.rates["rate"].tolist() == [0, 0]
    assert len(result.notes) == 2


def test_one_subject_in_an_arm_has_a_ratio_without_robust_limits() -> None:
    data = trial()
    count = data.groupby("USUBJID").size()
    one = data[data["TRT01P"].eq("Active") & data["USUBJID"].eq(count[:10].idxmax())]
    result = lt.recurrent_events(
        pd.concat([one, data.query("TRT01P == 'Placebo'")]), reference="Placebo"
    )
    row = result.table.set_index("model").loc["Andersen-Gill"]
    assert np.isfinite(row["rate_ratio"])
    assert np.isnan(row["conf_low"])
    assert result.mean_function.query("arm == 'Active'")["std_error"].isna().all()
    assert "Andersen-Gill: one subject in Active, no limits" in result.notes


def test_the_reference_alone_has_rates_and_no_ratio() -> None:
    result = lt.recurrent_events(trial().query("TRT01P == 'Placebo'"), reference="Placebo")
    assert result.table.empty
    assert result.rates["n"].tolist() == [20]
    assert "no arm besides the reference Placebo" in result.notes


def test_counts_without_overdispersion_are_poisson_with_a_note() -> None:
    rows = [(n, "AB"[n % 2], t, c) for n in range(8) for t, c in ((3.0 + n, 0), (20.0, 1))]
    data = pd.DataFrame(rows, columns=["USUBJID", "TRT01P", "AVAL", "CNSR"])
    result = lt.recurrent_events(data, reference="A")
    assert "negative binomial: no overdispersion, the Poisson limit" in result.notes
    assert result.fit.set_index("model").loc["negative binomial", "dispersion"] == 0


def test_unknown_ties_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="efron"):
        lt.recurrent_events(trial(), reference="Placebo", ties="exact")  # type: ignore[arg-type]


def test_ard_gives_every_frame_back() -> None:
    result = lt.recurrent_events(trial(), reference="Placebo")
    back = ard_result(result.to_ard(analysis="x"))
    assert set(back.frames) == set(result.frames())
    np.testing.assert_allclose(back.frames["rates"]["rate"], result.rates["rate"])


@pytest.mark.slow
def test_limits_cover_the_ratio_of_rates_of_frail_subjects() -> None:
    rng, reps = np.random.default_rng(7), 600
    hits = dict.fromkeys(["Andersen-Gill", "negative binomial"], 0)
    for _ in range(reps):
        rows = []
        for number in range(120):
            arm, end = number % 2, rng.uniform(0.5, 1.5)
            times = np.sort(rng.uniform(0, end, rng.poisson(end * rng.gamma(1) * 2 * 0.6**arm)))
            rows += [(number, arm, t, 0) for t in times]
            rows.append((number, arm, end, 1))
        data = pd.DataFrame(rows, columns=["USUBJID", "TRT01P", "AVAL", "CNSR"])
        for row in lt.recurrent_events(data, reference=0).table.to_dict("records"):
            hits[row["model"]] += row["conf_low"] <= np.log(0.6) <= row["conf_high"]
    for count in hits.values():
        assert abs(count / reps - 0.95) < 0.025
