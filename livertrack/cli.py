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
from livertrack._cli_options import pairs, report_options, scheduler_option
from livertrack._cli_results import add_result_commands
from livertrack._cli_tasks import add_task_commands
from livertrack.errors import LivertrackError


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
    scheduler_option(sub)
    report_options(sub)
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
    scheduler_option(sub)

    add_task_commands(add)

    add_result_commands(add)

    sub = add("replicate", _replicate, "test on a second cohort what the run of a first one found")
    sub.add_argument("study", type=Path, help="study folder of the second cohort")
    sub.add_argument("--frozen", type=Path, required=True, help="run folder of the first cohort")
    sub.add_argument("--out", type=Path, required=True)
    sub.add_argument("--top", type=int, help="take this many flows, significant or not")
    sub.add_argument("--arm", nargs="*", default=[], metavar="FIRST=SECOND",
                     help="arms whose names differ")  # fmt: skip
    sub.add_argument("--format", nargs="*", choices=["html", "pdf", "docx"], default=["html"])
    sub.add_argument("--json", action="store_true")

    sub = add("validate", _validate, "reproduce the package's reference numbers")
    sub.add_argument("--out", type=Path, help="folder for the qualification report")
    sub.add_argument("--simulate", action="store_true", help="repeat the simulations (minutes)")
    sub.add_argument("--quick", action="store_true", help="of each only the first trials")
    report_options(sub)
    sub.add_argument("--json", action="store_true")

    sub = add("demo", _demo, "simulate a small trial, run its plan, render its report")
    sub.add_argument("--out", type=Path, default=Path("demo"))
    sub.add_argument("--seed", type=int, default=20261121)
    report_options(sub)
    return parser


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


def _replicate(a: argparse.Namespace) -> int:
    arms = pairs(a.arm, "--arm", "FIRST=SECOND")
    found = livertrack.replicate(
        a.study, frozen=a.frozen, out=a.out, choose="top" if a.top else "significant",
        top=a.top or 5, arms=arms, formats=a.format, progress=not a.json,
    )  # fmt: skip
    if a.json:
        print(json.dumps({name: json.loads(result.table.to_json(orient="records"))
                          for name, result in found.items()}, indent=2))  # fmt: skip
    else:
        for name, result in found.items():
            print(f"{name}: {result.text}")
        print(a.out / "manifest.json")
    return 0


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
