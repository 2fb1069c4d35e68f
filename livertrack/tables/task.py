"""Tables of one image-prediction task: its cases, how networks were trained, what was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import count_percent, integer, interval, number, p_value
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.cross_validation import levels_of, oriented
from livertrack.tables.prediction import metric_name

_CONFUSION = ("model", "level", "observed", "predicted", "n")
_SPLITS = {
    "k-fold": "folds of subjects", "leave-one-site-out": "one site left out at a time",
    "temporal": "the latest subjects held out", "external": "another cohort predicted",
}  # fmt: skip


def task_data_table(result: Any, *, names: Mapping[str, str] | None = None) -> Table:
    """Subjects and rows of a task, and how many have each level of its outcome.

    ``names`` maps a level of the outcome (``"0"``, ``"1"``, ...) to what a reader calls it.
    """
    settings = result.settings
    groups = [("Cases", [
        Row("Subjects", (integer(settings.get("n_subjects")),)),
        Row("Rows (slices or scans)", (integer(settings.get("n_rows")),)),
        Row("Subjects of the published study", (integer(settings.get("n_published")),)),
    ])]  # fmt: skip
    counts = frame_of(result, "confusion", _CONFUSION)
    words = {"subject": "Subjects by outcome", "row": "Rows by outcome"}
    for level in levels_of(result):
        mine = rows_of(counts[counts["level"].astype(str) == level])
        first = mine[0]["model"] if mine else ""
        mine = [row for row in mine if row["model"] == first]
        total = sum(row["n"] for row in mine)
        rows = []
        for value in order_of([f"{row['observed']:g}" for row in mine]):
            n = sum(row["n"] for row in mine if f"{row['observed']:g}" == value)
            rows.append(Row((names or {}).get(value, value), (count_percent(n, total),)))
        if rows:
            groups.append((words.get(level, level), rows))
    return Table(
        title="Cases of the task",
        stub="Count",
        headers=("N",),
        rows=grouped(groups),
        footnotes=("Cases with an outcome that were predicted out of fold.",),
    )


def task_settings_table(result: Any) -> Table:
    """How the task was prepared, trained and evaluated, as the result states it."""
    s = result.settings
    evaluation = [
        Row("Evaluation", (_SPLITS.get(str(s.get("split")), str(s.get("split", "–"))),)),
        Row("Fits of every model", (integer(s.get("n_fits")),)),
        Row("Rows of a subject are joined by", (str(s.get("combine", "–")),)),
        Row("Resamples behind intervals", (integer(s.get("n_boot")),)),
        Row("Refits with exchanged outcomes", (integer(s.get("n_perm")),)),
        Row("Seed", (str(s.get("seed", "–")),)),
    ]
    parts = [
        ("Models", [
            Row("Networks", (", ".join(map(str, s.get("networks") or [])) or "–",)),
            Row("Baselines", (", ".join(map(str, s.get("baselines") or [])) or "–",)),
        ]),
        ("Training", _facts(s.get("training"))),
        ("Preparation of the pictures", _facts(s.get("preparation"))),
        ("Evaluation", evaluation),
    ]  # fmt: skip
    return Table(
        title="Settings of the task",
        stub="Setting",
        headers=("Value",),
        rows=grouped([(name, rows) for name, rows in parts if rows]),
        text_columns=(0,),
        footnotes=(
            "The schedule of training is fixed beforehand: no data are spent on when to stop.",
        ),
    )


def baseline_sentences(
    result: Any, *, model: str, baselines: Sequence[str], metric: str
) -> list[str]:
    """Say how a model compares with each baseline on the same folds, by subject."""
    columns = ("model_1", "model_2", "level", "metric", "estimate_1", "estimate_2", "difference",
               "conf_low", "conf_high", "p_value")  # fmt: skip
    pairs = frame_of(result, "comparison", columns)
    mine = rows_of(pairs[pairs["level"].astype(str).eq("subject")])
    sentences = []
    for row in oriented(mine, [model]):
        if str(row["metric"]) != metric or str(row["model_2"]) not in baselines:
            continue
        low, high = row["conf_low"], row["conf_high"]
        verdict = (
            "ahead" if low > 0 else "behind" if high < 0 else "not told apart by these subjects"
        )
        sentences.append(
            f"{model} minus {row['model_2']}: {metric_name(metric)} "
            f"{interval(row['difference'], low, high)}, {verdict}."
        )
    return sentences


def chance_sentence(result: Any, *, metric: str) -> str:
    """Say what the models reach after subjects exchanged their outcomes."""
    columns = ("model", "level", "metric", "estimate", "p_value", "chance")
    frame = frame_of(result, "table", columns)
    rows = [
        row for row in rows_of(frame)
        if str(row["metric"]) == metric and str(row["level"]) == "subject"
        and row["chance"] == row["chance"]
    ]  # fmt: skip
    n = integer(result.settings.get("n_perm"))
    if not rows:
        return (
            "Outcomes were not exchanged among subjects in this evaluation (n_perm = 0); the "
            "package's own tests do so for every task."
        )
    said = "; ".join(
        f"{row['model']} {number(row['chance'])} (p {_relation(row['p_value'])})" for row in rows
    )
    return (
        f"After subjects exchanged their outcomes, {n} times with everything refitted, the mean "
        f"{metric_name(metric)} was: {said}."
    )


def published_marks(result: Any, *, metric: str, level: str) -> list[tuple[str, float]]:
    """Published values of one metric and level: what they are called, and the value."""
    frame = frame_of(result, "published", ("figure", "metric", "level", "published"))
    return [
        (f"published: {row['figure']}", float(row["published"])) for row in rows_of(frame)
        if str(row["metric"]) == metric and str(row["level"]) == level
    ]  # fmt: skip


def published_pairs(result: Any) -> list[tuple[str, str]]:
    """Metrics and levels of the published figures."""
    frame = frame_of(result, "published", ("metric", "level"))
    return list(dict.fromkeys((str(row["metric"]), str(row["level"])) for row in rows_of(frame)))


def published_sources(result: Any) -> list[str]:
    """Where the published figures come from."""
    return order_of([*frame_of(result, "published", ("source",))["source"]])


def fact_table(facts: Mapping[str, Any]) -> Table:
    """Where the numbers of a task come from."""
    return Table(
        title="Where the numbers come from",
        stub="Fact",
        headers=("Value",),
        rows=tuple(Row(name, (_text(value),)) for name, value in facts.items()),
        text_columns=(0,),
    )


def _relation(p: Any) -> str:
    text = p_value(p)
    return f"{text[0]} {text[1:]}" if text[0] in "<>" else f"= {text}"


def _facts(facts: Any) -> list[Row]:
    return [
        Row(str(name).replace("_", " "), (_text(value),)) for name, value in (facts or {}).items()
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_text(part)}" for key, part in value.items())
    return str(value) if str(value) else "–"
