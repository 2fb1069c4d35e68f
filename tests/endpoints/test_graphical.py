"""Graphical tests: the published example of Bretz et al. (2011), closed tests, Holm, sequences."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import livertrack as lt
from livertrack._results import ard_result

# Bretz et al. (2011), Biometrical Journal 53, 894-913, section 3: three doses, two endpoints
NAMES = ["H11", "H21", "H31", "H12", "H22", "H32"]
WEIGHTS = [1 / 3, 1 / 3, 1 / 3, 0, 0, 0]
GRAPH = np.array(
    [
        [0, 0.5, 0, 0.5, 0, 0],
        [1 / 3, 0, 1 / 3, 0, 1 / 3, 0],
        [0, 0.5, 0, 0, 0, 0.5],
        [0, 1, 0, 0, 0, 0],
        [0.5, 0, 0.5, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
    ]
)
P = dict(zip(NAMES, [0.1, 0.008, 0.005, 0.15, 0.04, 0.006], strict=True))


def closed_test(p, weights, matrix) -> np.ndarray:
    """Adjusted p of the closed test with weighted Bonferroni tests of every intersection."""
    p, weights, matrix = (np.asarray(v, float) for v in (p, weights, matrix))
    n = len(p)
    adjusted = np.zeros(n)
    for size in range(1, n + 1):
        for kept in combinations(range(n), size):
            w, g = weights.copy(), matrix.copy()
            for gone in set(range(n)) - set(kept):
                w_new, g_new = w.copy(), np.zeros((n, n))
                for i in range(n):
                    w_new[i] = w[i] + w[gone] * g[gone, i]
                    for k in range(n):
                        loop = g[i, gone] * g[gone, i]
                        if i != k and loop < 1:
                            g_new[i, k] = (g[i, k] + g[i, gone] * g[gone, k]) / (1 - loop)
                w_new[gone] = 0
                g_new[gone] = g_new[:, gone] = 0
                w, g = w_new, g_new
            shares = [min(1.0, p[i] / w[i]) if w[i] > 0 else 1.0 for i in kept]
            for i in kept:
                adjusted[i] = max(adjusted[i], min(shares))
    return adjusted


def test_published_example_rejects_the_published_hypotheses() -> None:
    result = lt.graphical_test(P, WEIGHTS, GRAPH, 0.025)
    table = result.table.set_index("hypothesis")
    assert table.index[table["rejected"]].tolist() == ["H21", "H31", "H32"]
    assert table["order"].dropna().to_dict() == {"H31": 1, "H21": 2, "H32": 3}
    # the graph after three rejections, as published
    last = result.steps[result.steps["step"] == 3].set_index("hypothesis")
    assert last.index.tolist() == ["H11", "H12", "H22"]
    np.testing.assert_allclose(last["weight"], [2 / 3, 0, 1 / 3])
    np.testing.assert_allclose(last.loc["H11", ["to_H12", "to_H22"]].astype(float), [2 / 3, 1 / 3])
    np.testing.assert_allclose(last.loc["H12", ["to_H11", "to_H22"]].astype(float), [0.5, 0.5])
    assert last.loc["H22", "to_H11"] == pytest.approx(1)
    assert "H31, H21, H32" in result.text


def test_adjusted_p_is_that_of_the_closed_test() -> None:
    got = lt.graphical_test(P, WEIGHTS, GRAPH).table["p_adjusted"]
    np.testing.assert_allclose(got, closed_test(list(P.values()), WEIGHTS, GRAPH), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_adjusted_p_is_that_of_the_closed_test_for_any_graph(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 5))
    matrix = rng.dirichlet(np.ones(n), n) * (rng.random((n, n)) < 0.7)
    np.fill_diagonal(matrix, 0)
    weights = rng.dirichlet(np.ones(n)) * (rng.random(n) < 0.8)
    p = rng.random(n) ** 3
    got = lt.graphical_test(p, weights, matrix).table["p_adjusted"]
    np.testing.assert_allclose(got, closed_test(p, weights, matrix), rtol=1e-9)


def test_a_full_graph_is_holm() -> None:
    p = [0.011, 0.02, 0.5, 0.012]
    full = (np.ones((4, 4)) - np.eye(4)) / 3
    got = lt.graphical_test(p, [0.25] * 4, full).table["p_adjusted"]
    np.testing.assert_allclose(got, np.asarray(lt.adjust_pvalues(p, "holm")), rtol=1e-12)


def test_a_chain_is_a_fixed_sequence() -> None:
    p = [0.01, 0.04, 0.2, 0.001]
    got = lt.graphical_test(p, [1, 0, 0, 0], np.eye(4, k=1)).table["p_adjusted"]
    np.testing.assert_allclose(got, np.asarray(lt.adjust_pvalues(p, "fixed-sequence")))


def test_rejection_follows_the_adjusted_p_at_every_level() -> None:
    adjusted = lt.graphical_test(P, WEIGHTS, GRAPH).table["p_adjusted"]
    for alpha in [*adjusted, 0.001, 0.5]:
        if alpha < 1:
            rejected = lt.graphical_test(P, WEIGHTS, GRAPH, alpha).table["rejected"]
            assert (rejected == (adjusted <= alpha)).all()


def test_order_of_hypotheses_and_form_of_input_do_not_matter() -> None:
    want = lt.graphical_test(P, WEIGHTS, GRAPH).table.set_index("hypothesis")["p_adjusted"]
    turned = NAMES[::-1]
    frame = pd.DataFrame(GRAPH, NAMES, NAMES)
    got = lt.graphical_test(
        {name: P[name] for name in turned}, dict(zip(NAMES, WEIGHTS, strict=True)), frame
    ).table.set_index("hypothesis")["p_adjusted"]
    pd.testing.assert_series_equal(got.loc[NAMES], want)
    sparse = {a: {b: frame.loc[a, b] for b in NAMES if frame.loc[a, b]} for a in NAMES}
    again = lt.graphical_test(P, WEIGHTS, sparse).table["p_adjusted"]
    np.testing.assert_allclose(again, want)


def test_a_missing_p_is_never_rejected_and_hands_nothing_on() -> None:
    result = lt.graphical_test([np.nan, 0.001], [1, 0], [[0, 1], [0, 0]])
    assert np.isnan(result.table["p_adjusted"][0])
    assert result.table["p_adjusted"][1] == 1
    assert not result.table["rejected"].any()
    assert result.notes


def test_graphs_that_are_no_graphs_are_refused_with_all_reasons() -> None:
    with pytest.raises(lt.UsageError, match=r"sum to at most 1.*row sums.*diagonal"):
        lt.graphical_test([0.1, 0.2], [0.7, 0.7], [[0.5, 0.8], [0, 0]])
    with pytest.raises(lt.UsageError, match="square"):
        lt.graphical_test([0.1, 0.2], [0.5, 0.5], [[0, 1]])
    with pytest.raises(lt.UsageError, match="no p-value for H9"):
        lt.graphical_test([0.1, 0.2], {"H1": 1, "H9": 0}, np.zeros((2, 2)))
    with pytest.raises(lt.UsageError, match="alpha"):
        lt.graphical_test([0.1], [1], [[0]], 5)


def test_ard_gives_both_frames_back() -> None:
    result = lt.graphical_test(P, WEIGHTS, GRAPH, 0.025)
    back = ard_result(result.to_ard())
    pd.testing.assert_frame_equal(
        back.table[result.table.columns], result.table, check_dtype=False
    )
    assert len(back.frames["steps"]) == len(result.steps)
