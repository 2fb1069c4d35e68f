"""What the page of an image-prediction task works with: its results, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from livertrack._files import hash_file
from livertrack._results import StoredResult, ard_result
from livertrack._views import frame_of, order_of
from livertrack.report._errors import ReportError
from livertrack.report.page import Page
from livertrack.report.run import Run

#: endpoint of the result that the page is about, and the name of its file
TASK = "evaluate_task"
MAPS = "task_maps"
PRIMARY = {"binary": "auc", "ordinal": "concordance"}


@dataclass(frozen=True)
class TaskPage:
    """One evaluated task.

    Attributes
    ----------
    result : StoredResult
        Of ``lt.evaluate_task``.
    more : tuple of StoredResult
        Whatever else lies in the folder: prediction intervals, an audit of confounders.
    out : Path
        The folder.
    """

    result: StoredResult
    more: tuple[StoredResult, ...]
    out: Path

    @property
    def title(self) -> str:
        """Title of the task."""
        return str(self.result.settings.get("title") or self.result.settings["outcome"])

    @property
    def simulated(self) -> bool:
        """Whether the cases are simulated."""
        return bool(self.result.settings.get("simulated", False))

    @property
    def metric(self) -> str:
        """Metric that models are judged by first."""
        return PRIMARY.get(str(self.result.settings["task"]), "r2")

    @property
    def networks(self) -> list[str]:
        """Networks, with their mean where it was evaluated."""
        given = [*map(str, self.result.settings.get("networks") or []), "ensemble"]
        return [name for name in self.models if name in given]

    @property
    def baselines(self) -> list[str]:
        """What the networks must beat."""
        return [name for name in self.models if name not in self.networks]

    @property
    def models(self) -> list[str]:
        """All models, in the order of the result."""
        return order_of([*self.result.table["model"]])

    @property
    def leading(self) -> str:
        """Model that stands beside published figures: the mean of the networks, else their best.

        It is the one the result itself put there; the first network without published figures.
        """
        named = order_of([*frame_of(self.result, "published", ("model",))["model"]])
        if "ensemble" in self.networks:
            return "ensemble"
        chosen = [name for name in named if name in self.networks]
        return (chosen or self.networks or self.models)[0]

    @property
    def maps(self) -> StoredResult | None:
        """Examples of where the networks look, where they were made."""
        return next((r for r in self.more if r.context == MAPS), None)

    @property
    def beside(self) -> list[StoredResult]:
        """Further results that are shown as tables."""
        return [r for r in self.more if r.context != MAPS]

    @property
    def facts(self) -> dict[str, Any]:
        """What ties the page to its numbers."""
        file = self.out / "ard" / f"{TASK}.parquet"
        stated = self.out / "provenance.json"
        known = json.loads(stated.read_text(encoding="utf-8")) if stated.is_file() else {}
        plain = {
            k.replace("_", " "): v for k, v in known.items() if not isinstance(v, (dict, list))
        }
        return {
            "Task": str(self.result.settings.get("task_name", self.result.analysis)),
            "Results (SHA-256 of their file)": hash_file(file),
            "Seed": self.result.settings.get("seed", ""),
            **plain, **{str(k): str(v) for k, v in (known.get("versions") or {}).items()},
        }  # fmt: skip


def open_task(folder: str | Path) -> tuple[Page, TaskPage]:
    """Open a folder in which a task was evaluated.

    Raises
    ------
    ReportError
        It holds no evaluated task.
    """
    folder = Path(folder)
    results = read_results(folder)
    found = [r for r in results if r.context == TASK]
    if not found:
        msg = (
            f"report: {folder} holds no evaluated task; make one with "
            "`livertrack train TASK DATA --evaluate`"
        )
        raise ReportError(msg)
    more = tuple(r for r in results if r is not found[0])
    return Page(Run(out=folder, plan={}, results=tuple(results))), TaskPage(found[0], more, folder)


def read_results(folder: Path) -> list[StoredResult]:
    """Results of a folder, file by file."""
    results = []
    for file in sorted((folder / "ard").glob("*.parquet")):
        ard: Any = pd.read_parquet(file)
        for _, part in ard.groupby(["analysis", "variable"], sort=False):
            if not (part["frame"] == "error").any():
                results.append(ard_result(part))
    return results


def holds_task(folder: str | Path) -> bool:
    """Whether a folder is that of a task and not of a run."""
    folder = Path(folder)
    return (folder / "ard" / f"{TASK}.parquet").is_file() and not (folder / "plan.json").exists()
