"""A small simulated trial from nothing to its report."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from livertrack.pipeline.ledger import Ledger
from livertrack.pipeline.progress import Progress
from livertrack.pipeline.run import RunSummary, run_study

#: subjects per arm of the demo
N_PER_ARM = 15
#: subjects of the demo whose baseline scan is made twice
RESCANS = 9


def demo(
    out: str | Path = "demo",
    *,
    seed: int = 20261121,
    formats: Sequence[str] = ("html",),
    renderer: Literal["auto", "embedded", "quarto"] = "auto",
) -> RunSummary:
    """Simulate a trial in ``out/study``, run its plan in ``out/results``; safe to repeat.

    The images, biopsies, labs and events are simulated; the report says so on its first page.
    """
    from livertrack.simulate import simulate_trial

    out = Path(out)
    study = out / "study"

    def simulate() -> None:
        if study.exists():
            shutil.rmtree(study)
        simulate_trial(study, n_per_arm=N_PER_ARM, rescans=RESCANS, seed=seed, workers=-1)

    bar = Progress(show=True)
    bar.start("simulating a trial of three arms and three visits")
    facts = {"seed": seed, "n": N_PER_ARM, "rescans": RESCANS}
    Ledger(out).step("simulate", facts, [study / "plan.yaml"], simulate)
    bar.close()
    return run_study(study, out=out / "results", formats=formats, renderer=renderer, progress=True)
