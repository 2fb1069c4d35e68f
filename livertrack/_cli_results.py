"""Commands on a finished run: its reports, its datasets, its rerun, its log."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import livertrack
from livertrack._cli_options import Add, pairs, report_options


def add_result_commands(add: Add) -> None:
    """Add the commands to a parser; ``add(name, function, text)`` makes a command."""
    group = add("report", None, "render the report of a run, or start a report of one's own")
    verbs = group.add_subparsers(metavar="VERB", required=True)
    sub = add("render", _report_render, "render a report of a finished run", verbs)
    sub.add_argument("run", type=Path)
    sub.add_argument("--report", metavar="NAME",
                     help="of the package, `all` of them, or a .qmd of your own")  # fmt: skip
    sub.add_argument("-P", "--parameter", action="append", default=[], metavar="NAME=VALUE",
                     help="a parameter of the report, e.g. profile=blinded")  # fmt: skip
    report_options(sub)
    sub = add("trace", _report_trace, "find the statistic behind every printed number", verbs)
    sub.add_argument("run", type=Path)
    sub.add_argument("--page", default="report.html", help="a rendered page of the run")
    sub.add_argument("--json", action="store_true")
    sub = add("init", _report_init, "copy the report sources for plain `quarto render`", verbs)
    sub.add_argument("folder", type=Path)

    sub = add("export", _export, "write the datasets of a run for a submission, with define.xml")
    sub.add_argument("run", type=Path)
    sub.add_argument("--to", type=Path, required=True, help="folder to write")
    sub.add_argument("--study", type=Path, help="where the study is now, if it moved")
    sub.add_argument("--format", nargs="+", choices=["xpt", "json"], default=["xpt", "json"])
    sub.add_argument("--drop", nargs="+", default=[], help="columns to leave out")

    sub = add("rerun", _rerun, "run again from a manifest, compare, and report what differs")
    sub.add_argument("manifest", type=Path)
    sub.add_argument("--study", type=Path, help="where the study is now, if it moved")
    sub.add_argument(
        "--new-environment",
        nargs="?",
        const="",
        metavar="DIR",
        help="in a new virtual environment of the run's own lock and code",
    )
    sub.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="where rerun-report.json and .html go; default: the run folder",
    )
    sub.add_argument("--json", action="store_true")

    sub = add("diff", _diff, "list the statistics that differ between two runs")
    sub.add_argument("first", type=Path)
    sub.add_argument("second", type=Path)
    sub.add_argument("--tolerance", type=float, default=1e-9, help="relative; default 1e-9")
    sub.add_argument("--json", action="store_true")

    group = add("audit", None, "the log of a run folder")
    verbs = group.add_subparsers(metavar="VERB", required=True)
    sub = add("verify", _audit_verify, "find edited, removed or moved lines of the log", verbs)
    sub.add_argument("run", type=Path)
    sub.add_argument("--json", action="store_true")


def _report_render(a: argparse.Namespace) -> int:
    given = pairs(a.parameter, "-P", "NAME=VALUE")
    names = livertrack.report.reports_for(a.run, given) if a.report == "all" else [a.report]
    for name in names:
        for path in livertrack.report.render_report(
            a.run, name, formats=tuple(a.format), renderer=a.renderer, params=given
        ):
            print(path)
    return 0


def _report_trace(a: argparse.Namespace) -> int:
    found = livertrack.report.trace_report(a.run, a.page)
    lost = found[~found["found"]]
    if a.json:
        print(lost.to_json(orient="records", indent=2))
    else:
        for place, printed, text in zip(lost["place"], lost["printed"], lost["text"], strict=True):
            print(f"{place}: {printed} in: {text}")
        print(f"{len(found) - len(lost)} of {len(found)} numbers traced to the results")
    return 1 if len(lost) else 0


def _report_init(a: argparse.Namespace) -> int:
    for path in livertrack.report.init_report(a.folder):
        print(path)
    return 0


def _export(a: argparse.Namespace) -> int:
    from livertrack.pipeline.export import export_run

    for path in export_run(a.run, to=a.to, study=a.study, formats=a.format, drop=a.drop):
        print(path)
    return 0


def _rerun(a: argparse.Namespace) -> int:
    from livertrack.pipeline.rerun import rerun, write_rerun_report

    report = rerun(
        a.manifest, study=a.study, new_environment=a.new_environment is not None,
        environment=a.new_environment or None,
    )  # fmt: skip
    beside = a.manifest if a.manifest.is_dir() else a.manifest.parent
    pages = write_rerun_report(report, a.report or beside)
    if a.json:
        print(pages[0].read_text(encoding="utf-8"), end="")
        return 0 if report["same"] else 1
    for kind, what in (
        ("input", report["inputs"]), ("output", report["outputs"]),
        ("difference", report["differences"]), ("version", report["versions"]),
        ("environment", (report["environment"] or {}).get("differences", ())),
        ("note", report["notes"]),
    ):  # fmt: skip
        for line in what:
            print(f"{kind}: {line}")
    counts = ", ".join(f"{n} {what}" for what, n in report["compared"].items())
    if report["same"]:
        print(f"the rerun agrees: {counts} compared")
    else:
        print(
            "not rerun: the inputs changed"
            if report["inputs"]
            else f"the rerun differs ({counts})"
        )
    print(pages[1])
    return 0 if report["same"] else 1


def _diff(a: argparse.Namespace) -> int:
    from livertrack.pipeline.difference import differences, facts_that_differ

    facts = facts_that_differ(a.first, a.second)
    found = differences(a.first, a.second, tolerance=a.tolerance)
    if a.json:
        rows = json.loads(found.to_json(orient="records"))
        print(json.dumps({"facts": facts, "statistics": rows}, indent=2))
    else:
        for line in facts:
            print(line)
        if len(found):
            print(found.to_string(index=False, na_rep=""))
        print(f"{len(found)} statistic(s) differ")
    return 1 if len(found) else 0


def _audit_verify(a: argparse.Namespace) -> int:
    from livertrack.pipeline.audit import verify

    report = verify(a.run)
    if a.json:
        print(json.dumps(report, indent=2))
    else:
        for problem in report["problems"]:
            print(problem)
        state = "intact" if report["intact"] else "broken"
        print(f"{report['events']} line(s), {state}; last hash {report['head']}")
    return 0 if report["intact"] else 1
