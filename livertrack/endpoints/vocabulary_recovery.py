"""How well a vocabulary recovers a known truth: only simulated trials have one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._checks import require_columns, require_unique


@dataclass(frozen=True, kw_only=True)
class VocabularyRecovery(Result):
    """Agreement of label maps with a known truth; see `vocabulary_recovery` for ``table``."""

    keys: ClassVar[tuple[str, ...]] = ("method",)
    context: ClassVar[str] = "vocabulary_recovery"


def vocabulary_recovery(agreement: pd.DataFrame) -> VocabularyRecovery:
    """Say how well each method's label maps agree with the truth.

    Parameters
    ----------
    agreement : DataFrame, one row per method
        As ``livertrack.imaging.recovery`` makes it: ``method, ari, nmi, ari_interior,
        signature_error, n_scans, n_voxels``; the vocabulary of the trial comes first.

    Returns
    -------
    VocabularyRecovery
        ``.table`` is ``agreement``, unchanged.

    Notes
    -----
    ARI is the adjusted Rand index over all liver voxels of the scans compared (1: identical up to
    names, 0: chance); ``ari_interior`` leaves voxels near a border of two types out.
    Source: Hubert and Arabie (1985).
    Checked against: scikit-learn's ``adjusted_rand_score``, which computes it.
    """
    require_columns(agreement, ["method", "ari", "signature_error", "n_scans"], name="recovery")
    require_unique(agreement, ["method"], name="recovery")
    sentences = [
        f"{row['method']}: adjusted Rand index {row['ari']:.2f}, mean error of a type's share "
        f"{100 * row['signature_error']:.1f} percentage points"
        for row in agreement.to_dict("records")
    ]
    scans = int(agreement["n_scans"].max()) if len(agreement) else 0
    text = f"Against the known truth of {scans} scans: " + "; ".join(sentences) + "."
    return VocabularyRecovery(
        table=agreement.reset_index(drop=True), text=text,
        settings={"method": "adjusted Rand index against the simulated truth", "n_scans": scans},
    )  # fmt: skip
