"""A family or a graph takes the p-values that the plan names, and no others."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack.pipeline.multiplicity import family_adjustment
from livertrack.plan import Plan


def plan(**multiplicity: Any) -> Plan:
    return Plan.model_validate({
        "study": {"id": "X", "title": "X"}, "seed": 1,
        "data": {"arms": ["P", "A", "B"], "reference": "P", "visits": ["V0", "V1", "V2"],
                 "baseline": "V0"},
        "analyses": [
            {"id": "one", "endpoint": "ancova", "visit": "V1", "parameters": ["ALT"]},
            {"id": "two", "endpoint": "ancova", "visit": "V1", "parameters": ["ALT", "AST"]},
            {"id": "sep", "endpoint": "separation", "visit": "V1", "parameters": ["ALT"]},
        ],
        "multiplicity": multiplicity,
    })  # fmt: skip


@pytest.fixture(scope="module")
def ards() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({
        "USUBJID": [f"s{i}" for i in range(30)], "TRT01P": ["P", "A", "B"] * 10,
        "BASE": rng.normal(50, 5, 30), "CHG": rng.normal(0, 5, 30) + [0, 3, 6] * 10,
    })  # fmt: skip
    fit = lt.ancova(data, "CHG ~ BASE + TRT01P", arm="TRT01P", reference="P")
    other = lt.ancova(data.assign(CHG=-data["CHG"] / 3 + rng.normal(0, 4, 30)),
                      "CHG ~ BASE + TRT01P", arm="TRT01P", reference="P")  # fmt: skip
    sep = lt.separation(data, reference="P", n_boot=99, seed=1)
    return {
        "one": fit.to_ard(analysis="one", variable="ALT"),
        "two": pd.concat([other.to_ard(analysis="two", variable=v) for v in ("ALT", "AST")]),
        "sep": sep.to_ard(analysis="sep", variable="ALT"),
    }


GRAPH = {
    "method": "graphical", "weights": {"A": 0.5, "B": 0.5},
    "transitions": {"A": {"B": 1.0}, "B": {"A": 1.0}},
}  # fmt: skip


def test_a_graph_with_equal_shares_is_holm(ards: dict[str, pd.DataFrame]) -> None:
    hypotheses = {arm: {"analysis": "one", "arm": arm} for arm in ("A", "B")}
    graph = family_adjustment(plan(**GRAPH, hypotheses=hypotheses), ards).table
    holm = family_adjustment(plan(method="holm", hypotheses=hypotheses), ards).table
    np.testing.assert_allclose(graph["p_adjusted"], holm["p_adjusted"], rtol=1e-12)
    family = family_adjustment(plan(method="holm", family=["one"]), ards).table
    np.testing.assert_allclose(family["p_adjusted"], holm["p_adjusted"], rtol=1e-12)


def test_a_fixed_sequence_follows_the_order_of_the_plan(ards: dict[str, pd.DataFrame]) -> None:
    names = ["B", "A"]
    hypotheses = {arm: {"analysis": "one", "arm": arm} for arm in names}
    table = family_adjustment(plan(method="fixed-sequence", hypotheses=hypotheses), ards).table
    assert table["hypothesis"].tolist() == names
    np.testing.assert_allclose(table["p_adjusted"], table["p_value"].cummax())


HYPOTHESES = {
    f"{name} {arm}": {"analysis": name, "parameter": "ALT", "arm": arm}
    for name in ("one", "two") for arm in ("A", "B")
}  # fmt: skip


def test_a_closed_test_by_bonferroni_is_holm(ards: dict[str, pd.DataFrame]) -> None:
    holm = family_adjustment(plan(method="holm", hypotheses=HYPOTHESES), ards).table
    for weights in ({}, dict.fromkeys(HYPOTHESES, 2.0)):
        closed = family_adjustment(
            plan(method="closed", local="bonferroni", hypotheses=HYPOTHESES, weights=weights), ards
        ).table
        np.testing.assert_allclose(closed["p_adjusted"], holm["p_adjusted"], rtol=1e-12)
    hommel = family_adjustment(plan(method="hommel", family=["one", "two"]), ards).table
    simes = family_adjustment(plan(method="closed", family=["one", "two"]), ards).table
    np.testing.assert_allclose(simes["p_adjusted"], hommel["p_adjusted"], rtol=1e-12)


def test_the_families_of_the_plan_open_each_other(ards: dict[str, pd.DataFrame]) -> None:
    names = list(HYPOTHESES)
    families = {"primary": names[:2], "secondary": names[2:]}
    result = family_adjustment(
        plan(method="gatekeeping", hypotheses=HYPOTHESES, families=families,
             component=["hochberg", "holm"], truncation=0.5, alpha=0.04), ards,
    )  # fmt: skip
    p = pd.Series(result.table["p_value"].to_numpy(), result.table["hypothesis"])
    direct = lt.gatekeeping(
        p, families, component=["hochberg", "holm"], truncation=0.5, alpha=0.04
    )
    pd.testing.assert_frame_equal(result.table, direct.table)
    assert result.table["family"].tolist() == ["primary"] * 2 + ["secondary"] * 2


def test_the_level_of_the_plan_decides_rejection(ards: dict[str, pd.DataFrame]) -> None:
    hypotheses = {"B": {"analysis": "one", "arm": "B"}}
    p = family_adjustment(plan(hypotheses=hypotheses), ards).table["p_adjusted"].iloc[0]
    for alpha, rejected in ((p * 1.01, True), (p * 0.99, False)):
        result = family_adjustment(plan(hypotheses=hypotheses, alpha=float(alpha)), ards)
        assert bool(result.table["rejected"].iloc[0]) is rejected


def test_an_analysis_that_failed_is_a_hypothesis_without_a_p_value(
    ards: dict[str, pd.DataFrame],
) -> None:
    failed = ards["one"].iloc[:1].assign(frame="error")
    hypotheses = {
        "A": {"analysis": "one", "arm": "A"},
        "B": {"analysis": "two", "parameter": "AST", "arm": "B"},
    }
    table = family_adjustment(plan(**GRAPH, hypotheses=hypotheses), {**ards, "one": failed}).table
    found = table.set_index("hypothesis")
    assert np.isnan(found.loc["A", "p_value"])
    assert not found.loc["A", "rejected"]
    assert found.loc["B", "p_value"] < 1


@pytest.mark.parametrize(
    ("hypothesis", "words"),
    [
        ({"analysis": "one"}, "matches 2 p-values of analysis one"),
        ({"analysis": "two", "arm": "B"}, "matches 2 p-values of analysis two"),
        ({"analysis": "one", "arm": "C"}, "matches 0 p-values"),
        ({"analysis": "one", "where": {"dose": "1"}}, "has no column dose; it has"),
        ({"analysis": "sep", "arm": "A"}, "analysis sep has no p-value"),
    ],
)
def test_a_hypothesis_must_choose_one_p_value(
    ards: dict[str, pd.DataFrame], hypothesis: dict[str, Any], words: str
) -> None:
    with pytest.raises(lt.PlanError, match=words):
        family_adjustment(plan(hypotheses={"H": hypothesis}), ards)
