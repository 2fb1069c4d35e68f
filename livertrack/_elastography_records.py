"""MR elastography that is not diagnostic: its stiffness leaves the records, and is counted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from livertrack.findings import Finding
from livertrack.plan import DataSettings

#: flag of an examination (1 diagnostic, 0 not, missing undecided), its probability, what it judges
FLAG, PROBABILITY, MEASURE = "MREQC", "MREQCP", "STIFF"
REASON = "MR elastography is not diagnostic"


def exclude_undiagnostic(
    records: pd.DataFrame, data: DataSettings
) -> tuple[pd.DataFrame, list[Finding]]:
    """Blank the stiffness (STIFF) of examinations that are flagged (MREQC = 0).

    AVAL and CHG of the visit become missing, in every region; where the visit is the baseline,
    BASE and CHG of the subject's other visits do. The records stay, so that subjects stay in the
    denominators and the value counts as missing. Undecided examinations (MREQC missing) keep
    their values.

    Returns
    -------
    records, findings
        A copy where something was excluded, and one warning with the count.
    """
    flags = records[records["PARAMCD"].eq(FLAG)]
    bad = flags.loc[flags["AVAL"].eq(0), ["USUBJID", "AVISIT"]]
    if bad.empty:
        return records, []
    flagged = set(zip(bad["USUBJID"], bad["AVISIT"].astype(str), strict=True))
    here = np.array([
        pair in flagged
        for pair in zip(records["USUBJID"], records["AVISIT"].astype(str), strict=True)
    ])  # fmt: skip
    measured = records["PARAMCD"].eq(MEASURE).to_numpy()
    hit = measured & here & records["AVAL"].notna().to_numpy()
    if not hit.any():
        return records, []
    out = records.copy()
    out.loc[hit, ["AVAL", "CHG"]] = np.nan
    lost = out.loc[hit & out["ABLFL"].eq("Y").to_numpy(), "USUBJID"]
    out.loc[measured & out["USUBJID"].isin(lost).to_numpy(), ["BASE", "CHG"]] = np.nan
    problem = f"{REASON} ({FLAG} = 0): {MEASURE} is left out"
    cure = "none needed; a reader may judge the examination and correct the flag"
    dataset = str(flags["DATASET"].iloc[0])
    return out, [Finding(dataset, FLAG, problem, int(hit.sum()), cure, "warning")]
