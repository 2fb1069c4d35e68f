"""The released curves of power and separation: complete, calibrated without effect, drawn."""

import matplotlib.pyplot as plt
import pytest
from scipy.stats import binom

from livertrack.figures.power import power_curves, separation_curves
from livertrack.tables.qualification import power_table, separation_table
from livertrack.validation import released_power, released_separation

TESTS = ["global_sum", "global_maximum", "any_flow", "largest_flow", "any_net"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_every_size_and_effect_was_simulated():
    power, apart = released_power(), released_separation()
    grid = {(e, n) for e in (0.0, 0.25, 0.5, 0.75, 1.0) for n in (10, 20, 40, 75)}
    assert set(zip(power["effect"], power["n_per_arm"], strict=True)) == grid
    assert len(power) == len(grid)
    assert set(apart["measure"]) == {"ALT", "PDFF", "STIFF"}
    assert power["trials"].min() >= 125
    assert apart["trials"].min() >= 125


def test_without_effect_every_test_keeps_its_level():
    none = released_power().query("effect == 0")
    for row in none.to_dict("records"):
        most = binom.ppf(0.9995, row["trials"], 0.05) / row["trials"]
        assert all(row[test] <= most for test in TESTS)


def test_power_rises_with_subjects_and_effect():
    power = released_power()
    wide = power.pivot_table(index="effect", columns="n_per_arm", values="global_sum")
    assert (wide.loc[1.0] >= wide.loc[0.25] - 0.05).all()
    assert wide.loc[0.25, 75] > wide.loc[0.25, 10]


def test_the_paired_interval_covers_at_least_as_often_as_it_promises():
    apart = released_separation()
    least = binom.ppf(0.0005, apart["trials"], 0.95) / apart["trials"]
    assert (apart["coverage"] >= least).all()


def test_curves_show_the_numbers_of_the_table():
    power = released_power()
    axes = power_curves(power)
    lines = [line for line in axes[0, 0].lines if line.get_label().endswith("per arm")]
    assert [line.get_label() for line in lines] == [f"{n} per arm" for n in (10, 20, 40, 75)]
    drawn = lines[-1].get_ydata() / 100
    assert drawn == pytest.approx(power.query("n_per_arm == 75")["global_sum"].to_numpy())
    left, right = separation_curves(released_separation())
    names = [text.get_text() for text in left.get_legend().get_texts()]
    assert names == ["signature", "ALT", "fat fraction", "stiffness"]
    assert right.get_ylim()[1] > 100


def test_empty_curves_and_tables_have_a_form():
    power, apart = released_power()[:0], released_separation()[:0]
    power_curves(power)
    separation_curves(apart)
    assert power_table(power).empty == "No power was simulated."
    assert separation_table(apart).rows == ()


def test_tables_name_their_denominator():
    power, apart = released_power(), released_separation()
    assert f"{power['trials'].max()} simulated trials" in power_table(power).footnotes[0]
    assert "40 subjects per arm" in separation_table(apart).footnotes[0].replace("\n", " ")
    assert "per arm" in power_table(power).rows[1].stub
