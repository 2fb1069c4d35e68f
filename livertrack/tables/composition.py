"""Tables of the signature as a composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livertrack._views import frame_of, order_of, rows_of
from livertrack.tables._format import integer, interval, number, p_value, percent
from livertrack.tables._table import Row, Table, grouped
from livertrack.tables.comparisons import Labels, _level, _method


def composition_table(
    result: Any, *, arms: Sequence[str] = (), labels: Labels | None = None
) -> Table:
    """Factor of each part relative to all parts, from a `composition_regression` result."""
    columns = ("arm", "part", "estimate", "conf_low", "conf_high", "p_value", "n_arm", "n_ref")
    frame = frame_of(result, "table", columns)
    shares = {
        (str(r["arm"]), str(r["part"])): r["share"]
        for r in rows_of(frame_of(result, "means", ("arm", "part", "share")))
    }
    tests = {
        str(r["arm"]): r["p_value"] for r in rows_of(frame_of(result, "tests", ("arm", "p_value")))
    }
    reference = str(result.settings.get("reference", ""))
    groups = []
    for arm in order_of([*frame["arm"]], arms):
        rows = [
            Row(
                (labels or {}).get(str(row["part"]), str(row["part"])),
                (
                    percent(shares.get((arm, str(row["part"]))), 1),
                    percent(shares.get((reference, str(row["part"]))), 1),
                    _factors(row),
                    p_value(row["p_value"]),
                ),
            )
            for row in rows_of(frame[frame["arm"].astype(str) == arm])
        ]  # fmt: skip
        rows.append(Row("All parts together (Pillai)", ("", "", "", p_value(tests.get(arm)))))
        groups.append((arm, rows))
    return Table(
        title="The signature as a composition: each part relative to all parts",
        stub="Arm and part",
        headers=("Share, arm", "Share, reference", f"Factor ({_level([result])} CI)", "p"),
        rows=grouped(groups),
        footnotes=(
            "Factor: how many times larger the part is, relative to the geometric mean of all "
            f"parts, than under {reference}; p-values of single parts are not adjusted for their "
            "number. Shares: adjusted centres (closed geometric means), which add up to 100 %.",
            *_method([result]),
        ),
        empty="No model could be fitted.",
    )


def permanova_table(results: Sequence[Any], *, labels: Mapping[str, str] | None = None) -> Table:
    """Tests of whole compositions, from `permanova` results."""
    columns = ("term", "df", "r_squared", "statistic", "p_value", "n")
    rows: list[Row] = []
    notes = []
    for result in results:
        for row in rows_of(frame_of(result, "table", columns)):
            cells = (
                integer(row["df"]), percent(row["r_squared"], 1), number(row["statistic"]),
                p_value(row["p_value"]), integer(row["n"]),
            )  # fmt: skip
            term = str(row["term"])
            rows.append(Row((labels or {}).get(term, term), cells))
        spread = rows_of(frame_of(result, "dispersion", ("arm", "mean_distance", "p_value")))
        if spread:
            listed = ", ".join(f"{r['arm']} {number(r['mean_distance'])}" for r in spread)
            notes.append(
                f"Mean distance to the centre of the arm: {listed}; equal spread: p "
                f"{_relation(spread[0]['p_value'])}. The test reacts to spread as well as to "
                "place."
            )
    return Table(
        title="Do whole signatures differ between the arms? (PERMANOVA)",
        stub="Term",
        headers=("df", "Share of the variation", "Pseudo F", "p", "N"),
        rows=tuple(rows),
        footnotes=(*notes, *_method(results)),
        empty="No test could be computed.",
    )


def _factors(row: Mapping[str, Any]) -> str:
    """Print a difference of log-ratios with its limits as the factor that it is."""
    return interval(row.get("ratio"), row.get("ratio_low"), row.get("ratio_high"))


def _relation(p: Any) -> str:
    text = p_value(p)
    return f"{text[0]} {text[1:]}" if text[:1] in "<>" else f"= {text}"
