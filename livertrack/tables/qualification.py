"""The package's own qualification: reference numbers and simulated error rates as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from livertrack.tables._format import integer, limits, number, percent
from livertrack.tables._table import Row, Table, grouped

_VERDICTS = {
    "inside": "as promised", "conservative": "conservative", "liberal": "liberal",
    "higher": "higher than promised", "lower": "lower than promised",
    "not estimable": "not estimable",
}  # fmt: skip
_KINDS = {
    "coverage": "coverage", "type I error": "type I error", "power": "power",
    "familywise error": "familywise error", "false discovery rate": "false discoveries",
}  # fmt: skip
_BOUNDS = {"equal": "", "at most": "at most ", "at least": "at least "}


def qualification_summary(numbers: pd.DataFrame, characteristics: pd.DataFrame) -> Table:
    """How much was checked, by family, and how much of it holds."""
    families = list(dict.fromkeys([*numbers["family"], *characteristics["family"]]))
    rows = []
    for family in families:
        mine = numbers[numbers["family"] == family]
        claims = characteristics[characteristics["family"] == family]
        inside = int((claims["verdict"] == "inside").sum())
        rows.append(
            Row(
                family,
                (
                    f"{int(mine['passed'].sum())} of {len(mine)}" if len(mine) else "–",
                    f"{inside} of {len(claims)}" if len(claims) else "–",
                    *(str(int((claims["verdict"] == kind).sum())) if len(claims) else "–"
                      for kind in ("conservative", "liberal")),
                ),
            )
        )  # fmt: skip
    return Table(
        title="What was checked, by family of methods",
        stub="Family",
        headers=("Reference numbers reproduced", "Error rates as promised", "Conservative",
                 "Liberal"),
        rows=tuple(rows),
        footnotes=(
            "Conservative: an interval covers more often, a test rejects more rarely than it "
            "promises. Liberal: the contrary. Every such row has its reason in the text below.",
        ),
    )  # fmt: skip


def number_table(numbers: pd.DataFrame, family: str) -> Table:
    """Reference numbers of a family beside ours."""
    mine = numbers[numbers["family"] == family]
    groups = [
        (f"{method}: {source}", [_number_row(record) for record in part.to_dict("records")])
        for (method, source), part in mine.groupby(["method", "source"], sort=False)
    ]
    return Table(
        title=f"Reference numbers: {_lower(family)}",
        stub="Quantity",
        headers=("Reference", "livertrack", "Difference", "Tolerance"),
        rows=grouped(groups),
        empty="This family has no reference numbers.",
    )


def characteristics_table(characteristics: pd.DataFrame, family: str) -> Table:
    """Coverage and error rates of a family, with what each method promises."""
    mine = characteristics[characteristics["family"] == family]
    notes = list(dict.fromkeys(note for note in mine["note"] if note))
    marks = {note: place for place, note in enumerate(notes, start=1)}
    groups = [
        (
            f"{_capital(str(setting))}; {integer(part['n'].max())} trials",
            [_claim_row(record, marks) for record in part.to_dict("records")],
        )
        for setting, part in mine.groupby("setting", sort=False)
    ]
    missing = int(mine["n_missing"].sum())
    return Table(
        title=f"Coverage of intervals and error rates of tests: {_lower(family)}",
        stub="Interval or test",
        headers=("Function", "Promise", "Measured (SE)", "Band", "Verdict"),
        rows=grouped(groups),
        text_columns=(0, 1, 4),
        footnotes=(
            "Denominator: simulated trials in which the method gives an answer"
            + (f"; {missing} outcomes of all rows have none." if missing else " (all of them)."),
            "SE: Monte Carlo standard error, in percentage points. Band: where 99.9 % of such "
            "simulations lie if the method keeps its promise.",
            *(f"{place}. {note}" for note, place in marks.items()),
        ),
        empty="This family has no simulations.",
    )


def power_table(power: pd.DataFrame) -> Table:
    """Power of the tests of change pathways, by effect and subjects per arm."""
    columns = ("global_sum", "global_maximum", "any_flow", "any_net", "largest_flow",
               "planted_in_first_five")  # fmt: skip
    groups = [
        (
            f"Effect {number(effect, 2)}" + (": error rates" if effect == 0 else ""),
            [
                Row(f"{record['n_per_arm']} per arm",
                    tuple(percent(record[column], 0) for column in columns))
                for record in part.to_dict("records")
            ],
        )
        for effect, part in power.groupby("effect")
    ]  # fmt: skip
    trials = sorted(set(power["trials"]))
    return Table(
        title="Power of the tests of change pathways",
        stub="Subjects",
        headers=("Global, sum", "Global, maximum", "Any flow", "Any net change",
                 "Largest true flow", "Planted among first five"),
        rows=grouped(groups),
        footnotes=(
            f"Percent of {_few(trials)} simulated trials per row with p at most 5 % (flows and "
            "net changes: step-down max-T); last column: mean share.",
        ),
        empty="No power was simulated.",
    )  # fmt: skip


def separation_table(separation: pd.DataFrame) -> Table:
    """How the signature separates the arms beside other measures, by effect."""
    groups = [
        (
            f"Effect {number(effect, 2)}",
            [
                Row(
                    f"against {record['measure']}",
                    (
                        number(record["auc_signature"], 2), number(record["auc_measure"], 2),
                        number(record["auc_difference"], 2), percent(record["better"], 0),
                        percent(record["worse"], 0), percent(record["coverage"], 0),
                    ),
                )
                for record in part.to_dict("records")
            ],
        )
        for effect, part in separation.groupby("effect")
    ]  # fmt: skip
    sizes = ", ".join(str(size) for size in sorted(set(separation["n_per_arm"])))
    return Table(
        title="Separation by the cross-fitted signature score and by other measures",
        stub="Measure",
        headers=("AUC, signature", "AUC, measure", "Difference", "Better", "Worse", "Coverage"),
        rows=grouped(groups),
        footnotes=(
            f"Means over {_few(sorted(set(separation['trials'])))} simulated trials of {sizes} "
            "subjects per arm. Better, worse: the paired 95 % interval of the difference lies "
            "above or below zero. Coverage: it holds the mean difference of all trials.",
        ),
        empty="No separation was simulated.",
    )


def rerun_table(comparison: pd.DataFrame) -> Table:
    """Simulations made now beside those of the release, where they are not the same."""
    other = comparison[~comparison["same_trials"] | ~comparison["passed"]]
    rows = [
        Row(
            f"{record['scenario']}: {record['key']}",
            (
                percent(record["released"], 1), percent(record["measured"], 1),
                percent(record["tolerance"], 1), "yes" if record["same_trials"] else "no",
            ),
        )
        for record in other.to_dict("records")
    ]  # fmt: skip
    return Table(
        title="Simulations of this run that differ from the release",
        stub="Simulation",
        headers=("Release", "This run", "Tolerance", "First trials the same"),
        rows=tuple(rows),
        empty=f"None of {len(comparison)}: the first trials are the same, one by one.",
    )


def environment_table(facts: Mapping[str, Any]) -> Table:
    """Machine and versions that the reference numbers were computed with."""
    machine = [Row(_capital(key), (str(value),)) for key, value in facts["machine"].items()]
    versions = [Row(str(key), (str(value),)) for key, value in sorted(facts["versions"].items())]
    return Table(
        title="The environment of this qualification",
        stub="Fact",
        headers=("Value",),
        rows=grouped([("Machine", machine), ("Versions", versions)]),
        text_columns=(0,),
    )


def off_nominal(characteristics: pd.DataFrame) -> list[str]:
    """One sentence per method that misses its promise somewhere, with the reason."""
    outside = characteristics[characteristics["verdict"] != "inside"]
    sentences = []
    for record in outside.to_dict("records"):
        sentences.append(
            f"{record['quantity']} ({record['method']}; {record['setting']}): {record['kind']} "
            f"{percent(record['estimate'], 1)} in place of "
            f"{_BOUNDS[str(record['bound'])]}{percent(record['nominal'], 1)}, "
            f"{_VERDICTS[str(record['verdict'])]}. {record['note']}".strip()
        )
    return sentences


def _number_row(record: Mapping[Any, Any]) -> Row:
    digits = _digits(float(record["tolerance"]), float(record["published"]))
    difference = float(record["difference"])
    passed = bool(record["passed"])
    return Row(
        str(record["quantity"]),
        (
            number(record["published"], digits), number(record["value"], digits + 1),
            _small(difference) + ("" if passed else " ✗"), _small(float(record["tolerance"])),
        ),
    )  # fmt: skip


def _claim_row(record: Mapping[Any, Any], marks: Mapping[str, int]) -> Row:
    note = str(record["note"])
    mark = f" [{marks[note]}]" if note else ""
    promise = percent(record["nominal"], _places(record))
    return Row(
        f"{record['quantity']}{mark}",
        (
            str(record["method"]),
            f"{_KINDS[str(record['kind'])]} {_BOUNDS[str(record['bound'])]}{promise}",
            f"{percent(record['estimate'], 1)} ({number(100 * record['mc_error'], 1)})",
            f"{limits(100 * record['band_low'], 100 * record['band_high'], 1)} %",
            _VERDICTS[str(record["verdict"])],
        ),
    )  # fmt: skip


def _places(record: Mapping[Any, Any]) -> int:
    """Decimals of a promise in percent: 95 %, 5 %, 2.5 %."""
    return 0 if float(100 * record["nominal"]).is_integer() else 1


def _digits(tolerance: float, value: float) -> int:
    """Decimals worth showing at a tolerance: half a unit of the last published digit or finer."""
    if tolerance == 0:
        return 0
    return min(6, max(0, math.ceil(-math.log10(2 * tolerance))))


def _small(value: float) -> str:
    """Write a difference or tolerance: zero, or two digits with its power of ten."""
    if value == 0:
        return "0"
    if abs(value) < 1e-12:
        return "<1e−12"
    power = math.floor(math.log10(abs(value)))
    if power >= -3:
        return number(value, max(0, 1 - power))
    return f"{number(value / 10.0**power, 1)}e{power}".replace("e-", "e−")


def _few(counts: list[int]) -> str:
    """Write a number, or a range of numbers."""
    return "no" if not counts else " to ".join(integer(n) for n in sorted({counts[0], counts[-1]}))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
