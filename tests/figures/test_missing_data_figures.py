"""Figures of tipping points, of imputed analyses and of the fit of an MMRM."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack import figures
from livertrack._results import StoredResult, ard_result

VISITS = ["Week 4", "Week 24"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    n = 60
    arm = np.arange(n) % 2
    y = rng.standard_normal((n, 2)) @ np.array([[1, 0.6], [0, 0.8]]) - 0.9 * arm[:, None]
    y[rng.random(n) < 0.3, 1] = np.nan
    return pd.DataFrame(
        {
            "USUBJID": np.repeat([f"S{i:02d}" for i in range(n)], 2),
            "TRT01P": np.repeat(np.where(arm, "Active", "Placebo"), 2),
            "AVISIT": pd.Categorical(np.tile(VISITS, n), VISITS),
            "BASE": np.repeat(rng.standard_normal(n), 2),
            "CHG": y.ravel(),
        }
    )


@pytest.fixture(scope="module")
def imputation(data: pd.DataFrame):
    return lt.impute(data, reference="Placebo", strategy="JR", n_imputations=5, seed=3)


def stored(result: lt.Result) -> StoredResult:
    return ard_result(result.to_ard(analysis="a"))


def words(axes) -> str:
    figure = figures.figure_of(axes)
    found = [t.get_text() for ax in np.ravel(axes) for t in ax.texts]
    legends = [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    return " | ".join([*found, *legends])


def test_one_way_tipping_point_is_marked_where_the_limit_crosses_zero(imputation) -> None:
    result = imputation.tipping_point(np.arange(0, 4, 0.25))
    (ax,) = figures.plot_result(stored(result))
    exact = result.tipping["tipping_exact"].iloc[0]
    assert f"tips at {exact:.3g}" in words(ax)
    upright = [line for line in ax.lines if len(set(line.get_xdata())) == 1]
    assert upright[0].get_xdata()[0] == pytest.approx(exact)
    upper = next(line for line in ax.lines if line.get_linestyle() == "--"
                 and np.allclose(line.get_ydata(), result.table["conf_high"]))  # fmt: skip
    assert np.interp(exact, upper.get_xdata(), upper.get_ydata()) == pytest.approx(0, abs=0.01)
    assert "95 % limits" in words(ax)


def test_two_way_tipping_point_draws_the_boundary(imputation) -> None:
    result = imputation.tipping_point(np.arange(-1, 4.5, 0.5), reference_deltas=[-2, -1, 1, 2])
    (ax,) = figures.plot_result(stored(result))
    assert "not significant" in words(ax)
    assert ax.get_ylabel() == "Added to imputed values of Placebo"
    exact = result.tipping.set_index("delta_reference")["tipping_exact"]
    bold = [c for c in ax.collections if np.max(c.get_linewidths(), initial=0) == 2.0]
    points = np.concatenate([p.vertices for c in bold for p in c.get_paths()])
    for reference, delta in exact.dropna().items():
        nearest = np.abs(points - [delta, reference]).sum(axis=1).min()
        assert nearest < 0.06, (reference, delta)


def test_a_result_that_never_tips_has_no_mark(imputation) -> None:
    (ax,) = figures.plot_result(imputation.tipping_point([0.0, 0.1]))
    assert "tips at" not in words(ax)


def test_an_empty_tipping_point_says_so(imputation) -> None:
    result = stored(imputation.tipping_point([0.0, 1.0]))
    empty = StoredResult(**{**vars(result), "frames": {}})
    (ax,) = figures.tipping_point_plot(empty)
    assert "No data to show" in words(ax)


def test_two_arms_have_a_panel_each_in_the_order_asked_for(data: pd.DataFrame) -> None:
    more = data[data["TRT01P"] == "Active"]
    more = more.assign(USUBJID="H" + more["USUBJID"], TRT01P="High")
    call = {"reference": "Placebo", "draws": "conditional-mean", "strategy": "MAR"}
    result = lt.impute(pd.concat([data, more]), **call).tipping_point([0, 1, 2])
    axes = figures.tipping_point_plot(result, arms=["High", "Active"])
    assert [ax.get_title(loc="left") for ax in axes] == [
        "High minus Placebo", "Active minus Placebo",
    ]  # fmt: skip


def test_an_imputed_analysis_is_drawn_as_adjusted_means(imputation) -> None:
    ax = figures.plot_result(stored(imputation.analyse()))
    assert [t.get_text() for t in ax.get_xticklabels()] == VISITS
    assert len([line for line in ax.lines if line.get_label() in ("Active", "Placebo")]) == 2


def test_a_fitted_model_plots_its_diagnostics(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, "CHG ~ TRT01P * AVISIT + us(AVISIT | USUBJID)")
    axes = fit.plot()
    assert axes.shape == (2, 2)
    titles = [ax.get_title(loc="left") for ax in axes.flat]
    assert titles == [
        "Normal scores", "Against fitted values", "By visit", "Covariance of the visits",
    ]  # fmt: skip
    dots = next(line for line in axes[0, 0].lines if line.get_marker() == "o")
    np.testing.assert_allclose(np.sort(dots.get_ydata()), np.sort(fit.residuals("normalized")))
    again = figures.plot_result(stored(lt.mmrm_diagnostics(fit)))
    np.testing.assert_array_equal(
        again[1, 1].lines[1].get_ydata(), axes[1, 1].lines[1].get_ydata()
    )


def test_a_spatial_model_says_there_is_no_covariance_over_visits(data: pd.DataFrame) -> None:
    day = data["AVISIT"].map({"Week 4": 28.0, "Week 24": 168.0}).astype(float)
    fit = lt.mmrm(data.assign(DAY=day), "CHG ~ TRT01P + sp_exp(DAY | USUBJID)")
    assert "No covariance over visits" in words(fit.plot())


def test_a_comparison_of_arms_is_still_drawn_as_adjusted_means(data: pd.DataFrame) -> None:
    fit = lt.mmrm(data, "CHG ~ TRT01P * AVISIT + us(AVISIT | USUBJID)")
    ax = fit.compare(arm="TRT01P", reference="Placebo", by="AVISIT").plot()
    assert [t.get_text() for t in ax.get_xticklabels()] == VISITS
