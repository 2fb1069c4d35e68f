"""Where a task's networks look: maps of integrated gradients, as examples and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from livertrack._results import Result
from livertrack.errors import UsageError
from livertrack.tasks._task import Cases, ImageTask
from livertrack.tasks.model import Member, TaskModel

Floats = NDArray[np.float32]
#: steps of the integral: enough for a picture, few enough for all networks of a model
_STEPS = 8
#: pixels by which a map is smoothed where it is shown: single pixels are noise
_SMOOTH = 1.0


@dataclass(frozen=True, kw_only=True)
class TaskMaps(Result):
    """Examples with their maps; see `example_maps`."""

    pixels: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("example", "picture")
    context: ClassVar[str] = "task_maps"


def case_maps(task: ImageTask, members: Sequence[Member], cases: Cases) -> Floats:
    """Mean map of networks, (cases, channels, spatial axes): what speaks for a higher prediction.

    Raises
    ------
    UsageError
        The networks of the task read no pictures.
    """
    from livertrack.imaging.learning.explanation import explanation_maps

    _require_pictures(task, cases)
    total = np.zeros(cases.inputs["images"].shape, np.float64)
    for member in members:
        total += explanation_maps(
            member.network, cases.inputs, method="integrated-gradients", steps=_STEPS,
            by_channel=True,
        )  # fmt: skip
    return (total / len(members)).astype(np.float32)


def example_maps(model: TaskModel, cases: Cases, *, each: int = 2) -> TaskMaps:
    """Maps of a few cases that were predicted well and badly, by networks that never saw them.

    Parameters
    ----------
    model : TaskModel
        As `train_task` returns it, with its out-of-fold predictions.
    cases : Cases
        The cases it was trained on.
    each : int
        Cases of each kind: those nearest to their outcome, of different outcomes, and those
        farthest from it that are called wrongly.

    Returns
    -------
    TaskMaps
        ``.table``: ``example, kind`` (right, wrong), ``observed, predicted``. ``.pixels``:
        ``example, picture`` (name of a channel), ``x, y, value, map``, of the middle slice;
        the map is smoothed by a pixel.
        ``settings["axes"]``: RA where x points to the right and y to the front; blank where
        pictures are as they were stored.
    """
    known = cases.subset(cases.frame[model.task.outcome].notna().to_numpy())
    chosen = _chosen(model.out_of_fold, whole=model.task.kind != "continuous", each=each)
    names = [str(n) for n in _channels(model.task)]
    rows, parts = [], []
    for number, row in enumerate(chosen.to_dict("records"), start=1):
        keep = np.arange(len(known.frame)) == int(row["row"])
        case = known.subset(keep)
        unseen = [m for m in model.members if m.fold == int(row["fold"])]
        maps = case_maps(model.task, unseen, case)[0]
        pictures = case.inputs["images"][0]
        rows.append({
            "example": number, "kind": row["kind"], "observed": float(row["observed"]),
            "predicted": float(row["predicted"]),
        })  # fmt: skip
        for name, picture, found in zip(names, pictures, maps, strict=True):
            if picture.ndim == 3:
                middle = len(picture) // 2
                picture, found = picture[middle], found[middle]
            if not picture.any():  # a sequence that the case lacks
                continue
            found = ndimage.gaussian_filter(found, _SMOOTH)
            x, y = np.indices(picture.shape)
            parts.append(pd.DataFrame({
                "example": number, "picture": name, "x": x.ravel(), "y": y.ravel(),
                "value": picture.ravel().astype(float), "map": found.ravel().astype(float),
            }))  # fmt: skip
    right = sum(row["kind"] == "right" for row in rows)
    return TaskMaps(
        table=pd.DataFrame(rows), pixels=pd.concat(parts, ignore_index=True),
        text=(
            f"Maps of {right} case(s) that were predicted well and {len(rows) - right} that were "
            "not, by networks that never saw them."
        ),
        settings={
            "method": "integrated gradients", "steps": _STEPS, "each": each,
            "smooth_px": _SMOOTH,
            "simulated": cases.simulated,
            "axes": "RA" if "slabs" in model.task.preparation else "",
        },
    )  # fmt: skip


def write_maps(model: TaskModel, cases: Cases, data: Path, folder: Path) -> list[Path]:
    """Write a map per examination as NIfTI on the grid of its picture; returns the files."""
    _require_pictures(model.task, cases)
    if model.task.placed is None:
        msg = f"{model.task.name}: its maps have no place in a file"
        raise UsageError(msg)
    maps = case_maps(model.task, model.members, cases)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, image in model.task.placed(data, cases, maps):
        path = folder / f"{name}.nii.gz"
        nib.save(image, path)  # type: ignore[no-untyped-call]
        written.append(path)
    return written


def _require_pictures(task: ImageTask, cases: Cases) -> None:
    if "images" not in cases.inputs:
        msg = (
            f"{task.name}: its networks read features of slices, which have no place in a "
            "picture; maps are offered for mre-quality and cirrhosis"
        )
        raise UsageError(msg)


def _channels(task: ImageTask) -> Sequence[Any]:
    found: Sequence[Any] = task.preparation.get("channels") or task.preparation["sequences"]
    return found


def _chosen(held: pd.DataFrame, *, whole: bool, each: int) -> pd.DataFrame:
    """Rows that were predicted best, of different outcomes, and worst."""
    error = (held["predicted"] - held["observed"]).abs()
    rows = held.assign(error=error).sort_values(["error", "row"], kind="stable")
    right = rows[rows["error"] <= 0.5].drop_duplicates("observed") if whole else rows
    wrong = rows[rows["error"] > 0.5] if whole else rows.iloc[len(rows) // 2 :]
    wrong = wrong.iloc[::-1]
    wrong = wrong.drop_duplicates("USUBJID")
    return pd.concat([
        right.head(each).assign(kind="right"), wrong.head(each).assign(kind="wrong")
    ])  # fmt: skip
