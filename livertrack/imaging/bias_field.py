"""The receive field of an examination: slow, multiplicative, the same for every sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk  # noqa: N813

from livertrack.imaging.reading import UnusableImage
from livertrack.imaging.scan import Bools, Floats

#: grid on which the field is estimated, mm
_COARSE = 15.0
_ITERATIONS = [10, 10]


def log_bias_field(volume: Floats, mask: Bools, spacing: Sequence[float]) -> Floats:
    """Logarithm of the field that all channels share, zero at the median of the liver.

    Parameters
    ----------
    volume : array
        (C, x, y, z), the whole image: the body around the liver shows the field best.
    mask : array
        Liver, bool (x, y, z).
    spacing : (float, float, float)
        Voxel size, mm.

    Returns
    -------
    array
        (x, y, z) float32.

    Notes
    -----
    N4 (Tustison et al. 2010; SimpleITK) on the geometric mean of the channels, at about 15 mm, in
    the body: voxels above 15 % of the liver's median in every channel. Inside the liver and the
    spleen alone, the field between the two organs could not be told from their contrast.
    """
    median = np.median(volume[:, mask], axis=1)
    level = np.maximum(median, 1e-6)[:, None, None, None]
    scaled = np.maximum(volume / level, 1e-3)
    body = (scaled > 0.15).all(axis=0) | mask
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    image = sitk.GetImageFromArray(np.exp(np.log(scaled).mean(axis=0)).astype(np.float32))
    shrink = [
        max(1, min(round(_COARSE / s), n // 6)) for s, n in zip(spacing, mask.shape, strict=True)
    ]
    small = sitk.Shrink(image, shrink[::-1])
    region = sitk.Shrink(sitk.GetImageFromArray(body.astype(np.uint8)), shrink[::-1])
    if int(sitk.GetArrayViewFromImage(region).sum()) < 30:
        return np.zeros(mask.shape, np.float32)
    correct = sitk.N4BiasFieldCorrectionImageFilter()
    correct.SetMaximumNumberOfIterations(_ITERATIONS)
    try:
        correct.Execute(small, region)
    except RuntimeError as error:
        detail = str(error).splitlines()[-1][:80]
        problem = "the bias field cannot be estimated"
        raise UnusableImage(problem, cure="fit with bias_field='none'", detail=detail) from error
    field = sitk.GetArrayFromImage(correct.GetLogBiasFieldAsImage(image))
    return np.asarray(field - np.median(field[mask]), dtype=np.float32)
