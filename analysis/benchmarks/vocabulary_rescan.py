"""Does a type's proportion come back when nothing but the scan has changed?

    OMP_NUM_THREADS=1 python analysis/benchmarks/vocabulary_rescan.py [--real FOLDER]

Simulated: subjects scanned twice without any change of tissue, the second time on another scanner
(gain per sequence, receive field, blur, noise), in another breath-hold, with a T1 that varies by
5 %. The vocabulary is learned from other subjects. Real (FOLDER: img_totalseg_mr_liver): one scan
and copies of it with another gain, receive field, exponent, blur and noise (`Scanner.view`); the
vocabulary is learned from the scan as it is.

Per type: mean proportion, ICC(2,1) of the two scanners and SD between subjects (simulated; one
real subject has none), within-subject SD and coefficient of variation, and the adjusted Rand index
between label maps of real copies. A type that all subjects have alike (vessels) has no ICC worth
the name, however well it is found again, and a rare type has a large CV by nature: read the SDs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import adjusted_rand_score

import livertrack as lt
from livertrack.imaging import Scan, fit_vocabulary, read_scan, signatures
from livertrack.imaging.augment import Scanner
from livertrack.simulate import ScanSettings, simulate_subject
from livertrack.simulate.scanner import draw_scanner

SEQUENCES = ("IP", "OP", "HBP")
TYPES = 8


def rescans(seed: int, number: int) -> list[Scan]:
    """One subject on two scanners, in two breath-holds."""
    rng = np.random.default_rng([seed, number])
    found = []
    for visit in ("Baseline", "Again"):
        scanner = draw_scanner(rng, visit, SEQUENCES, ScanSettings())
        visits = {"Baseline": 0, "Again": 0}
        subject = simulate_subject(seed, number, visits=visits, scanner=scanner)
        s = subject.scans[visit]
        found.append(
            Scan(
                s.volume, s.mask == 5, s.spacing, s.mask == 1, s.affine, sequences=SEQUENCES,
                subject=f"S{number}", visit=visit, visit_number=float(visit == "Again"),
            )
        )  # fmt: skip
    return found


def copies(scan: Scan, number: int) -> list[Scan]:
    """Copies of a scan as other scanners would have made them."""
    draw = torch.Generator().manual_seed(number)
    volume = torch.from_numpy(np.ascontiguousarray(scan.volume, np.float32))
    level = torch.from_numpy(np.median(scan.volume[:, scan.mask], axis=1)).view(-1, 1, 1, 1)
    spread = torch.from_numpy(scan.volume[:, scan.mask].std(axis=1)).float() / level.flatten()
    view = Scanner(level_alone=0.15).view(volume / level.float(), spread.float(), draw)
    changed = (view * level).float().numpy()
    return [
        Scan(
            changed, scan.mask, scan.spacing, scan.reference, scan.affine,
            subject="S1", visit=f"Copy {number}", visit_number=float(number),
        )
    ]  # fmt: skip


def table_of(records: pd.DataFrame, name: str, *, raters: bool) -> pd.DataFrame:
    """Mean, ICC and within-subject SD and CV of each type, whole liver."""
    whole = records[records["REGION"] == ""]
    spread = lt.repeatability(whole).table.pivot_table(
        index="parameter", columns="quantity", values="estimate"
    )
    rows = []
    for parameter, part in whole.groupby("PARAMCD"):
        row = {"data": name, "type": parameter, "mean": part["AVAL"].mean()}
        if raters:
            forms = lt.icc(part, rater="AVISIT").table.set_index("form")
            one = forms.loc["ICC2"]
            row |= {"icc": one["estimate"], "icc_low": one["conf_low"]}
            row["icc_high"] = one["conf_high"]
        if raters:
            means = part.groupby("USUBJID")["AVAL"].mean()
            noise = spread.loc[parameter, "within_sd"] ** 2 / 2
            row["between_sd"] = float(np.sqrt(max(0.0, means.var() - noise)))
        row["within_sd"] = spread.loc[parameter, "within_sd"]
        row["within_cv"] = spread.loc[parameter, "within_cv"]
        row["subjects"] = part["USUBJID"].nunique()
        row["scans"] = len(part)
        rows.append(row)
    return pd.DataFrame(rows)


def simulated(seed: int, n_fit: int, n_test: int) -> pd.DataFrame:
    learn = [rescans(seed, number)[number % 2] for number in range(1, n_fit + 1)]
    vocabulary = fit_vocabulary(learn, n_types=TYPES, seed=seed)
    again = [scan for n in range(n_fit + 1, n_fit + n_test + 1) for scan in rescans(seed, n)]
    records = signatures(again, vocabulary, shells=0).records
    return table_of(records, "simulated, new scanner", raters=True)


def real(folder: Path, n: int) -> pd.DataFrame:
    files = folder / "example_mr_sm.nii.gz", folder / "example_seg_mr.nii.gz"
    scan = read_scan(*files, liver_label=5, reference_label=1)
    vocabulary = fit_vocabulary([scan], n_types=6, seed=1, n_places=8000, standardise="reference")
    made = [one for number in range(n) for one in copies(scan, number)]
    result = signatures(made, vocabulary, shells=0)
    table = table_of(result.records, "real, perturbed", raters=False)
    first = vocabulary.label_scan(scan)[0][scan.mask]
    found = [adjusted_rand_score(first, vocabulary.label_scan(one)[0][scan.mask]) for one in made]
    return table.assign(ari_with_original=float(np.mean(found)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fit", type=int, default=8, help="subjects to learn from")
    parser.add_argument("--test", type=int, default=16, help="subjects scanned twice")
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    a = parser.parse_args()
    tables = []
    if a.real is not None:
        tables.append(real(a.real, a.copies))
        print(tables[-1].round(3).to_string(index=False), flush=True)
    if a.test:
        tables.append(simulated(a.seed, a.fit, a.test))
        print(tables[-1].round(3).to_string(index=False), flush=True)
    pd.concat(tables, ignore_index=True).to_csv(a.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
