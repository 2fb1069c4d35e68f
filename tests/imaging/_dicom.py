"""Small DICOM files with a known content."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def uid(word):
    return generate_uid(entropy_srcs=["livertrack", word])


def dataset(kind=MR, *, series="one", name="x"):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = kind
    meta.MediaStorageSOPInstanceUID = uid(f"{series}{name}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    data.Modality, data.PatientName, data.PatientID = "MR", "", ""
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study"), uid(series)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    return data


def write_series(
    folder: Path, values: np.ndarray, affine: np.ndarray, *, slope=1.0, intercept=0.0,
    series="one", skip=(), shuffle=3, **facts,
) -> list[Path]:  # fmt: skip
    """Write stored values (x, y, z) whose voxels lie as a NIfTI affine says, a file per slice."""
    folder.mkdir(parents=True, exist_ok=True)
    lps = np.diag([-1, -1, 1, 1]) @ affine
    size = np.linalg.norm(lps[:3, :3], axis=0)
    axes = lps[:3, :3] / size
    assert np.cross(axes[:, 0], axes[:, 1]) @ axes[:, 2] > 0, "slices ascend along their normal"
    files = []
    order = np.random.default_rng(shuffle).permutation(values.shape[2])
    for number, z in enumerate(order):
        if z in skip:
            continue
        data = dataset(series=series, name=str(z) + str(facts))
        data.Rows, data.Columns = values.shape[1], values.shape[0]
        data.PixelSpacing = [float(size[1]), float(size[0])]
        data.SliceThickness = float(size[2])
        data.ImageOrientationPatient = [float(v) for v in (*axes[:, 0], *axes[:, 1])]
        data.ImagePositionPatient = [float(v) for v in (lps @ [0, 0, z, 1])[:3]]
        data.RescaleSlope, data.RescaleIntercept = slope, intercept
        for name, value in facts.items():
            setattr(data, name, value)
        data.PixelData = np.ascontiguousarray(values[:, :, z].T.astype(np.uint16)).tobytes()
        files.append(folder / f"{series}{number:03d}{len(list(folder.iterdir()))}.dcm")
        data.save_as(files[-1], enforce_file_format=True)
    return files


def item(**values):
    data = pydicom.Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def write_frames(
    path: Path, frames: np.ndarray, affine: np.ndarray, places, *, kind=ENHANCED_MR, slopes=None,
    segments=None,
):  # fmt: skip
    """Write a multi-frame file; ``frames`` is (frame, x, y), ``places`` the slice of each."""
    lps = np.diag([-1, -1, 1, 1]) @ affine
    size = np.linalg.norm(lps[:3, :3], axis=0)
    axes = lps[:3, :3] / size
    data = dataset(kind)
    data.NumberOfFrames = len(frames)
    data.Rows, data.Columns = frames.shape[2], frames.shape[1]
    measures = item(
        PixelSpacing=[float(size[1]), float(size[0])], SliceThickness=float(size[2]),
        SpacingBetweenSlices=float(size[2]),
    )  # fmt: skip
    turned = item(ImageOrientationPatient=[float(v) for v in (*axes[:, 0], *axes[:, 1])])
    data.SharedFunctionalGroupsSequence = Sequence(
        [item(PixelMeasuresSequence=Sequence([measures]), PlaneOrientationSequence=[turned])]
    )
    own = []
    for number, z in enumerate(places):
        place = item(ImagePositionPatient=[float(v) for v in (lps @ [0, 0, z, 1])[:3]])
        group = item(PlanePositionSequence=Sequence([place]))
        if slopes is not None:
            scale = item(RescaleSlope=slopes[number], RescaleIntercept=0, RescaleType="US")
            group.PixelValueTransformationSequence = Sequence([scale])
        if segments is not None:
            which = item(ReferencedSegmentNumber=int(segments[number]))
            group.SegmentIdentificationSequence = Sequence([which])
        own.append(group)
    data.PerFrameFunctionalGroupsSequence = Sequence(own)
    if kind == SEGMENTATION:
        data.Modality, data.SegmentationType = "SEG", "BINARY"
        data.BitsAllocated = data.BitsStored = 1
        data.HighBit = 0
        flat = frames.transpose(0, 2, 1).astype(np.uint8).ravel()
        bits = np.packbits(flat, bitorder="little").tobytes()
        data.PixelData = bits + bytes(len(bits) % 2)
    else:
        data.PixelData = frames.transpose(0, 2, 1).astype(np.uint16).tobytes()
    data.save_as(path, enforce_file_format=True)
    return path
