"""Tables of scores: odds ratios of a proportional-odds model, shifts from baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livertrack._views import frame_of, rows_of, term_name, variable_of
from livertrack.tables._format import count_percent, integer, interval, number, p_value
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method, _ordered


def odds_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Odds ratios of a higher score, from `proportional_odds` results."""
    columns = ("term", "odds_ratio", "odds_ratio_low", "odds_ratio_high", "p_value", "n")
    groups = []
    for result in results:
        tests = {
            str(r["term"]): r["p_value"]
            for r in rows_of(frame_of(result, "proportionality", ("term", "p_value")))
        }
        rows = [
            Row(
                term_name(str(row["term"]), arms, labels),
                (
                    integer(row["n"]),
                    interval(row["odds_ratio"], row["odds_ratio_low"], row["odds_ratio_high"]),
                    p_value(row["p_value"]),
                ),
            )
            for row in rows_of(frame_of(result, "table", columns))
        ]
        if "GLOBAL" in tests:
            rows.append(
                Row("Same ratio at every cut of the score (Brant)",
                    ("", "", p_value(tests["GLOBAL"])))
            )  # fmt: skip
        name = variable_of(result)
        groups.append(((labels or {}).get(name, name), rows))
    return Table(
        title="Odds of a higher score (proportional-odds model)",
        stub="Score and term",
        headers=("N", f"Odds ratio ({_level(results)} CI)", "p"),
        rows=grouped(groups),
        footnotes=(
            "An odds ratio above 1: higher scores. Arms are compared with the reference; other "
            "terms are covariates, per unit. N: subjects in the model.",
            *_method(results),
        ),
        empty="No model could be fitted.",
    )


def shift_summary_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Count who improved and worsened, from `shift_table` results."""
    columns = ("arm", "n", "improved", "unchanged", "worsened", "missing")
    groups = []
    for result in results:
        tests = {
            (str(r["arm"]), str(r["test"])): r["p_value"]
            for r in rows_of(frame_of(result, "tests", ("arm", "test", "p_value")))
        }
        rows = [
            Row(
                str(row["arm"]),
                (
                    integer(row["n"]),
                    *(count_percent(row[c], row["n"])
                      for c in ("improved", "unchanged", "worsened")),
                    integer(row["missing"]),
                    p_value(tests.get((str(row["arm"]), "Stuart-Maxwell"))),
                ),
            )
            for row in _ordered(frame_of(result, "summary", columns), "arm", arms)
        ]  # fmt: skip
        name = variable_of(result)
        groups.append(((labels or {}).get(name, name), rows))
    return Table(
        title="Change of a score from baseline to the visit",
        stub="Score and arm",
        headers=("N", "Improved", "Unchanged", "Worsened", "Missing", "p within the arm"),
        rows=grouped(groups),
        footnotes=(
            "N: subjects with both scores; percentages are of N. p: Stuart-Maxwell test that the "
            "scores of the arm have the same distribution at both times; it does not compare "
            "arms.",
            *_method(results),
        ),
        empty="No subject has both scores.",
    )


def kappa_table(results: Sequence[Any], *, labels: Labels | None = None) -> Table:
    """Weighted kappa of two raters, from `weighted_kappa` results."""
    columns = ("estimate", "conf_low", "conf_high", "observed", "n", "weights")
    rows = []
    for result in results:
        name = variable_of(result)
        for row in rows_of(frame_of(result, "table", columns)):
            cells = (
                integer(row["n"]), f"{number(100 * row['observed'], 0)} %",
                interval(row["estimate"], row["conf_low"], row["conf_high"]), str(row["weights"]),
            )  # fmt: skip
            rows.append(Row((labels or {}).get(name, name), cells))
    return Table(
        title="Agreement of two raters on a score",
        stub="Raters",
        headers=("N", "Same score", f"Kappa ({_level(results)} CI)", "Weights"),
        rows=tuple(rows),
        text_columns=(3,),
        footnotes=("N: subjects scored by both; kappa 1 is perfect, 0 is chance.",
                   *_method(results)),
        empty="Nobody was scored by both raters.",
    )  # fmt: skip
