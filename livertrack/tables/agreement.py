"""Tables of agreement and repeatability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livertrack._views import frame_of, is_type, order_of, rows_of, scale_of, variable_of
from livertrack.tables._format import (
    confidence,
    digits_for,
    integer,
    interval,
    number,
    p_value,
    row_interval,
)
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method

_ROWS = ("quantity", "estimate", "conf_low", "conf_high", "p_value", "n")


def agreement_table(results: Sequence[Any], *, labels: Labels | None = None) -> Table:
    """Bias and limits of agreement of two methods, from `bland_altman` results."""
    groups = []
    for result in results:
        name = variable_of(result)
        percent = str(result.settings.get("scale", "")) == "percent"
        scale = 1.0 if percent else scale_of(name)
        frame = frame_of(result, "table", _ROWS)
        digits = digits_for(scale * frame["estimate"].astype(float))
        rows = [
            Row(
                str(row["quantity"])[:1].upper() + str(row["quantity"])[1:],
                (
                    integer(row["n"]),
                    row_interval(row, factor, 3 if str(row["quantity"]) == "slope" else digits),
                    p_value(row["p_value"]),
                ),
            )
            for row in rows_of(frame)
            for factor in [1.0 if str(row["quantity"]) == "slope" else scale]
        ]
        methods = " minus ".join(
            (labels or {}).get(word, word)
            for word in (str(result.settings.get(f"method_{i}", "")) for i in (1, 2))
        )
        heading = (labels or {}).get(name, name)
        heading = (
            methods
            if name.startswith(f"{result.settings.get('method_1')} v ")
            else (f"{heading}{' (% of the liver)' if is_type(name) else ''}: {methods}")
        )
        groups.append((heading, rows))
    return Table(
        title="Agreement of two measurements of the same subjects",
        stub="Measure and quantity",
        headers=("N", f"Estimate ({_level(results)} CI)", "p"),
        rows=grouped(groups),
        footnotes=(
            "N: subjects with both. Bias: mean difference; the limits of agreement hold the "
            "stated share of differences; slope: of the difference on the mean. p: of no bias, no "
            "slope.",
            *_method(results),
        ),
        empty="Nobody was measured twice.",
    )


def icc_table(results: Sequence[Any], *, labels: Labels | None = None) -> Table:
    """Six intraclass correlations, from `icc` results."""
    columns = ("form", "meaning", "estimate", "conf_low", "conf_high", "n", "n_raters")
    groups = []
    for result in results:
        name = variable_of(result)
        rows = [
            Row(
                str(row["form"]),
                (
                    str(row["meaning"]), f"{integer(row['n'])} × {integer(row['n_raters'])}",
                    interval(row["estimate"], row["conf_low"], row["conf_high"]),
                ),
            )
            for row in rows_of(frame_of(result, "table", columns))
        ]  # fmt: skip
        groups.append(((labels or {}).get(name, name), rows))
    return Table(
        title="Intraclass correlation",
        stub="Measure and form",
        headers=("Meaning", "Subjects × measurements", f"ICC ({_level(results)} CI)"),
        rows=grouped(groups),
        text_columns=(0,),
        footnotes=("Subjects with every measurement.", *_method(results)),
        empty="No subject has every measurement.",
    )


def smallest_change_table(
    noise: Any,
    real: Any | None = None,
    *,
    arms: Sequence[str] = (),
    labels: Labels | None = None,
) -> Table:
    """Smallest change that is real per measure, and who exceeds it.

    Parameters
    ----------
    noise : a `repeatability` result
    real : a `real_change` result, optional
        Adds a column per arm: subjects beyond the smallest real change.
    """
    frame = frame_of(noise, "table", ("parameter", "quantity", "estimate", "conf_high", "n"))
    columns = ("parameter", "arm", "n", "fell", "rose", "changed")
    counts = frame_of(real, "table", columns) if real else None
    levels = order_of([*counts["arm"]], arms) if counts is not None else []
    beyond = {
        (str(r["parameter"]), str(r["arm"])): r
        for r in (rows_of(counts) if counts is not None else [])
    }
    rows = []
    for name in order_of([*frame["parameter"]]):
        mine = {str(r["quantity"]): r for r in rows_of(frame[frame["parameter"] == name])}
        scale, share = scale_of(name), is_type(name)
        width = mine.get("repeatability_coefficient", {})
        least = mine.get("smallest_real_change", {})
        digits = 1 if share else digits_for([scale * least.get("estimate", float("nan"))])
        cells = [
            integer(width.get("n")),
            row_interval(width, scale, digits),
            number(scale * least.get("estimate", float("nan")), digits),
        ]  # fmt: skip
        for arm in levels:
            row = beyond.get((name, arm))
            cells.append(_beyond(row) if row else "–")
        label = (labels or {}).get(name, name) + (" (%)" if share else "")
        rows.append(Row(label, tuple(cells)))
    level = confidence(noise.settings.get("conf_level", 0.95))
    coverage = confidence(noise.settings.get("coverage", 0.95))
    headers = (
        "Measured twice", f"Repeatability coefficient ({level} CI)",
        "Smallest real change", *levels,
    )  # fmt: skip
    spanners = (("Noise", 2), ("", 1), ("Subjects who changed by more", len(levels)))
    return Table(
        title="The smallest change that is real"
        + (", and how many subjects changed by more" if levels else ""),
        stub="Measure",
        headers=headers,
        spanners=spanners if levels else (),
        rows=tuple(rows),
        footnotes=(
            f"Repeatability coefficient: {coverage} of the differences between two measurements "
            "of an unchanged subject are smaller. Smallest real change: its upper confidence "
            f"limit ({level}, one-sided), so that a change beyond it is more than noise even if "
            "the noise was underestimated. Measured twice: subjects. Tissue types are in percent "
            "of the liver.",
            *(
                ("Subjects beyond it, of subjects with a change (↓ fell, ↑ rose); of unchanged "
                 "subjects at most one in twenty is expected there.",)
                if levels
                else ()
            ),
            *_method([one for one in (noise, real) if one is not None], labels),
        ),
        empty="No subject was measured twice.",
    )  # fmt: skip


def _beyond(row: Any) -> str:
    total = row["changed"]
    shown = f"{integer(total)} of {integer(row['n'])}"
    return f"{shown} ({integer(row['fell'])} ↓, {integer(row['rose'])} ↑)" if total else shown
