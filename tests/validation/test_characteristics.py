"""Simulated error rates: the shipped table is that of this code, and every miss has a reason."""

import joblib
import numpy as np
import pandas as pd
import pytest

from livertrack.errors import UsageError
from livertrack.validation import characteristics as module
from livertrack.validation._scenario import Claim, Scenario, covers, rejects
from livertrack.validation.characteristics import (
    OPENING,
    compare_with_release,
    operating_characteristics,
    released_characteristics,
)
from livertrack.validation.simulations import scenarios

NAMES = [scenario.name for scenario in scenarios()]
#: a second or more per trial
HEAVY = [name for name in NAMES if name.startswith("imputation")]
LOOKS = [name for name in NAMES if name.startswith("looks")]


def _only(monkeypatch: pytest.MonkeyPatch, *chosen: Scenario) -> None:
    monkeypatch.setattr(module, "scenarios", lambda: chosen)


def _coin(name: str = "coin", rate: float = 0.9, n: int = 400, **claim) -> Scenario:
    def draw(rng: np.random.Generator) -> dict[str, float]:
        return {"x": float(rng.random() < rate)}

    made = Claim(key="x", method="lt.nothing", quantity="a coin", **claim)
    return Scenario(name=name, family="Coins", setting="none", draw=draw, claims=(made,), n=n)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HEAVY])
def test_the_first_trials_are_those_of_the_shipped_table(name: str) -> None:
    _same_as_released(name, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_all_kept_trials_are_those_of_the_shipped_table(name: str) -> None:
    _same_as_released(name, 6 if name in HEAVY else OPENING)


def _same_as_released(name: str, trials: int) -> None:
    scenario = next(one for one in scenarios() if one.name == name)
    released = released_characteristics()
    rows = released[released["scenario"] == name].set_index("key")
    outcomes = module._batch(name, 0, trials, int(rows["seed"].iloc[0]))
    for place, claim in enumerate(scenario.claims):
        again = module._opening(outcomes[:, place])
        assert again == rows.loc[claim.key, "opening"][:trials], (
            f"{name}, {claim.key}: the method changed; measure the table again "
            "(analysis/benchmarks/operating_characteristics.py)"
        )


def test_the_shipped_table_has_exactly_the_registered_claims() -> None:
    listed = {
        (s.name, c.key): (s.family, s.setting, c.method, c.quantity, c.kind, c.bound, c.note)
        for s in scenarios()
        for c in s.claims
    }
    released = released_characteristics().set_index(["scenario", "key"])
    columns = ["family", "setting", "method", "quantity", "kind", "bound", "note"]
    assert set(released.index) == set(listed)
    for key, words in listed.items():
        assert tuple(released.loc[key, columns]) == words, key


def test_the_shipped_table_says_how_long_each_run_was() -> None:
    released = released_characteristics().drop_duplicates("scenario").set_index("scenario")
    for scenario in scenarios():
        assert 20 <= released.loc[scenario.name, "n"] <= scenario.n, scenario.name
    assert (released["date"] != "").all()


def test_every_method_that_misses_its_promise_says_why() -> None:
    released = released_characteristics()
    outside = released[released["verdict"] != "inside"]
    silent = outside[outside["note"] == ""]
    assert silent.empty, silent[["scenario", "quantity", "estimate", "nominal"]].to_string()


def test_notes_are_not_excuses() -> None:
    released = released_characteristics()
    errors = released[~released["kind"].isin(["coverage", "power"])]
    assert (errors["estimate"] < 0.2).all()
    assert (released.loc[released["kind"] == "coverage", "estimate"] > 0.75).all()


def test_scenario_and_key_name_one_claim() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for scenario in scenarios():
        keys = [claim.key for claim in scenario.claims]
        assert len(set(keys)) == len(keys)


def test_numbers_do_not_depend_on_the_workers() -> None:
    with joblib.parallel_config(n_jobs=1):
        one = operating_characteristics(names=LOOKS, n=4)
    with joblib.parallel_config(n_jobs=2):
        two = operating_characteristics(names=LOOKS, n=4)
    pd.testing.assert_frame_equal(one, two)


def test_a_short_run_is_the_beginning_of_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, _coin())
    short, long = operating_characteristics(n=10), operating_characteristics(n=60)
    assert long["opening"].iloc[0].startswith(short["opening"].iloc[0])
    assert len(long["opening"].iloc[0]) == OPENING


@pytest.mark.parametrize(
    ("rate", "claim", "verdict"),
    [
        (0.95, {}, "inside"),
        (0.80, {}, "liberal"),
        (1.00, {}, "conservative"),
        (1.00, {"bound": "at least"}, "inside"),
        (0.05, {"kind": "type I error", "nominal": 0.05}, "inside"),
        (0.20, {"kind": "type I error", "nominal": 0.05}, "liberal"),
        (0.00, {"kind": "type I error", "nominal": 0.05}, "conservative"),
        (0.00, {"kind": "familywise error", "nominal": 0.05, "bound": "at most"}, "inside"),
        (0.20, {"kind": "familywise error", "nominal": 0.05, "bound": "at most"}, "liberal"),
        (0.60, {"kind": "power", "nominal": 0.8}, "lower"),
    ],
)
def test_a_miss_is_called_by_its_name(
    monkeypatch: pytest.MonkeyPatch, rate: float, claim: dict, verdict: str
) -> None:
    _only(monkeypatch, _coin(rate=rate, **claim))
    assert operating_characteristics()["verdict"].tolist() == [verdict]


def test_trials_without_an_answer_are_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def draw(rng: np.random.Generator) -> dict[str, float]:
        u = rng.random()
        return {"x": np.nan if u < 0.5 else float(u < 0.975)}

    claim = Claim(key="x", method="lt.nothing", quantity="a coin")
    _only(monkeypatch, Scenario(name="half", family="Coins", setting="none", draw=draw,
                                claims=(claim,), n=200))  # fmt: skip
    row = operating_characteristics().iloc[0]
    assert 60 < row["n_missing"] < 140
    assert row["n"] == 200
    assert row["estimate"] > 0.85
    assert "-" in row["opening"]


def test_the_band_is_that_of_the_binomial(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, _coin(n=400))
    row = operating_characteristics().iloc[0]
    assert row["band_low"] == pytest.approx(364 / 400)
    assert row["band_high"] == pytest.approx(393 / 400)
    assert row["mc_error"] == pytest.approx(np.sqrt(row["estimate"] * (1 - row["estimate"]) / 400))


def test_a_changed_method_differs_from_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, _coin(rate=0.95))
    released = operating_characteristics()
    same = compare_with_release(operating_characteristics(n=40), released)
    assert same["same_trials"].all()
    assert same["passed"].all()
    _only(monkeypatch, _coin(rate=0.6))
    other = compare_with_release(operating_characteristics(n=40), released)
    assert not other["same_trials"].any()
    assert not other["passed"].any()


def test_an_unknown_simulation_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no simulation is called 'evnts'"):
        operating_characteristics(names=["evnts"], n=1)


def test_an_answer_without_limits_or_p_is_missing() -> None:
    assert np.isnan(covers(np.nan, 1.0, 0.5))
    assert np.isnan(rejects(np.nan))
    assert (covers(0.0, 1.0, 1.0), covers(0.0, 1.0, 1.1)) == (1.0, 0.0)
    assert (rejects(0.05), rejects(0.051)) == (1.0, 0.0)
