"""Tables of a rerun: what was compared and how far apart it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livertrack.tables._format import MISSING, integer
from livertrack.tables._table import Row, Table

_KINDS = {"statistics": "Results (ard/)", "dataset": "Datasets", "page": "Pages", "file": "Files"}


def rerun_verdict(report: Mapping[str, Any]) -> str:
    """Verdict of a rerun in one or two sentences."""
    where = (
        "in a new environment built from the run's own lock and code"
        if report["environment"]
        else "in the present environment"
    )
    if report["verdict"] == "not rerun":
        return (
            f"Not rerun: {len(report['inputs'])} input file(s) changed since the run, so that the "
            "results cannot be expected to be the same."
        )
    counts = report["compared"]
    statistics, datasets, files = (
        _count(counts[kind], name)
        for kind, name in (
            ("statistics", "statistic"), ("datasets", "dataset"), ("files", "other file")
        )
    )  # fmt: skip
    compared = f"{statistics}, {datasets} and {files}"
    if report["verdict"] == "agrees":
        return f"The rerun agrees. {compared} of a rerun {where} equal those of the run."
    altered = len(report["outputs"])
    n = report.get("n_differences", len(report["differences"]))
    parts = [f"{n} difference(s) in {compared}"] if n else []
    parts += [f"{altered} output file(s) altered since the run"] if altered else []
    return f"The rerun {where} differs: {' and '.join(parts)}."


def rerun_summary(report: Mapping[str, Any]) -> Table:
    """Which run, with what tolerance, and how many statistics and files were compared."""
    run, tolerance, files = report["run"], report["tolerance"], report["files"]
    rows = [
        Row("Study", (run["study"],)),
        Row("Plan (SHA-256)", (run["plan_hash"],)),
        Row("Manifest (SHA-256)", (run["manifest"],)),
        Row("Seed", (str(run["seed"]),)),
    ]
    for kind, name in (("statistics", "Statistics"), ("dataset", "Cells of datasets"),
                       ("page", "Pages"), ("file", "Other files")):  # fmt: skip
        found = [entry for entry in files if entry["kind"] == kind]
        n, same, other = (
            sum(entry[key] for entry in found) for key in ("compared", "identical", "different")
        )
        text = (
            f"{n} compared: {same} identical, {n - same - other} within tolerance, {other} beyond"
        )
        rows.append(Row(name, (text,)))
    return Table(
        title="The rerun in numbers", stub="Item", headers=("Value",), rows=tuple(rows),
        text_columns=(0,),
        footnotes=(
            f"Numbers count as equal up to a relative difference of {tolerance['relative']:g} "
            f"(absolute: {tolerance['absolute']:g}); text must be equal; files are compared by "
            f"{tolerance['files']}, pages by {tolerance['pages']}. Identical: to the last bit.",
        ),
    )  # fmt: skip


def files_table(report: Mapping[str, Any]) -> Table:
    """Every result and dataset; other files by folder."""
    rows: list[Row] = []
    for kind, name in _KINDS.items():
        found = [entry for entry in report["files"] if entry["kind"] == kind]
        if found:
            rows.append(Row(name))
            rows += [
                Row(
                    entry["file"],
                    (
                        integer(entry["compared"]), integer(entry["identical"]),
                        integer(entry["different"]), _relative(entry["largest"], kind),
                    ),
                    indent=True,
                )
                for entry in (_by_folder(found) if kind == "file" else found)
            ]  # fmt: skip
    return Table(
        title="Files of the run beside those of the rerun", stub="File",
        headers=("Compared", "Identical", "Different", "Largest relative difference"),
        rows=tuple(rows),
        footnotes=("Compared: statistics of results, cells of datasets, else files.",),
    )  # fmt: skip


def largest_table(report: Mapping[str, Any]) -> Table:
    """Largest differences of numbers, within the tolerance or not."""
    rows = tuple(
        Row(entry["what"], (
            _full(entry["first"]), _full(entry["second"]), _relative(entry["relative"], ""),
        ))
        for entry in report["largest"]
    )  # fmt: skip
    return Table(
        title="Largest differences between numbers of the run and of the rerun", stub="Number",
        headers=("Run", "Rerun", "Relative difference"), rows=rows,
        empty="None: every number is identical to the last bit.",
    )  # fmt: skip


def environment_table(report: Mapping[str, Any]) -> Table:
    """Machine and interpreter of both, and what was installed."""
    then, now = report["machine"]["then"], report["machine"]["now"]
    rows = [
        Row(name.capitalize(), (str(then.get(name, MISSING)), str(now.get(name, MISSING))))
        for name in sorted(set(then) | set(now))
    ]
    made = report["environment"]
    if made:
        recorded = f"{made['packages']} locked"
        unlike = len(made["differences"])
        found = "as locked" if not unlike else f"{unlike} not as recorded"
        rows += [
            Row("Packages", (recorded, found)),
            Row("Python", (report["run"]["python"], made["python"])),
            Row("Code of livertrack", (report["run"]["code"], made["code"])),
            Row("Wheel (SHA-256)", (made["wheel"], made["wheel"])),
        ]
    return Table(
        title="Machine and software", stub="Item", headers=("Run", "Rerun"), rows=tuple(rows),
        text_columns=(0, 1),
        footnotes=(f"The environment took {made['seconds']:g} s to build.",) if made else (),
    )  # fmt: skip


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _by_folder(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    folders: dict[str, dict[str, Any]] = {}
    for entry in entries:
        head, slash, _ = entry["file"].partition("/")
        total = folders.setdefault(
            head + slash,
            {"file": head + slash, "compared": 0, "identical": 0, "different": 0, "largest": 0.0},
        )
        for key in ("compared", "identical", "different"):
            total[key] += entry[key]
    return list(folders.values())


def _relative(value: float | None, kind: str) -> str:
    if kind in ("page", "file"):
        return MISSING
    if value is None:
        return "∞"
    return "0" if value == 0 else f"{value:.1e}".replace("-", "−")


def _full(value: float | None) -> str:
    return MISSING if value is None else repr(value).replace("-", "−")
