"""Frames of DICOM files: where each lies, how it is scaled, and which belong to one volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livertrack.imaging.image_file import UnusableImage

Vector = NDArray[np.float64]

#: what tells volumes of one series apart, in the order in which it is tried
_CONTRASTS = (
    "echo_time", "kind", "time_point", "b_value", "trigger_time", "acquisition", "stack",
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """One slice.

    Attributes
    ----------
    size : (int, int)
        Rows and columns.
    spacing : (float, float)
        Between rows and between columns, mm.
    position, row, column : array (3,)
        Place of the first voxel; directions along a row and along a column (left, posterior,
        superior).
    facts : mapping
        What may tell it from other frames at the same place; ``echo_time`` in ms.
    """

    file: Path
    number: int
    series: str
    size: tuple[int, int]
    spacing: tuple[float, float]
    position: Vector
    row: Vector
    column: Vector
    thickness: float
    slope: float
    intercept: float
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def normal(self) -> Vector:
        """Direction across the slice."""
        return np.cross(self.row, self.column)

    @property
    def height(self) -> float:
        """Place along the normal, mm."""
        return float(self.position @ self.normal)

    @property
    def contrast(self) -> str:
        """What it shows, in words."""
        parts = []
        if self.facts.get("echo_time") is not None:
            parts.append(f"TE {self.facts['echo_time']:g} ms")
        if self.facts.get("kind"):
            parts.append("/".join(self.facts["kind"]))
        return " ".join(parts)


def frames_of(file: Path, data: Any) -> Iterator[Frame]:
    """Frames of a file by its header."""
    shared = _first(data, "SharedFunctionalGroupsSequence")
    own = data.get("PerFrameFunctionalGroupsSequence") or []
    count = int(data.get("NumberOfFrames", 1) or 1)
    if count > 1 and len(own) != count:
        raise UnusableImage(
            "the file does not say where its frames lie", cure="convert it to NIfTI",
            file=file.name,
        )  # fmt: skip
    for number in range(count):
        groups = [own[number]] if len(own) else []
        yield _frame(file, number, data, [*groups, *([shared] if shared is not None else [])])


def geometry(
    file: Path, data: Any, groups: Sequence[Any]
) -> tuple[Vector, Vector, Vector, tuple[float, float]]:
    """Position, row, column direction and voxel spacing of a frame.

    Raises
    ------
    ImageError
        They are not stored, or are no right angle.
    """
    position = _value(data, groups, "PlanePositionSequence", "ImagePositionPatient")
    turned = _value(data, groups, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _value(data, groups, "PixelMeasuresSequence", "PixelSpacing")
    if position is None or turned is None or spacing is None:
        cure = "export the series again, or convert it to NIfTI"
        raise UnusableImage(
            "the file does not say where its voxels lie", cure=cure, file=file.name
        )
    axes = np.array([float(value) for value in turned]).reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if not (np.abs(lengths - 1) < 1e-2).all() or abs(float(axes[0] @ axes[1])) > 1e-2:
        cure = "export the series again"
        raise UnusableImage("the axes of the image are not at right angles", cure=cure)
    axes = axes / lengths[:, None]
    place = np.array([float(value) for value in position])
    return place, axes[0], axes[1], (float(spacing[0]), float(spacing[1]))


def _frame(file: Path, number: int, data: Any, groups: Sequence[Any]) -> Frame:
    position, row, column, spacing = geometry(file, data, groups)
    scale = "PixelValueTransformationSequence"
    slope = _value(data, groups, scale, "RescaleSlope")
    intercept = _value(data, groups, scale, "RescaleIntercept")
    thickness = _value(data, groups, "PixelMeasuresSequence", "SliceThickness")
    return Frame(
        file, number, str(data.get("SeriesInstanceUID", "")), (int(data.Rows), int(data.Columns)),
        spacing, position, row, column, float(thickness or 0),
        1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept),
        _facts(data, groups),
    )  # fmt: skip


def _facts(data: Any, groups: Sequence[Any]) -> dict[str, Any]:
    echo = _value(data, groups, "MREchoSequence", "EffectiveEchoTime")
    echo = data.get("EchoTime") if echo is None else echo
    kind = _value(data, groups, "MRImageFrameTypeSequence", "FrameType") or data.get("ImageType")
    part = _value(data, groups, "MRImageFrameTypeSequence", "ComplexImageComponent")
    kinds = tuple(str(word) for word in (kind or ())[2:])
    return {
        "echo_time": None if echo is None else round(float(echo), 4),
        "kind": kinds + ((str(part),) if part else ()),
        "time_point": _value(data, groups, "FrameContentSequence", "TemporalPositionIndex")
        or data.get("TemporalPositionIdentifier"),
        "b_value": _value(data, groups, "MRDiffusionSequence", "DiffusionBValue"),
        "trigger_time": _text(data.get("TriggerTime")),
        "acquisition": _text(data.get("AcquisitionNumber")),
        "stack": _value(data, groups, "FrameContentSequence", "StackID"),
        "field": data.get("MagneticFieldStrength"),
    }


def one_stack(frames: Sequence[Frame], path: Path) -> list[list[Frame]]:
    """Group frames so that each group has one frame at a place: what may be a volume.

    Frames are told apart by series, size and direction, then, where places repeat, by echo time,
    image type, time point and so on. Groups are in order of these.
    """
    groups: dict[tuple[Any, ...], list[Frame]] = {}
    for frame in frames:
        turned = tuple(np.round(np.concatenate([frame.row, frame.column]), 3).tolist())
        key = (frame.series, frame.size, tuple(round(s, 4) for s in frame.spacing), turned)
        groups.setdefault(key, []).append(frame)
    found: list[list[Frame]] = []
    for _, group in sorted(groups.items()):
        found += _split(group, list(_CONTRASTS), path)
    return found


def _split(group: list[Frame], names: list[str], path: Path) -> list[list[Frame]]:
    places = {tuple(np.round(frame.position, 2).tolist()) for frame in group}
    if len(places) == len(group):
        return [group]
    while names:
        name, *names = names
        parts: dict[Any, list[Frame]] = {}
        for frame in group:
            parts.setdefault(frame.facts.get(name), []).append(frame)
        # a name that differs from slice to slice tells slices apart, not volumes
        if len(parts) > 1 and 2 * max(map(len, parts.values())) >= len(places):
            ordered = sorted(parts.items(), key=lambda item: str(item[0]))
            if name == "echo_time":
                ordered = sorted(parts.items(), key=lambda item: item[0] or 0.0)
            return [found for _, part in ordered for found in _split(part, names, path)]
    raise UnusableImage(
        "several slices lie at the same place",
        cure="remove repeated slices, or put each series into a folder of its own",
        file=path.name, detail=f"{len(group)} slices at {len(places)} places",
    )  # fmt: skip


def _value(data: Any, groups: Sequence[Any], sequence: str, name: str) -> Any:
    """Attribute of a frame, of all frames, or of the file, in this order; None where absent."""
    for group in groups:
        item = _first(group, sequence)
        if item is not None and item.get(name) is not None:
            return item.get(name)
    return data.get(name)


def _first(data: Any, sequence: str) -> Any:
    items = data.get(sequence)
    return items[0] if items else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
