"""Quality of MR elastography: whether a slice, and an examination, is fit to be measured.

After Nieves-Vazquez et al. (2024): slices of the elastogram with its confidence map, five
published architectures, eight folds of patients, a vote of the folds' networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage, stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from livertrack.endpoints.abstention import abstention
from livertrack.endpoints.cross_validation.learners import Tabular
from livertrack.imaging.learning.settings import Jitter, Shapes, Training
from livertrack.simulate.elastography import LEAST_CONFIDENCE, simulate_elastograms
from livertrack.simulate.staging_files import MARKER
from livertrack.tasks._elastogram_files import (
    placed_maps,
    read_examinations,
    write_examinations,
)
from livertrack.tasks._task import Cases, ImageTask

#: pixels of a network's picture; kPa that stiffness is cut at; percentile of a magnitude that is 1
SIZE, STIFFEST, BRIGHT = 32, 10.0, 95.0
#: slices of an examination that is simulated: 914 of 90 patients were published
SLICES = 10
#: accuracy wanted among examinations that are decided
TARGET = 0.95
ARCHITECTURES = ("resnet18", "resnet34", "resnet50", "squeezenet", "mobilenet_v2")
#: first-order features of the confidence map, over the body
FIRST_ORDER = ("CMEAN", "CSD", "CP10", "CP50", "CP90", "CSKEW", "CKURT", "CSHARE")
_SOURCE = "Nieves-Vazquez et al. (2024), test set; 90 patients, 914 slices"


def read_cases(folder: Path | str) -> Cases:
    """Cases of a folder (layout: `read_examinations`): a row per slice, three channels.

    Channels: magnitude over its 95th percentile, confidence, stiffness up to 10 kPa over 10 kPa
    (undefined: 0), each averaged onto 32 x 32 pixels. Columns of the baselines: ``MEAN`` (mean
    magnitude) and first-order features of the confidence over the body.
    """
    folder = Path(folder)
    frame, pictures = read_examinations(folder)
    return cases_of(frame, pictures, simulated=(folder / MARKER).is_file())


def cases_of(
    frame: pd.DataFrame, pictures: list[dict[str, NDArray[np.float32]]], *, simulated: bool
) -> Cases:
    """Cases of slices in memory: ``MAGNITUDE, CONFIDENCE, STIFFNESS`` (x, y) of every row."""
    measures = pd.DataFrame([_measures(p) for p in pictures])
    images = np.stack([_channels(p) for p in pictures])
    whole = pd.concat([frame.reset_index(drop=True), measures], axis=1)
    return Cases.of(whole, {"images": images}, simulated=simulated)


def simulate_cases(n: int, *, seed: int, slices: int = SLICES) -> Cases:
    """Cases of ``n`` simulated examinations between good and bad, without files."""
    frame, images = simulate_elastograms(n, seed=seed, slices=slices, graded=True)
    pictures = [
        {"MAGNITUDE": i.magnitude, "CONFIDENCE": i.confidence, "STIFFNESS": i.stiffness}
        for i in images
    ]
    return cases_of(frame.assign(AVISIT="Baseline"), pictures, simulated=True)


def simulate(folder: Path, n: int, seed: int) -> Path:
    """Write ``n`` simulated examinations of ten slices in the task's layout."""
    frame, images = simulate_elastograms(n, seed=seed, slices=SLICES, graded=True)
    return write_examinations(Path(folder), frame, images, seed=seed)


@dataclass(frozen=True)
class MajorityVote:
    """An examination is what most networks say it is; near the threshold a reader decides.

    So does he where the vote and the mean probability disagree. The band is chosen on out-of-fold
    predictions of the training cases (see `abstention`).
    """

    target: float = TARGET

    def learn(self, predictions: pd.DataFrame) -> dict[str, Any]:
        """Band outside which the target was reached."""
        found = abstention(predictions, target=self.target).table.iloc[0]
        names = ("low", "high", "share_decided", "accuracy", "accuracy_all")
        plain = {name: round(float(found[name]), 12) for name in names}
        # a band without end leaves everybody undecided, and nobody to be right about
        plain |= {"low": max(plain["low"], 0.0), "high": min(plain["high"], 1.0)}
        return {name: None if np.isnan(value) else value for name, value in plain.items()}

    def apply(self, subjects: pd.DataFrame, facts: Mapping[str, Any]) -> pd.DataFrame:
        """Add ``diagnostic`` (vote), ``decided``, ``DECISION`` and the flag ``MREQC``."""
        voted = subjects["votes"].gt(0.5) | (
            subjects["votes"].eq(0.5) & subjects["predicted"].ge(0.5)
        )
        decided = ~subjects["predicted"].between(facts["low"], facts["high"])
        decided &= voted.eq(subjects["predicted"].ge(0.5))
        words = np.where(voted, "diagnostic", "not diagnostic")
        return subjects.assign(
            diagnostic=voted.astype(int), decided=decided,
            DECISION=np.where(decided, words, "undecided"),
            MREQC=voted.astype(float).where(decided),
        )  # fmt: skip


def _channels(pictures: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    magnitude = np.nan_to_num(pictures["MAGNITUDE"])
    stiffness = np.clip(np.nan_to_num(pictures["STIFFNESS"]), 0, STIFFEST) / STIFFEST
    level = float(np.percentile(magnitude, BRIGHT))
    parts = [
        magnitude / level if level > 0 else magnitude, np.nan_to_num(pictures["CONFIDENCE"]),
        stiffness,
    ]  # fmt: skip
    return np.stack([_onto(part) for part in parts]).astype(np.float32)


def _onto(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over blocks onto SIZE x SIZE; other sizes by linear interpolation after smoothing."""
    picture = np.asarray(picture, np.float64)
    factor = np.array(picture.shape) / SIZE
    if (factor == factor.astype(int)).all():
        a, b = factor.astype(int)
        return np.asarray(picture.reshape(SIZE, a, SIZE, b).mean(axis=(1, 3)), np.float32)
    smooth = ndimage.gaussian_filter(picture, np.maximum(factor - 1, 0) / 2)
    places = [(np.arange(SIZE) + 0.5) * f - 0.5 for f in factor]
    grid = np.meshgrid(*places, indexing="ij")
    found = ndimage.map_coordinates(smooth, grid, order=1, mode="nearest")
    return np.asarray(found, np.float32)


def _measures(pictures: Mapping[str, NDArray[np.float32]]) -> dict[str, float]:
    magnitude = np.nan_to_num(pictures["MAGNITUDE"])
    body = magnitude > 0.25 * np.percentile(magnitude, BRIGHT)
    seen = np.nan_to_num(pictures["CONFIDENCE"])[body].astype(float)
    if not len(seen):
        seen = np.zeros(1)
    spread = float(seen.std())
    low, middle, high = np.percentile(seen, [10, 50, 90])
    return {
        "MEAN": float(magnitude.mean()), "CMEAN": float(seen.mean()), "CSD": spread,
        "CP10": float(low), "CP50": float(middle), "CP90": float(high),
        "CSKEW": float(stats.skew(seen)) if spread > 0 else 0.0,
        "CKURT": float(stats.kurtosis(seen)) if spread > 0 else 0.0,
        "CSHARE": float((seen >= LEAST_CONFIDENCE).mean()),
    }  # fmt: skip


def _build(name: str, shapes: Shapes, outputs: int) -> Any:
    from livertrack.imaging.learning.architectures import build

    return build(name, channels=shapes["images"][0], outputs=outputs)


def _schedule(epochs: int, *, batch: int = 32, rate: float = 1e-3) -> Training:
    return Training(epochs=epochs, batch=batch, rate=rate, augment=Jitter(shift=2, gain=0.05))


def _logistic(columns: tuple[str, ...]) -> Tabular:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return Tabular(pipeline, columns, grid={"logisticregression__C": [0.01, 0.1, 1.0]})


_PUBLISHED = pd.DataFrame(
    [
        ("accuracy, SqueezeNet, vote of eight folds", "accuracy", "row", "squeezenet", 0.92),
        ("accuracy, lowest single network", "accuracy", "row", "", 0.69),
        ("accuracy, highest single network", "accuracy", "row", "", 0.85),
    ],
    columns=["figure", "metric", "level", "model", "published"],
).assign(source=_SOURCE)

TASK = ImageTask(
    name="mre-quality", title="Quality of MR elastography", outcome="DIAGNOSTIC", kind="binary",
    networks={name: partial(_build, name) for name in ARCHITECTURES},
    training=_schedule(3),
    # without normalisation a gentle rate, with depthwise filters more and larger steps
    schedules={
        "squeezenet": _schedule(8, rate=5e-4), "mobilenet_v2": _schedule(3, batch=16, rate=3e-3),
    },
    baselines={"mean intensity": _logistic(("MEAN",)), "first-order": _logistic(FIRST_ORDER)},
    preparation={
        "channels": ["magnitude", "confidence", "stiffness"], "size": [SIZE, SIZE],
        "stiffest_kpa": STIFFEST, "bright_percentile": BRIGHT,
    },
    read=read_cases, simulate=simulate, published=_PUBLISHED, n_published=90, n_folds=8,
    decision=MajorityVote(), deployed=("squeezenet",),
    paramcd="MREQCP", further=lambda found, _: {"abstention": abstention(found.predictions)},
    records={
        ("MREQCP", "Probability that MR elastography is diagnostic"): lambda f: f["predicted"],
        ("MREQC", "MR elastography is diagnostic"):
            lambda f: f["MREQC"],
    },
    placed=placed_maps,
)  # fmt: skip
