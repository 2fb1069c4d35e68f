"""Collect published SAS PROC MIXED numbers on fev_data into mmrm_sas.csv.

Usage: python mmrm_sas.py <checkout of openpharma/mmrm, 0.3.18> <output folder>

The source is the folder ``design`` of the R package mmrm (Apache-2.0), which keeps the output
that SAS wrote. SAS stops at a relative change of 1e-8: its numbers are exact to about 1e-4 where
the likelihood is flat.
"""

import re
import sys
from pathlib import Path

import pandas as pd

STRUCTURES = {
    "us": "us",
    "toep": "toep",
    "toeph": "toeph",
    "ar1": "ar1",
    "arh1": "ar1h",
    "cs": "cs",
    "csh": "csh",
    "adh": "adh",
    "spexp": "sp_exp",
}
rows = []


def add(kind, structure, name, estimate, se=None, df=None):
    rows.append([kind, structure, name, estimate, se, df])


design = Path(sys.argv[1]) / "design"
for sas, ours in STRUCTURES.items():
    for prefix, kind in (("kr", "kenward-roger"), ("kr1", "kenward-roger-linear")):
        # the two files of sp(exp) carry each other's name (see ddfm_covtype.R)
        prefix = {"kr": "kr1", "kr1": "kr"}[prefix] if sas == "spexp" else prefix
        row = pd.read_csv(design / f"ddfm_covtype/{prefix}_{sas}.csv").iloc[0]
        add(kind, ours, "TRT - PBO", row["Estimate"], row["StdErr"], row["DF"])
    for suffix, kind in (("", "empirical"), ("_weighted", "empirical weighted")):
        row = pd.read_csv(design / f"Robust/empirical_{sas}{suffix}_lsmean.csv").iloc[0]
        add(kind, ours, "TRT - PBO", row["Estimate"], row["StdErr"])
for number in (1, 2):
    for kind in (2, 3):
        for _, row in pd.read_csv(design / f"anova/test{kind}_{number}.csv").iterrows():
            add(
                f"anova {kind} {number}",
                "ar1",
                row["Effect"],
                row["FValue"],
                row["NumDF"],
                row["DenDF"],
            )
for path in sorted((design / "SAS").glob("sas_*ml.txt")):
    found = re.fullmatch(
        r"sas_(group_)?(adh|ar1|ar1h|cs|csh|toeph|sp_exp2|sp_exp)_(ml|reml)", path.stem
    )
    if found:
        grouped, structure, method = found.groups()
        history = re.findall(r"^\s+\d+\s+\d+\s+(\d+\.\d{8})", path.read_text(), re.M)
        kind = f"deviance {method}{' grouped' if grouped else ''}"
        add(kind, structure, "-2 log-likelihood", float(history[-1]))
table = pd.DataFrame(rows, columns=["kind", "structure", "name", "estimate", "se", "df"])
table.to_csv(Path(sys.argv[2]) / "mmrm_sas.csv", index=False, float_format="%.15g")
