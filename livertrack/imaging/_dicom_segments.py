"""DICOM segmentations as label maps: voxels hold the number of their segment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livertrack.imaging._dicom_frames import geometry
from livertrack.imaging.image_file import LPS_TO_RAS, Header, UnusableImage, volume_shape

_SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


def is_segmentation(data: Any) -> bool:
    """Whether a file is a segmentation."""
    return str(data.get("SOPClassUID", "")) in _SEGMENTATION


def open_segmentation(data: Any, path: Path, max_voxels: int) -> Header:
    """Header of a segmentation: the box of the slices it stores.

    Raises
    ------
    ImageError
        Frames without a place or at uneven distances. On loading: segments that overlap.
    """
    shared = data.get("SharedFunctionalGroupsSequence") or []
    own = data.get("PerFrameFunctionalGroupsSequence") or []
    if not len(own):
        cure = "export it again, or convert it to NIfTI"
        raise UnusableImage(
            "the file does not say where its frames lie", cure=cure, file=path.name
        )
    placed = [geometry(path, data, [groups, *shared]) for groups in own]
    _, row, column, spacing = placed[0]
    normal = np.cross(row, column)
    heights = np.array([float(position @ normal) for position, *_ in placed])
    step = _distance(own, shared, heights)
    index = (heights - heights.min()) / step
    if np.abs(index - np.rint(index)).max() > 0.05:
        raise UnusableImage(
            "the slices are not evenly spaced", cure="export it again", file=path.name
        )
    number = np.rint(index).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([row * spacing[1], column * spacing[0], normal * step]).T
    affine[:3, 3] = placed[int(heights.argmin())][0]
    size = (int(data.Columns), int(data.Rows), int(number.max()) + 1)
    shape = volume_shape(size, path, max_voxels)
    segments = [_segment(groups, shared) for groups in own]

    def load() -> NDArray[Any]:
        return _label_map(path, data, shape, number, segments)

    return Header(path, shape, np.asarray(LPS_TO_RAS @ affine), load, boxed=True)


def _label_map(
    path: Path,
    data: Any,
    shape: tuple[int, int, int],
    number: NDArray[np.int_],
    segments: list[int | None],
) -> NDArray[np.float32]:
    from livertrack.imaging.dicom import pixels_of

    labels = np.zeros(shape, np.float32)
    frames = pixels_of(path)
    half = float(data.get("MaximumFractionalValue", 1)) / 2
    for values, place, segment in zip(frames, number, segments, strict=True):
        layer = labels[:, :, place]
        if segment is None:  # a label map stores the numbers themselves
            layer[...] = values.T
            continue
        inside = half < values.T
        if ((layer > 0) & inside & (layer != segment)).any():
            cure = "export one organ, or a label map"
            raise UnusableImage("segments overlap", cure=cure, file=path.name, column="MASK")
        layer[inside] = segment
    return labels


def _distance(own: Any, shared: Any, heights: NDArray[np.float64]) -> float:
    """Distance of neighbouring slices, mm: as stated, or the smallest seen."""
    apart = np.diff(np.unique(np.round(heights, 3)))
    stated = 0.0
    for groups in (own[0], *shared):
        for measures in groups.get("PixelMeasuresSequence") or []:
            names = ("SpacingBetweenSlices", "SliceThickness")
            stated = stated or float(measures.get(names[0]) or measures.get(names[1]) or 0)
    if not len(apart):
        return stated or 1.0
    times = apart / stated if stated else np.zeros(1)
    even = stated > 0 and np.abs(times - np.rint(times)).max() <= 0.05 and times.min() > 0.5
    return stated if even else float(apart.min())


def _segment(groups: Any, shared: Any) -> int | None:
    for part in (groups, *shared):
        found = part.get("SegmentIdentificationSequence")
        if found:
            return int(found[0].ReferencedSegmentNumber)
    return None
