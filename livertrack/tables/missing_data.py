"""Tables of imputed analyses: what was done about intercurrent events, and tipping points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack._views import frame_of, order_of, rows_of, variable_of
from livertrack.endpoints._imputation_strategies import ASSUMPTIONS
from livertrack.tables._format import digits_for, integer, interval, number, p_value
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method

_EVENTS = ("event", "strategy", "assumption", "n_subjects", "n_observed", "n_missing")
_ESTIMATE = ("reference", "estimate", "conf_low", "conf_high", "p_value")
_TIPPING = ("delta_reference", "tipping_delta", "tipping_exact", "significant_at_zero")


def intercurrent_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Subjects with each intercurrent event by arm, and its handling (`imputation` results)."""
    groups = []
    columns: list[str] = list(arms)
    for result in results:
        arm = str(result.settings.get("arm", "arm"))
        frame = frame_of(result, "intercurrent", (*_EVENTS, arm))
        columns = order_of([*columns, *frame[arm]], arms)
        kinds = frame[["event", "strategy", "assumption"]].drop_duplicates()
        rows = []
        for kind in rows_of(kinds):
            own = frame[(frame[list(kind)] == list(kind.values())).all(axis=1)]
            counts = {str(row[arm]): row for row in rows_of(own)}
            rows.append(
                Row(
                    str(kind["event"]),
                    (handling(kind), *(_counts(counts.get(a)) for a in columns)),
                )
            )
        measure = variable_of(result)
        groups.append(((labels or {}).get(measure, measure), rows))
    return Table(
        title="Intercurrent events and what was done about them",
        stub="Event",
        headers=("Handling", *columns),
        rows=grouped(groups),
        text_columns=(0,),
        footnotes=(
            "Cells: subjects with the event (records after it that were observed / missing).",
        ),
        empty="No intercurrent event happened.",
    )


def handling(kind: Mapping[str, Any]) -> str:
    """Strategy of ICH E9(R1) and assumption in words."""
    strategy, code = str(kind["strategy"]), str(kind["assumption"])
    assumption = ASSUMPTIONS.get(code, code)
    if strategy in ("composite", "while-on-treatment"):
        return strategy.replace("-", " ")
    return f"{strategy.replace('-', ' ')}; {assumption}" if strategy else assumption


def _counts(row: Mapping[str, Any] | None) -> str:
    if row is None or not row["n_subjects"]:
        return "0"
    later = f"{integer(row['n_observed'])} / {integer(row['n_missing'])}"
    return f"{integer(row['n_subjects'])} ({later})"


def tipping_table(
    results: Sequence[Any], *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Where each difference tips when only the arm's imputed values move."""
    groups = []
    for result in results:
        arm = str(result.settings.get("arm", "arm"))
        tipping = frame_of(result, "tipping", (arm, *_TIPPING))
        table = frame_of(result, "table", (arm, "delta", "delta_reference", *_ESTIMATE))
        table = table[(table["delta"] == 0) & (table["delta_reference"] == 0)]
        at_zero = {str(row[arm]): row for row in rows_of(table)}
        digits = digits_for([*table["estimate"], *table["conf_low"], *table["conf_high"]])
        own = {str(r[arm]): r for r in rows_of(tipping[tipping["delta_reference"] == 0])}
        rows = [
            Row(
                f"{name} minus {at_zero[name]['reference']}",
                (
                    interval(
                        at_zero[name]["estimate"], at_zero[name]["conf_low"],
                        at_zero[name]["conf_high"], digits,
                    ),
                    p_value(at_zero[name]["p_value"]),
                    _tip(own[name], result.settings, digits),
                ),
            )
            for name in order_of([*own], arms)
        ]  # fmt: skip
        measure = variable_of(result)
        visit = result.settings.get("at_visit")
        heading = (labels or {}).get(measure, measure) + (f" at {visit}" if visit else "")
        groups.append((heading, rows))
    return Table(
        title="Tipping points: what must be added to imputed values of the arm",
        stub="Measure and comparison",
        headers=(f"Difference without addition ({_level(results)} CI)", "p", "Tipping point"),
        rows=grouped(groups),
        footnotes=(
            "Tipping point: the smallest addition, in either direction, with which the difference "
            "is no longer significant; nothing is added to the reference arm.",
            *_method(results),
        ),
        empty="No tipping point could be computed.",
    )


def _tip(row: Mapping[str, Any], settings: Mapping[str, Any], digits: int) -> str:
    if not row["significant_at_zero"]:
        return "not significant without addition"
    exact = row["tipping_exact"] if row["tipping_exact"] == row["tipping_exact"] else None
    if exact is None:
        deltas = [float(value) for value in settings.get("deltas", ())]
        span = f"{number(min(deltas), digits)} to {number(max(deltas), digits)}" if deltas else ""
        return f"none from {span}" if span else "none"
    return number(exact, digits)
