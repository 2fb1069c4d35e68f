"""Fine-Gray regression and cause-specific hazards."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.errors import DataError, UsageError

# Both programs iterate to their tightest stopping rule.
FITTED = 1e-8

Frames = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def frames(shared_data: Path) -> Frames:
    folder = shared_data / "tab_r_survival_liver"
    waiting = pd.read_csv(folder / "transplant.csv").dropna(subset=["age"])
    waiting = waiting.assign(
        # crr takes censorings at time 0 for earlier than events at time 0; nobody starts at 0 here
        AVAL=waiting["futime"] + 1,
        CNSR=(waiting["event"] == "censored").astype(int),
        CAUSE=waiting["event"],
    )
    pbc = pd.read_csv(folder / "pbc.csv").dropna(subset=["trt"])
    pbc = pbc.assign(
        AVAL=pbc["time"],
        CNSR=(pbc["status"] == 0).astype(int),
        CAUSE=pbc["status"].map({1: "transplant", 2: "death"}),
        TRT01P=pbc["trt"].astype(int).astype(str),
        QUARTERS=np.ceil(pbc["time"] / 91.3125),
        UNTIED=pbc["time"] + pbc["id"].rank() / 1000,
    )
    return {"waiting": waiting, "pbc": pbc}


MODELS = {
    "death": ("waiting", "age + sex + abo", {"event": "death"}),
    "ltx": ("waiting", "age + sex + abo", {"event": "ltx"}),
    "ltx_groups": ("waiting", "age + sex", {"event": "ltx", "censoring_groups": "abo"}),
    "pbc_death": ("pbc", "TRT01P + age + log(bili) + edema", {"event": "death"}),
    "pbc_transplant": ("pbc", "TRT01P + age", {"event": "transplant"}),
    "pbc_untied": ("pbc", "TRT01P + age + log(bili)", {"event": "death", "time": "UNTIED"}),
    "pbc_quarters": ("pbc", "TRT01P + age + log(bili)", {"event": "death", "time": "QUARTERS"}),
}


def trial(seed: int = 3, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "USUBJID": [f"S{i}" for i in range(n)],
            "TRT01P": np.repeat(["Active", "Placebo"], n // 2),
            "AVAL": rng.exponential(20, n),
            "CNSR": rng.choice([0, 0, 1], n),
            "AGE": rng.normal(50, 9, n),
            "CAUSE": rng.choice(["liver", "other"], n),
        }
    )


@pytest.mark.parametrize("name", MODELS)
def test_coefficients_and_errors_equal_crr(frames: Frames, reference: Path, name: str) -> None:
    r = pd.read_csv(reference / "fine_gray.csv").query(f"model == '{name}'")
    data, formula, options = MODELS[name]
    result = lt.fine_gray(frames[data], formula, **options)
    np.testing.assert_allclose(result.table["estimate"], r["estimate"], rtol=FITTED)
    # explicit sums over subjects; crr's own except where censoring differs between groups
    np.testing.assert_allclose(result.table["std_error"], r["explicit_error"], rtol=FITTED)
    if "censoring_groups" not in options:
        np.testing.assert_allclose(result.table["std_error"], r["std_error"], rtol=FITTED)
    assert result.fit["loglik"].item() == pytest.approx(r["loglik"].iloc[0], abs=1e-8)
    assert result.fit["loglik_null"].item() == pytest.approx(r["loglik_null"].iloc[0], abs=1e-8)


def test_known_weights_equal_finegray_with_robust_coxph(frames: Frames, reference: Path) -> None:
    r = pd.read_csv(reference / "fine_gray.csv").query("model == 'pbc_untied'")
    data, formula, options = MODELS["pbc_untied"]
    table = lt.fine_gray(frames[data], formula, variance="weights-known", **options).table
    np.testing.assert_allclose(table["estimate"], r["finegray"], rtol=FITTED)
    np.testing.assert_allclose(table["std_error"], r["finegray_error"], rtol=FITTED)


@pytest.mark.parametrize("name", ["pbc_transplant", "pbc_quarters"])
def test_baseline_hazard_equals_crr(frames: Frames, reference: Path, name: str) -> None:
    r = pd.read_csv(reference / "fine_gray_baseline.csv").query(f"model == '{name}'")
    data, formula, options = MODELS[name]
    baseline = lt.fine_gray(frames[data], formula, **options).baseline
    np.testing.assert_allclose(baseline["time"], r["time"])
    np.testing.assert_allclose(baseline["hazard"], r["hazard"], rtol=1e-7)


@pytest.mark.parametrize(
    ("name", "data", "formula", "event"),
    [
        ("ltx", "waiting", "age + sex + abo", "ltx"),
        ("pbc_transplant", "pbc", "TRT01P + age", "transplant"),
    ],
)
def test_cause_specific_hazards_equal_coxph(
    frames: Frames, reference: Path, name: str, data: str, formula: str, event: str
) -> None:
    r = pd.read_csv(reference / "fine_gray_cause_specific.csv").query(f"model == '{name}'")
    result = lt.cox(frames[data], formula, event=event)
    np.testing.assert_allclose(result.table["estimate"], r["estimate"], rtol=1e-7)
    np.testing.assert_allclose(result.table["std_error"], r["std_error"], rtol=1e-7)
    assert any("with another event" in note for note in result.notes)


def test_without_competing_events_the_model_is_cox_with_breslow_ties() -> None:
    data = trial().assign(CAUSE="liver")
    ours = lt.fine_gray(data, "TRT01P + AGE", event="liver").table
    cox = lt.cox(data, "TRT01P + AGE", ties="breslow").table
    np.testing.assert_allclose(ours["estimate"], cox["estimate"], rtol=1e-9)


def test_without_censoring_competing_events_are_as_good_as_never() -> None:
    data = trial().assign(CNSR=0)
    ours = lt.fine_gray(data, "TRT01P", event="liver").table
    later = data["CAUSE"].eq("other")
    never = data.assign(AVAL=data["AVAL"].mask(later, 1e6), CNSR=later.astype(int))
    cox = lt.cox(never, "TRT01P", ties="breslow").table
    np.testing.assert_allclose(ours["estimate"], cox["estimate"], rtol=1e-9)


def test_a_cause_where_the_flag_says_censored_is_ignored() -> None:
    data = trial()
    blank = data.assign(CAUSE=data["CAUSE"].where(data["CNSR"].eq(0)))
    one, two = (lt.fine_gray(d, "TRT01P", event="liver").table for d in (data, blank))
    pd.testing.assert_frame_equal(one, two)


def test_swapping_the_reference_inverts_the_ratio() -> None:
    data = trial(5)
    other = data.assign(TRT01P=pd.Categorical(data["TRT01P"], categories=["Placebo", "Active"]))
    one, two = (lt.fine_gray(d, "TRT01P", event="other").table.iloc[0] for d in (data, other))
    assert one["hazard_ratio"] == pytest.approx(1 / two["hazard_ratio"])
    assert one["hazard_ratio_low"] == pytest.approx(1 / two["hazard_ratio_high"])


def test_row_and_column_order_change_nothing() -> None:
    data = trial(8).assign(AVAL=lambda d: np.ceil(d["AVAL"]))
    shuffled = data.sample(frac=1, random_state=2)[data.columns[::-1]]
    one, two = (
        lt.fine_gray(d, "AGE + TRT01P", event="liver", censoring_groups="TRT01P")
        for d in (data, shuffled)
    )
    for name, frame in one.frames().items():
        pd.testing.assert_frame_equal(frame, two.frames()[name], rtol=1e-11)


def test_dropped_subjects_are_counted() -> None:
    data = trial()
    data.loc[:3, "AGE"] = np.nan
    data.loc[data.index[data["CNSR"].eq(0)][-2:], "CAUSE"] = None
    result = lt.fine_gray(data, "AGE", event="liver")
    assert "dropped 4 of 120" in result.notes[0]
    assert "dropped 2 of 120 subjects: event without CAUSE" in result.notes[1]
    assert result.table["n"].item() == 114


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (trial().assign(CNSR=1), "no event among 120"),
        (
            trial().assign(CAUSE="other"),
            "'liver' did not happen; events of 120 subjects are other",
        ),
        (trial().assign(TRT01P="Active"), "do not vary"),
        (trial().assign(AVAL=np.nan), "no event among 0"),
        (trial().drop(columns="CAUSE"), "CAUSE missing"),
        (
            trial().assign(CAUSE=lambda d: d["TRT01P"].map({"Active": "liver", "Placebo": "x"})),
            "did not converge",
        ),
    ],
    ids=["no event", "other events only", "one arm", "all missing", "no column", "separated"],
)
def test_a_ratio_that_does_not_exist_is_an_error(data: pd.DataFrame, match: str) -> None:
    with pytest.raises(DataError, match=match):
        lt.fine_gray(data, "TRT01P", event="liver")


def test_unknown_variance_and_formulas_that_call_code_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="weights-known"):
        lt.fine_gray(trial(), "AGE", event="liver", variance="naive")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not understood"):
        lt.fine_gray(trial(), "open('x')", event="liver")


@pytest.mark.slow
def test_limits_cover_the_subdistribution_ratio() -> None:
    # Fine and Gray's own design: incidence of cause 1 is 1 - (1 - p (1 - exp(-t))) ** exp(beta)
    rng, beta, p, hits, reps = np.random.default_rng(5), 0.5, 0.6, 0, 1500
    for _ in range(reps):
        arm = np.repeat([0, 1], 100)
        total = 1 - (1 - p) ** np.exp(beta * arm)
        first = rng.random(200) < total
        u = rng.random(200) * total
        t1 = -np.log1p(-(1 - (1 - u) ** np.exp(-beta * arm)) / p)
        t = np.where(first, t1, rng.exponential(np.exp(-0.3 * arm)))
        c = rng.uniform(0.2, 3, 200)
        data = pd.DataFrame({"ARM": arm, "AVAL": np.minimum(t, c), "CNSR": (t > c).astype(int)})
        data["CAUSE"] = np.where(first, "one", "two")
        row = lt.fine_gray(data, "ARM", event="one").table.iloc[0]
        hits += row["conf_low"] <= beta <= row["conf_high"]
    assert abs(hits / reps - 0.95) < 0.015
