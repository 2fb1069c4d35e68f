"""Figures of results: what they show, their files, their colours, their empty forms."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

import livertrack as lt
from livertrack import figures
from livertrack._results import ard_result
from livertrack.errors import UsageError
from livertrack.figures._palette import TYPE_COLOURS, arm_style, ink_on, type_hatch, type_marker

ARMS = ["Placebo", "High"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def trial() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    arm = np.repeat(ARMS, 10)
    return pd.DataFrame({
        "USUBJID": [f"S{i}" for i in range(20)],
        "TRT01P": pd.Categorical(arm, categories=ARMS),
        "CHG": rng.normal(0, 1, 20) - 2 * (arm == "High"),
        "AVAL": rng.exponential(100, 20).round() + 1,
        "CNSR": (rng.uniform(size=20) > 0.6).astype(int),
    })  # fmt: skip


@pytest.fixture(scope="module")
def pathways() -> lt.Result:
    rng = np.random.default_rng(3)
    rows = []
    for number in range(16):
        arm = ARMS[number % 2]
        share = np.full((3, 3), 0.02) + rng.uniform(0, 0.01, (3, 3))
        share[1, 0] += 0.3 * (arm == "High")
        np.fill_diagonal(share, 0)
        np.fill_diagonal(share, 1 - share.sum(1))
        flow = rng.dirichlet([5, 4, 3])[:, None] * share
        rows += [
            {"USUBJID": f"S{number}", "TRT01P": arm, "AVISIT": "Week 48", "REGION": "",
             "FROMTYPE": i + 1, "TOTYPE": j + 1, "AVAL": flow[i, j]}
            for i, j in np.ndindex(3, 3)
        ]  # fmt: skip
    return lt.change_pathways(pd.DataFrame(rows), reference="Placebo", n_perm=199, seed=1)


def stored(result: lt.Result, variable: str = ""):
    return ard_result(result.to_ard(analysis="a", variable=variable))


def texts(axes) -> list[str]:
    found = [t.get_text() for ax in np.ravel(axes) for t in ax.texts]
    return [*found, *(ax.get_title(loc="left") for ax in np.ravel(axes))]


def test_a_stored_result_is_drawn_like_a_live_one(pathways: lt.Result, tmp_path: Path) -> None:
    figures.save_figure(pathways.plot(), tmp_path, "live")
    figures.save_figure(figures.plot_result(stored(pathways)), tmp_path, "stored")
    for suffix in ("svg", "png"):
        one, other = ((tmp_path / f"{n}.{suffix}").read_bytes() for n in ("live", "stored"))
        assert one == other


def test_files_hold_no_date_and_repeat_whatever_the_users_style(
    trial: pd.DataFrame, tmp_path: Path
) -> None:
    result = lt.kaplan_meier(trial)
    first = figures.save_figure(figures.kaplan_meier_curve(result), tmp_path, "a")
    with plt.style.context({"font.size": 20, "svg.hashsalt": None, "axes.grid": True}):
        second = figures.save_figure(figures.kaplan_meier_curve(result), tmp_path, "b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    svg = first[0].read_text(encoding="utf-8")
    assert "dc:date" not in svg
    assert "<text" not in svg


def test_kaplan_meier_shows_the_numbers_at_risk(trial: pd.DataFrame) -> None:
    result = lt.kaplan_meier(trial)
    curves, below = figures.kaplan_meier_curve(stored(result), arms=ARMS)
    at_zero = result.at_risk[result.at_risk["time"] == 0]["n_risk"].astype(int)
    shown = [t.get_text() for t in below.texts if t.get_position()[0] == 0]
    assert shown[1:] == [str(n) for n in at_zero]
    assert [t.get_text() for t in below.get_yticklabels()] == ARMS
    assert curves.get_ylim()[0] == 0


def test_the_star_is_on_the_planted_pathway_only(pathways: lt.Result) -> None:
    (ax,) = figures.pathway_matrix(stored(pathways))
    stars = [t.get_position() for t in ax.texts if t.get_text() == "*"]
    found = pathways.table[pathways.table["p_adjusted"] <= 0.05]
    expected = {(int(r.to_type) - 1, int(r.from_type) - 1) for r in found.itertuples()}
    assert {(round(x), round(y)) for x, y in stars} == expected
    assert (0, 1) in expected


def test_ribbons_of_an_arm_add_up_to_the_whole_liver(pathways: lt.Result) -> None:
    axes = figures.alluvial(stored(pathways), arms=ARMS)
    assert texts(axes)[-2:] == ["Placebo, N = 8", "High, N = 8"]
    for ax in axes:
        heights = [p.get_height() for p in ax.patches if hasattr(p, "get_height")]
        assert np.isclose(sum(heights), 2, atol=1e-9)


def test_the_forest_has_one_row_per_measure_and_one_panel_per_arm(trial: pd.DataFrame) -> None:
    result = lt.separation(trial, reference="Placebo", n_boot=0, seed=1)
    flat = lt.separation(trial.assign(CHG=1.0), reference="Placebo", n_boot=0, seed=1)
    axes = figures.forest(
        [stored(result, "ALT"), stored(flat, "TV02")], labels={"ALT": "ALT (U/L)"}
    )
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["ALT (U/L)", "TV02"]
    assert "not estimable" in texts(axes)
    marked = [line.get_xdata()[0] for line in axes[0].lines if line.get_marker() == "s"]
    assert marked == [result.table["g"].iloc[0]]


def test_the_flow_diagram_counts_what_the_result_counts(trial: pd.DataFrame) -> None:
    adsl = trial.assign(FASFL=["N", *["Y"] * 19])
    ax = figures.consort(stored(lt.disposition(adsl, population="FASFL")), arms=ARMS)
    shown = texts(ax)
    assert "Randomised: 20 subjects" in shown
    assert [t for t in shown if t.startswith("analysed")] == ["analysed: 9", "analysed: 10"]


def test_signatures_are_drawn_in_percent() -> None:
    rows = [
        {"USUBJID": f"S{i}", "TRT01P": ARMS[i % 2], "PARAMCD": "TV01", "AVISIT": visit, "AVAL": a}
        for i in range(6)
        for visit, a in (("Baseline", 0.2), ("Week 12", 0.3))
    ]
    summary = lt.signature_summary(pd.DataFrame(rows))
    axes = figures.signature_trajectories(stored(summary), visits=["Baseline", "Week 12"])
    line = axes.flat[0].lines[0]
    assert np.allclose(line.get_ydata(), [20, 30])


def test_prediction_figures_take_the_frames_of_the_result() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"USUBJID": [f"S{i}" for i in range(40)], "X": rng.normal(size=40)})
    data["Y"] = (data["X"] + rng.normal(0, 0.7, 40) > 0).astype(int)
    result = lt.biopsy_prediction(
        data, outcome="Y", columns=["X"], n_folds=3, n_repeats=1, n_perm=0, n_boot=99, seed=1
    )
    assert len(figures.plot_result(stored(result))) == 2
    (ax,) = figures.confusion_matrices(stored(result)).flat
    assert sum(int(t.get_text()) for t in ax.texts) == 40


EMPTY = {
    "disposition": figures.consort, "change_pathways": figures.pathway_matrix,
    "alluvial": figures.alluvial, "kaplan_meier": figures.kaplan_meier_curve,
    "separation": figures.forest, "signature_summary": figures.signature_trajectories,
    "biopsy_prediction": figures.prediction_panels, "confusion": figures.confusion_matrices,
    "bland_altman": figures.bland_altman_plot,
}  # fmt: skip


class Nothing:
    """A result none of whose frames has a row."""

    context, text, variable = "nothing", "", ""
    settings: dict = {}  # noqa: RUF012
    notes = ()
    frames: dict = {}  # noqa: RUF012


@pytest.mark.parametrize("name", EMPTY)
def test_a_figure_without_data_says_so(name: str, tmp_path: Path) -> None:
    drawn = EMPTY[name](Nothing())
    assert any(len(text) > 5 for text in texts(drawn))
    assert figures.save_figure(drawn, tmp_path, "empty")[0].stat().st_size > 0


def test_there_is_no_figure_of_an_unknown_endpoint() -> None:
    with pytest.raises(UsageError, match="nothing"):
        figures.plot_result(Nothing())


def test_label_maps_have_the_colours_of_their_types() -> None:
    labels = np.zeros((6, 5), int)
    labels[1:5, 1:4] = 2
    labels[2, 2] = 7
    ax = figures.label_map(labels, n_types=8, anatomy=np.random.default_rng(0).random((6, 5)))
    patches = ax.get_legend().get_patches()
    assert [to_rgb(p.get_facecolor()) for p in patches] == [
        to_rgb(TYPE_COLOURS[k]) for k in (1, 6)
    ]
    empty = figures.label_map(np.zeros((4, 4), int))
    assert any("No labelled liver" in text for text in texts(empty))


def test_exemplars_and_profiles_have_one_place_per_type_and_channel() -> None:
    rng = np.random.default_rng(1)
    axes = figures.exemplar_patches(rng.random((3, 6, 2, 9, 9)), channels=["IP", "OP"])
    assert axes.shape == (3, 2)
    bars = figures.intensity_profiles(rng.random((3, 2)), channels=["IP", "OP"])
    assert [len(ax.patches) for ax in bars] == [3, 3]


def _seen(colour: str, matrix: np.ndarray) -> np.ndarray:
    """Linear RGB of a colour as a dichromat sees it."""
    linear = np.array([((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92
                       for c in to_rgb(colour)])  # fmt: skip
    return np.clip(matrix @ linear, 0, 1) ** (1 / 2.2)


#: Machado, Oliveira and Fernandes (2009), severity 1
DICHROMATS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
}  # fmt: skip


@pytest.mark.parametrize("kind", DICHROMATS)
def test_the_first_eight_types_differ_for_the_colour_blind(kind: str) -> None:
    seen = [_seen(colour, np.array(DICHROMATS[kind])) for colour in TYPE_COLOURS[:8]]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[i + 1 :]]
    assert min(distances) > 0.1


def test_types_and_arms_differ_without_colour() -> None:
    assert len({type_hatch(k) for k in range(1, 9)}) == 8
    assert len({type_marker(k) for k in range(1, 9)}) == 8
    assert len({(str(arm_style(k).line), arm_style(k).marker) for k in range(6)}) == 6
    assert ink_on("#000000") == "#FFFFFF"
    assert ink_on("#F0E442") == "#000000"


def test_reasons_in_capitals_are_written_in_lower_case(trial: pd.DataFrame) -> None:
    adsl = trial.assign(EOSSTT="DISCONTINUED", DCSREAS="LOST TO FOLLOW-UP")
    shown = texts(figures.consort(stored(lt.disposition(adsl)), arms=ARMS))
    assert "  lost to follow-up: 10" in shown
