"""The page of an image-prediction task and the report of predictions, made from results alone."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import livertrack as lt
from livertrack import figures, tables
from livertrack._files import write_parquet
from livertrack._results import StoredResult
from livertrack.report import ReportError, load_run, open_task, render_report
from livertrack.tasks.evaluate import TaskResult


def evaluated(kind: Any = "binary", *, simulated: bool = True) -> TaskResult:
    """A task result whose "networks" are quick models: the page cannot tell."""
    rng = np.random.default_rng(3)
    n, per = 60, 2
    value = np.repeat(rng.normal(size=n), per)
    stage = np.clip(np.round(value + 1), 0, 2)
    y = {"binary": (value > 0).astype(float), "ordinal": stage, "continuous": 3 + value}[kind]
    frame = pd.DataFrame({
        "USUBJID": np.repeat([f"SECRET-{i:03d}" for i in range(n)], per), "QUALITY": y,
        "A": value + rng.normal(0, 0.5, n * per), "MEAN": rng.normal(size=n * per),
    })  # fmt: skip
    model: Any = LogisticRegression() if kind == "binary" else Ridge()
    models = {"resnet18": lt.Tabular(model, ["A"]), "squeezenet": lt.Tabular(model, ["A", "MEAN"]),
              "mean intensity": lt.Tabular(model, ["MEAN"])}  # fmt: skip
    found = lt.cross_validate(
        frame, outcome="QUALITY", models=models, task=kind, n_folds=3, n_boot=99, n_perm=3, seed=1
    )
    metric = {"binary": "accuracy", "ordinal": "accuracy", "continuous": "r"}[kind]
    published = pd.DataFrame([{
        "figure": "Majority vote of eight models", "metric": metric, "level": "subject",
        "model": "resnet18", "published": 0.92, "source": "Nieves-Vazquez 2024", "ours": 0.9,
        "conf_low": 0.8, "conf_high": 0.95, "n_subjects": n, "simulated": simulated,
    }])  # fmt: skip
    settings = {
        **found.settings, "task_name": "mre-quality", "title": "Quality of MR elastography",
        "simulated": simulated, "networks": ["resnet18", "squeezenet"],
        "baselines": ["mean intensity"], "training": {"epochs": 8, "rate": 1e-3},
        "preparation": {"size": [64, 64], "channels": ["confidence"]}, "n_published": 90,
    }  # fmt: skip
    shown = {f.name: getattr(found, f.name) for f in fields(found)}
    return TaskResult(**{**shown, "settings": settings}, published=published)


def written(out: Path, result: TaskResult) -> Path:
    write_parquet(out / "ard" / "evaluate_task.parquet", result.to_ard(analysis="mre-quality"))
    return out


def seen(page: Path) -> str:
    text = re.sub(r"<(style|script|svg).*?</\1>", " ", page.read_text("utf-8"), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


@pytest.fixture(scope="module")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = written(tmp_path_factory.mktemp("task"), evaluated())
    render_report(out)
    return out


def test_the_page_of_a_task_needs_no_run_and_says_what_is_simulated(task_folder: Path) -> None:
    text = seen(task_folder / "report.html")
    assert text.index("Simulated data") < text.index("In brief")
    assert "Ours, simulated data" in text
    for chapter in (
        "Question and cases",
        "Models and evaluation",
        "Performance",
        "Networks against baselines",
        "Published figures",
        "Checks",
        "Provenance",
    ):
        assert chapter in text
    assert "SECRET" not in text


def test_networks_stand_beside_baselines_and_published_figures(task_folder: Path) -> None:
    folder = task_folder / "tables"
    pairs = (folder / "baselines-subject.csv").read_text()
    assert "resnet18 v mean intensity" in pairs
    assert "resnet18 v squeezenet" not in pairs
    published = (folder / "published.csv").read_text().splitlines()
    assert "0.92,0.90 (0.80 to 0.95),resnet18,Nieves-Vazquez 2024" in published[1]
    cases = (folder / "cases.csv").read_text()
    assert "Subjects,60" in cases
    assert "Rows (slices or scans),120" in cases


def test_numbers_of_the_task_page_are_those_of_the_result(task_folder: Path) -> None:
    result = open_task(task_folder)[1].result
    row = result.table.query("model == 'resnet18' and level == 'row' and metric == 'auc'").iloc[0]
    shown = f"{row['estimate']:.2f} ({row['conf_low']:.2f} to {row['conf_high']:.2f})"
    assert shown in (task_folder / "tables" / "performance-row.csv").read_text()


def test_a_pair_the_other_way_round_is_turned_with_its_sign() -> None:
    result = evaluated()
    last = {"mean intensity": "a", "resnet18": "z"}
    turned = result.comparison.replace({"model_1": last, "model_2": last})
    swapped = turned.assign(
        model_1=turned["model_2"], model_2=turned["model_1"], difference=-turned["difference"],
        conf_low=-turned["conf_high"], conf_high=-turned["conf_low"],
        estimate_1=turned["estimate_2"], estimate_2=turned["estimate_1"],
    )  # fmt: skip
    texts = [
        tables.baseline_sentences(replace(result, comparison=pairs), model="z", baselines=["a"],
                                  metric="auc")
        for pairs in (turned, swapped)
    ]  # fmt: skip
    assert texts[0] == texts[1]
    assert texts[0][0].endswith(", ahead.")
    shown = tables.model_comparison_table(replace(result, comparison=swapped), first=["z"])
    assert [row.stub for row in shown.rows if not row.cells] == ["z v squeezenet", "z v a"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ordinal", "continuous"])
def test_other_kinds_of_outcome_have_their_figures(kind: str, tmp_path: Path) -> None:
    out = written(tmp_path, evaluated(kind, simulated=False))
    render_report(out)
    assert (out / "figures" / "agreement.svg").is_file()
    assert (out / "figures" / "confusion-subject.svg").is_file() == (kind == "ordinal")
    assert "imulated" not in seen(out / "report.html")


@pytest.mark.parametrize("kind", ["binary", "ordinal", "continuous"])
def test_figures_of_a_task_draw_every_kind_of_outcome(kind: str) -> None:
    result = evaluated(kind)
    for level in ("subject", "row"):
        axes = figures.cross_validation_panels(result, level=level, models=["resnet18"])
        assert len(np.ravel(axes)) == (2 if kind == "binary" else 1)
    points = figures.observed_against_predicted(result, model="resnet18")
    assert len(points.lines[-1].get_xdata()) == 120
    metric = {"binary": "auc", "ordinal": "concordance"}.get(kind, "r2")
    forest = figures.model_forest(result, metric=metric, published=[("published", 0.9)])
    assert [t.get_text() for t in forest.get_yticklabels()][-1] == "published"
    if kind != "continuous":
        drawn = figures.confusion_matrices(result, observed="Observed", models=["resnet18"])
        assert np.ravel(drawn)[0].get_ylabel() == "Observed"
    plt.close("all")


def test_every_frame_of_a_further_result_is_a_table_but_rows_of_subjects() -> None:
    result = evaluated("continuous")
    found = lt.prediction_interval(result.predictions)
    shown = dict(tables.frame_tables(found, title="Prediction intervals"))
    assert list(shown) == ["table"]
    frames = dict(tables.frame_tables(result, title="Task"))
    assert "predictions" not in frames
    assert frames["folds"].title == "Task: folds"
    assert len(frames["folds"].rows) == 9


def test_a_folder_without_a_task_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no evaluated task"):
        open_task(tmp_path)


def test_predictions_of_a_run_are_told_in_the_order_of_tripod(
    run_folder: Path, tmp_path: Path
) -> None:
    for name in ("ard", "adam"):
        shutil.copytree(run_folder / name, tmp_path / name)
    for name in ("plan.json", "provenance.json"):
        shutil.copy(run_folder / name, tmp_path / name)
    files = render_report(tmp_path, "biopsy-prediction")
    assert files[0].name == "biopsy-prediction.html"
    text = seen(files[0])
    order = ["In brief", "Questions of prediction", "Flow of subjects", "Predictors, by analysis",
             "Missing data", "Out-of-fold", "Limitations and use", "Items of TRIPOD+AI",
             "Where the numbers come from"]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places[1:5] == sorted(places[1:5])
    assert places[6:] == sorted(places[6:])
    result = load_run(run_folder).find("biopsy_prediction")[0]
    row = result.table.query("metric == 'auc' and feature_set == 'signature'").iloc[0]
    assert f"{row['estimate']:.2f} ({row['conf_low']:.2f} to" in text
    assert "SECRET" not in text
    assert (tmp_path / "tables" / "biopsy-prediction" / "tripod.csv").is_file()


def test_published_accuracies_stand_beside_ours_and_only_beside_the_same_question():
    table = pd.DataFrame({
        "feature_set": ["signature", "fat"], "metric": "accuracy", "estimate": [0.7, 0.6],
        "conf_low": 0.5, "conf_high": 0.8, "n_subjects": 45,
    })  # fmt: skip
    sets = {"signature": ["TV01", "TV02"], "fat": ["PDFF"]}

    def asked(outcome, context="biopsy_prediction"):
        settings = {"outcome": outcome, "feature_sets": sets, "conf_level": 0.9}
        return StoredResult("a", outcome, context, {"table": table}, "", settings, ())

    found = tables.published_prediction_table([asked("NASH")], simulated=True)
    assert [row.cells[:3] for row in found.rows] == [
        ("0.85", "0.70 (0.50 to 0.80)", "signature"), ("0.78", "0.60 (0.50 to 0.80)", "fat"),
    ]  # fmt: skip
    assert "simulated" in found.headers[1]
    assert "90 %" in found.headers[1]
    assert "no estimate" in found.footnotes[0]
    others = [asked("FIBROSIS"), asked("NASH", "cross_validate")]
    assert not tables.published_prediction_table(others, simulated=False).rows
    events = pd.DataFrame({
        "model": "cox", "metric": "auc", "horizon": [3.0, 5.0], "estimate": [0.8, 0.9],
        "conf_low": 0.7, "conf_high": 0.95,
    })  # fmt: skip
    result = StoredResult("b", "DEATH", "prognosis", {"table": events}, "", {}, ())
    row = tables.published_prediction_table([result], simulated=False).rows[0]
    assert row.cells[:3] == ("0.93", "0.90 (0.70 to 0.95)", "cox, at 5")
