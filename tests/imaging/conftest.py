"""Small livers with a known truth."""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from livertrack.imaging import Scan, fit_vocabulary

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "analysis" / "benchmarks"))

SHAPE, SPACING = (28, 26, 12), (3.0, 3.0, 4.0)


def small_liver(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two channels, three tissues side by side, own gain: volume, liver, spleen, truth."""
    rng = np.random.default_rng(number)
    liver = np.zeros(SHAPE, bool)
    liver[3:21, 3:23, 2:10] = True
    spleen = np.zeros(SHAPE, bool)
    spleen[23:27, 8:16, 3:9] = True
    truth = np.zeros(SHAPE, np.int16)
    truth[liver] = 1
    truth[:, 10:16][liver[:, 10:16]] = 2
    truth[:, 16:][liver[:, 16:]] = 3
    clean = np.full((2, *SHAPE), 0.4)
    clean[:, spleen] = 1.0
    for kind, levels in enumerate(((1.2, 1.2), (1.2, 0.7), (0.6, 1.2)), start=1):
        for channel in range(2):
            clean[channel, truth == kind] = levels[channel]
    gain = np.exp(rng.normal(0, 0.3, (2, 1, 1, 1)))
    noisy = clean + 0.03 * rng.standard_normal(clean.shape)
    return (200 * gain * noisy).astype(np.float32), liver, spleen, truth


@pytest.fixture(scope="session")
def scans() -> list[Scan]:
    return [
        Scan(volume, liver, SPACING, spleen, subject=f"S{number}", visit="Baseline")
        for number in range(4)
        for volume, liver, spleen, _ in [small_liver(number)]
    ]


@pytest.fixture(scope="session")
def quick(scans):
    """A vocabulary of three types, trained for a moment."""
    return fit_vocabulary(scans, n_types=3, seed=5, steps=30, n_places=1200)


@pytest.fixture
def study(tmp_path) -> pd.DataFrame:
    """Images frame of two subjects at two visits, sequences IP and OP, label maps as masks."""
    affine = np.array([[-3.0, 0, 0, 40], [0, 3.0, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1.0]])
    rows = []
    for number in range(4):
        volume, liver, spleen, _ = small_liver(number)
        subject, visit = f"A-{number // 2}", ("Baseline", "Week 12")[number % 2]
        mask = tmp_path / f"scan{number}_mask.nii.gz"
        labels = (5 * liver + spleen).astype(np.uint8)
        nib.save(nib.Nifti1Image(labels, affine), mask)
        for channel, sequence in enumerate(("IP", "OP")):
            image = tmp_path / f"scan{number}_{sequence}.nii"
            nib.save(nib.Nifti1Image(volume[channel], affine), image)
            rows.append([subject, visit, 12 * (number % 2), sequence, str(image), str(mask)])
    return pd.DataFrame(
        rows, columns=["USUBJID", "AVISIT", "AVISITN", "SEQUENCE", "IMAGE", "MASK"]
    )
