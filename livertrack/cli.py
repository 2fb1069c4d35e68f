"""The command line.

Exit codes: 0 fine, 1 findings or a rerun that differs, 2 usage, 3 plan, 4 environment.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import livertrack
from livertrack._cli_tasks import add_task_commands
from livertrack.errors import LivertrackError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if (
        words[:1] == ["report"]
        and words[1:2]
        and words[1] not in {"init", "render", "trace", "-h", "--help"}
    ):
        words.insert(1, "render")  # `livertrack report OUT` is short for `report render OUT`
    arguments = _parser().parse_args(words)
    try:
        return int(arguments.command(arguments))
    except LivertrackError as error:
        if getattr(arguments, "json", False):
            print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        print(f"livertrack: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("livertrack: interrupted; run the same command again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="livertrack",
        description="Tissue vocabularies of liver MRI and the trial statistics around them.",
    )
    parser.add_argument("--version", action="version", version=livertrack.__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, function: Any, text: str, parent: Any = commands
    ) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = parent.add_parser(name, help=text, description=text)
        command.set_defaults(command=function)
        return command

    sub = add("simulate", _simulate, "write a simulated trial with a known truth")
    sub.add_argument("study", type=Path, help="folder to write; must not exist")
    sub.add_argument("--seed", type=int, default=20261121)
    sub.add_argument("--n-per-arm", type=int, default=15)
    sub.add_argument("--effect", type=float, default=1.0, help="0: all arms follow placebo")
    sub.add_argument("--prefix", default="SIM", help="beginning of the subject identifiers")

    sub = add("check", _check, "list everything that is wrong with a study")
    sub.add_argument("study", type=Path)
    sub.add_argument("--json", action="store_true")

    sub = add("run", _run, "run the plan of a study")
    sub.add_argument("study", type=Path)
    sub.add_argument("--out", type=Path, required=True)
    _scheduler_option(sub)
    _report_options(sub)
    sub.add_argument("--json", action="store_true")

    group = add("vocabulary", None, "fit or show a tissue vocabulary")
    verbs = group.add_subparsers(metavar="VERB", required=True)
    sub = add("fit", _vocabulary_fit, "learn a vocabulary from the scans of a study", verbs)
    sub.add_argument("study", type=Path)
    sub.add_argument("--out", type=Path, required=True, help="vocabulary.safetensors to write")
    sub = add("show", _vocabulary_show, "describe the types of a vocabulary", verbs)
    sub.add_argument("vocabulary", type=Path)
    sub.add_argument("--json", action="store_true")

    sub = add("signatures", _signatures, "label scans with a vocabulary and count their types")
    sub.add_argument("study", type=Path, nargs="?", help="study folder; or --image and --mask")
    sub.add_argument("--image", type=Path, nargs="+", help="one file per sequence of one scan")
    sub.add_argument("--mask", type=Path)
    sub.add_argument("--liver-label", type=int, help="value of the liver in the mask")
    sub.add_argument("--reference-label", type=int, help="value of a reference tissue (spleen)")
    sub.add_argument("--vocabulary", type=Path, help="a frozen vocabulary; else one is fitted")
    sub.add_argument("--n-types", type=int, default=6)
    sub.add_argument("--seed", type=int, default=1)
    sub.add_argument("--out", type=Path, required=True)
    _scheduler_option(sub)

    add_task_commands(add)

    group = add("report", None, "render the report of a run, or start a report of one's own")
    verbs = group.add_subparsers(metavar="VERB", required=True)
    sub = add("render", _report_render, "render a report of a finished run", verbs)
    sub.add_argument("run", type=Path)
    sub.add_argument("--report", metavar="NAME",
                     help="of the package, `all` of them, or a .qmd of your own")  # fmt: skip
    sub.add_argument("-P", "--parameter", action="append", default=[], metavar="NAME=VALUE",
                     help="a parameter of the report, e.g. profile=blinded")  # fmt: skip
    _report_options(sub)
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

    sub = add("replicate", _replicate, "test on a second cohort what the run of a first one found")
    sub.add_argument("study", type=Path, help="study folder of the second cohort")
    sub.add_argument("--frozen", type=Path, required=True, help="run folder of the first cohort")
    sub.add_argument("--out", type=Path, required=True)
    sub.add_argument("--top", type=int, help="take this many flows, significant or not")
    sub.add_argument("--arm", nargs="*", default=[], metavar="FIRST=SECOND",
                     help="arms whose names differ")  # fmt: skip
    sub.add_argument("--format", nargs="*", choices=["html", "pdf", "docx"], default=["html"])
    sub.add_argument("--json", action="store_true")

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

    sub = add("validate", _validate, "reproduce the package's reference numbers")
    sub.add_argument("--out", type=Path, help="folder for the qualification report")
    sub.add_argument("--simulate", action="store_true", help="repeat the simulations (minutes)")
    sub.add_argument("--quick", action="store_true", help="of each only the first trials")
    _report_options(sub)
    sub.add_argument("--json", action="store_true")

    sub = add("demo", _demo, "simulate a small trial, run its plan, render its report")
    sub.add_argument("--out", type=Path, default=Path("demo"))
    sub.add_argument("--seed", type=int, default=20261121)
    _report_options(sub)
    return parser


def _scheduler_option(parser: argparse.ArgumentParser) -> None:
    text = "Dask scheduler whose workers do the scans, e.g. tcp://host:8786"
    parser.add_argument("--scheduler", metavar="ADDRESS", help=text)


def _report_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--format", nargs="*", choices=["html", "pdf", "docx"], default=["html"])
    sub.add_argument("--renderer", choices=["auto", "embedded", "quarto"], default="auto")


def _simulate(a: argparse.Namespace) -> int:
    trial = livertrack.simulate_trial(
        a.study, n_per_arm=a.n_per_arm, effect=a.effect, seed=a.seed, prefix=a.prefix
    )
    print(trial.path)
    return 0


def _check(a: argparse.Namespace) -> int:
    findings = livertrack.check_study(a.study)
    if a.json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            print(finding)
        errors = sum(finding.severity == "error" for finding in findings)
        print(f"{errors} error(s), {len(findings) - errors} warning(s)")
    return 1 if findings else 0


def _run(a: argparse.Namespace) -> int:
    from livertrack.pipeline.cluster import scheduler

    with scheduler(a.scheduler):
        summary = livertrack.run_study(
            a.study, out=a.out, formats=a.format, renderer=a.renderer, progress=not a.json
        )
    return _finish(summary, as_json=a.json)


def _finish(summary: Any, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(summary.as_dict(), indent=2))
    else:
        for analysis, reason in summary.failed.items():
            print(f"not estimable: {analysis}: {reason}", file=sys.stderr)
        for path in (*summary.reports, summary.out / "manifest.json"):
            print(path)
    return 1 if summary.failed else 0


def _vocabulary_fit(a: argparse.Namespace) -> int:
    from livertrack.pipeline.vocabulary import fit_study_vocabulary

    vocabulary = fit_study_vocabulary(a.study)
    vocabulary.save(a.out)
    print(a.out)
    return 0


def _vocabulary_show(a: argparse.Namespace) -> int:
    from livertrack.pipeline.vocabulary import describe_hierarchy, describe_vocabulary

    table = describe_vocabulary(a.vocabulary)
    if a.json:
        print(table.to_json(orient="records", indent=2))
        return 0
    print(table.to_string(index=False))
    print("\nTypes merged one by one:")
    print(describe_hierarchy(a.vocabulary).to_string(index=False))
    return 0


def _signatures(a: argparse.Namespace) -> int:
    from livertrack.pipeline.cluster import scheduler
    from livertrack.pipeline.vocabulary import label_scan, label_study

    if a.study is not None:
        with scheduler(a.scheduler):
            files = label_study(a.study, vocabulary=a.vocabulary, out=a.out)
    else:
        files = label_scan(
            a.image, a.mask, vocabulary=a.vocabulary, out=a.out, seed=a.seed, n_types=a.n_types,
            liver_label=a.liver_label, reference_label=a.reference_label,
        )  # fmt: skip
    for path in files:
        print(path)
    return 0


def _report_render(a: argparse.Namespace) -> int:
    wrong = [pair for pair in a.parameter if "=" not in pair]
    if wrong:
        msg = f"-P takes NAME=VALUE, got {' '.join(wrong)}"
        raise UsageError(msg)
    given = dict(pair.split("=", 1) for pair in a.parameter)
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


def _replicate(a: argparse.Namespace) -> int:
    pairs = [pair.split("=", 1) for pair in a.arm]
    if any(len(pair) != 2 for pair in pairs):
        msg = f"--arm takes FIRST=SECOND, got {' '.join(a.arm)}"
        raise UsageError(msg)
    found = livertrack.replicate(
        a.study, frozen=a.frozen, out=a.out, choose="top" if a.top else "significant",
        top=a.top or 5, arms=dict(pairs), formats=a.format, progress=not a.json,
    )  # fmt: skip
    if a.json:
        print(json.dumps({name: json.loads(result.table.to_json(orient="records"))
                          for name, result in found.items()}, indent=2))  # fmt: skip
    else:
        for name, result in found.items():
            print(f"{name}: {result.text}")
        print(a.out / "manifest.json")
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


def _validate(a: argparse.Namespace) -> int:
    from livertrack.pipeline.validate import validate

    found = validate(
        out=a.out, simulate=a.simulate, quick=a.quick, formats=a.format, renderer=a.renderer
    )
    if a.json:
        numbers = found.numbers.to_dict("records")
        simulated = [] if found.comparison is None else found.comparison.to_dict("records")
        print(json.dumps([*numbers, *simulated], indent=2))
    else:
        print(found.numbers.to_string(index=False))
        if found.comparison is not None:
            print(found.comparison.to_string(index=False))
        for path in found.reports:
            print(path)
    return 0 if found.passed else 1


def _demo(a: argparse.Namespace) -> int:
    from livertrack.pipeline.demo import demo

    return _finish(demo(a.out, seed=a.seed, formats=a.format, renderer=a.renderer), as_json=False)


if __name__ == "__main__":
    sys.exit(main())
