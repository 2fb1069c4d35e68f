"""A tiny run folder made through the endpoints themselves: nothing in it is canned."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from safetensors.numpy import save_file

import livertrack as lt
from livertrack._files import write_json, write_parquet
from livertrack._results import Result
from livertrack.endpoints.vocabulary_card import vocabulary_card

ARMS = ["Placebo", "Low", "High"]
VISITS = ["Baseline", "Week 12", "Week 48"]
SUBJECTS_PER_ARM = 10
N_TYPES = 4


def plan(*, imaging: bool = True) -> dict:
    analyses = [
        {"id": "alt-w48", "endpoint": "ancova", "title": "", "estimand": "primary",
         "visit": "Week 48", "parameters": ["ALT"], "options": {}},
        {"id": "sep-w48", "endpoint": "separation", "title": "", "estimand": None,
         "visit": "Week 48", "parameters": ["ALT", *(["TV*"] if imaging else [])], "options": {}},
        {"id": "resp", "endpoint": "risk_difference", "title": "", "estimand": None,
         "visit": "Week 48", "parameters": ["ALT"], "options": {"measure": "PCHG", "below": -30}},
        {"id": "os", "endpoint": "kaplan_meier", "title": "", "estimand": None, "visit": None,
         "parameters": ["DEATH"], "options": {}},
        {"id": "os-test", "endpoint": "log_rank", "title": "", "estimand": None, "visit": None,
         "parameters": ["DEATH"], "options": {}},
    ]  # fmt: skip
    if imaging:
        analyses.append({
            "id": "steatosis", "endpoint": "biopsy_prediction", "title": "", "estimand": None,
            "visit": "Baseline", "parameters": [],
            "options": {"outcome": "STEATOSIS", "threshold": 2.0, "task": "binary",
                        "n_folds": 3, "n_repeats": 1,
                        "feature_sets": {"signature": ["TV*"], "ALT": ["ALT"]}},
        })  # fmt: skip
        analyses.insert(0, {
            "id": "paths", "endpoint": "change_pathways", "title": "", "estimand": None,
            "visit": "Week 48", "parameters": [], "options": {},
        })  # fmt: skip
    return {
        "study": {"id": "TINY-01", "title": "A tiny trial", "simulated": imaging},
        "seed": 11,
        "conf_level": 0.95,
        "data": {
            "arms": ARMS, "reference": "Placebo", "visits": VISITS, "baseline": "Baseline",
            "population": "FASFL", "arm": "TRT01P", "site": "SITEID", "strata": [],
        },
        "imaging": {
            "sequences": ["IP", "OP", "HBP"], "n_types": N_TYPES, "method": "joint",
            "spacing_mm": [3.0, 3.0, 4.0], "bias_field": "n4", "standardise": "tail",
            "correspondence": "rigid", "shells": 3, "min_voxels": 500, "steps": 400,
        } if imaging else None,
        "estimands": [{
            "id": "primary", "label": "ALT at week 48", "treatment": "High v Placebo",
            "population": "All randomised subjects with a baseline",
            "variable": "Change of ALT from baseline at week 48",
            "intercurrent_events": [
                {"event": "Discontinuation", "strategy": "treatment-policy", "handling": ""}
            ],
            "summary": "Difference of adjusted means",
        }],
        "analyses": analyses,
        "multiplicity": None,
        "replication": None,
        "report": {"title": "", "subtitle": ""},
    }  # fmt: skip


def subjects() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = SUBJECTS_PER_ARM * len(ARMS)
    return pd.DataFrame({
        "USUBJID": [f"SECRET-{i:03d}" for i in range(n)],
        "SITEID": [f"{i % 3}" for i in range(n)],
        "TRT01P": pd.Categorical(np.repeat(ARMS, SUBJECTS_PER_ARM), categories=ARMS),
        "FASFL": ["N" if i == 7 else "Y" for i in range(n)],
        "AGE": rng.normal(52, 9, n).round(),
        "SEX": rng.choice(["F", "M"], n),
        "EOSSTT": ["DISCONTINUED" if i % 9 == 4 else "COMPLETED" for i in range(n)],
        "DCSREAS": ["Adverse event" if i % 9 == 4 else "" for i in range(n)],
    })  # fmt: skip


def labs(adsl: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    base = rng.normal(80, 20, len(adsl))
    drop = adsl["TRT01P"].map({"Placebo": 0.05, "Low": 0.2, "High": 0.4}).astype(float)
    rows = []
    for number, visit in enumerate(VISITS):
        value = base * (1 - drop * min(number, 1)) + rng.normal(0, 6, len(adsl))
        rows.append(adsl[["USUBJID", "TRT01P", "SITEID"]].assign(
            PARAMCD="ALT", PARAM="Alanine aminotransferase (U/L)", REGION="",
            AVISIT=pd.Categorical([visit] * len(adsl), categories=VISITS), AVISITN=24 * number,
            AVAL=value,
        ))  # fmt: skip
    return _with_change(pd.concat(rows, ignore_index=True))


def signatures(adsl: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    rows = []
    start = rng.dirichlet([6, 4, 3, 2], len(adsl))
    move = adsl["TRT01P"].map({"Placebo": 0.0, "Low": 0.1, "High": 0.25}).to_numpy(float)
    for number, visit in enumerate(VISITS):
        now = start.copy()
        if number:
            shift = now[:, 1] * np.clip(move + rng.normal(0, 0.04, len(adsl)), 0, 0.9)
            now[:, 1] -= shift
            now[:, 0] += shift
        for k in range(N_TYPES):
            rows.append(adsl[["USUBJID", "TRT01P", "SITEID"]].assign(
                PARAMCD=f"TV{k + 1:02d}", PARAM=f"Tissue type {k + 1}", REGION="",
                AVISIT=pd.Categorical([visit] * len(adsl), categories=VISITS),
                AVISITN=24 * number, AVAL=now[:, k], NVOX=9000,
            ))  # fmt: skip
    return _with_change(pd.concat(rows, ignore_index=True))


def pathways(adsl: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    move = {"Placebo": 0.03, "Low": 0.1, "High": 0.22}
    rows = []
    for subject, arm in zip(adsl["USUBJID"], adsl["TRT01P"], strict=True):
        start = rng.dirichlet([6, 4, 3, 2])
        share = np.full((N_TYPES, N_TYPES), 0.02) + rng.uniform(0, 0.01, (N_TYPES, N_TYPES))
        share[1, 0] += move[arm] + rng.normal(0, 0.02)
        np.fill_diagonal(share, 0)
        np.fill_diagonal(share, 1 - share.sum(1))
        flow = start[:, None] * share
        rows += [
            {"USUBJID": subject, "TRT01P": arm, "AVISIT": "Week 48", "AVISITN": 48, "REGION": "",
             "FROMTYPE": i + 1, "TOTYPE": j + 1, "AVAL": flow[i, j], "NVOX": 9000}
            for i, j in np.ndindex(N_TYPES, N_TYPES)
        ]  # fmt: skip
    return pd.DataFrame(rows).astype({"TRT01P": pd.CategoricalDtype(ARMS)})


def scans(adsl: pd.DataFrame) -> pd.DataFrame:
    parts = [
        adsl[["USUBJID", "TRT01P"]].assign(
            AVISIT=pd.Categorical([visit] * len(adsl), categories=VISITS), AVISITN=24 * number,
            SCANFL="Y", REASON="", NVOX=9000, VOLML=1500.0,
        )
        for number, visit in enumerate(VISITS)
    ]  # fmt: skip
    frame = pd.concat(parts, ignore_index=True)
    frame.loc[[3, 40], ["SCANFL", "REASON"]] = ["N", "empty mask"]
    frame["FLAGS"] = np.where(frame.index % 7 == 2, "edge", "")
    frame["SNR"] = 18 + np.sin(frame.index)
    return frame


def types(adsl: pd.DataFrame, mri: pd.DataFrame, out: Path) -> dict[str, list]:
    """What the atlas of the vocabulary and the report on scans show."""
    rng = np.random.default_rng(14)
    names = [f"TV{k + 1:02d}" for k in range(N_TYPES)]
    shells = [
        mri.assign(REGION=f"SHELL{k}", AVAL=mri["AVAL"] * rng.uniform(0.8, 1.2, len(mri)))
        for k in (1, 2, 3)
    ]
    biopsy = mri[mri["PARAMCD"] == "TV02"].assign(PARAMCD="STEATOSIS", PARAM="Steatosis (grade)")
    biopsy["AVAL"] = (10 * biopsy["AVAL"]).round().clip(0, 3)
    both = pd.concat([mri, biopsy], ignore_index=True)
    reg = scans(adsl)
    reg = reg[reg["AVISIT"] != "Baseline"].assign(DICE=0.9 + rng.uniform(0, 0.09, 60))
    reg["AVISIT"] = reg["AVISIT"].cat.remove_unused_categories()
    reg.loc[reg.index[5], "REASON"] = "overlap below the limit"
    sites = adsl.assign(VOLML=rng.normal(1500, 80, len(adsl)))
    card = vocabulary_card(
        pd.DataFrame({
            "paramcd": names, "prevalence": [0.4, 0.3, 0.2, 0.1],
            "mean_IP": rng.normal(0, 1, 4), "mean_OP": rng.normal(0, 1, 4),
            "nearest_type": [2, 1, 4, 3], "nearest_distance": [1.5, 1.5, 2.25, 2.25],
        }),
        distances=pd.DataFrame(2.5 * (1 - np.eye(N_TYPES)), names, names),
        hierarchy=pd.DataFrame({
            "n_groups": [3, 2, 1],
            "merged": ["TV01 with TV02", "TV03 with TV04", "TV01+TV02 with TV03+TV04"],
            "distance": [1.5, 2.25, 4.125],
        }),
        settings={"method": "joint"}, text="4 tissue types from 900 places in 20 scans.",
    )  # fmt: skip
    write_parquet(out / "adam" / "adreg.parquet", reg)
    return {
        "vocabulary_card": [("vocabulary_card", "", card)],
        "type_atlas": [("type_atlas", "", lt.type_atlas(pd.concat([mri, *shells])))],
        "type_correlation": [("type_correlation", "", lt.type_correlation(
            both, parameters=names, outcomes=["STEATOSIS"], n_perm=99, seed=2))],
        "registration_quality": [("registration_quality", "", lt.registration_quality(
            reg, measures=["DICE"]))],
        "site_effects": [("site_effects", "", lt.site_effects(sites, measures=["VOLML"]))],
    }  # fmt: skip


def events(adsl: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(9)
    time = rng.exponential(400, len(adsl)).clip(5, 360).round()
    return adsl[["USUBJID", "TRT01P"]].assign(
        PARAMCD="DEATH", PARAM="Death (days)", AVAL=time, CNSR=(time >= 340).astype(int)
    )


def prediction(adsl: pd.DataFrame, mri: pd.DataFrame) -> Result:
    rng = np.random.default_rng(10)
    base = mri[mri["AVISIT"] == "Baseline"]
    wide = base.pivot_table(index="USUBJID", columns="PARAMCD", values="AVAL").reset_index()
    wide = wide[wide["USUBJID"].isin(adsl["USUBJID"])].copy()
    wide["ALT"] = rng.normal(80, 20, len(wide))
    wide["Y"] = (wide["TV02"] + rng.normal(0, 0.08, len(wide)) > 0.22).astype(int)
    types = [c for c in wide.columns if c.startswith("TV")]
    return lt.biopsy_prediction(
        wide, outcome="Y", feature_sets={"signature": types, "ALT": ["ALT"]}, n_folds=3,
        n_repeats=1, n_perm=19, n_boot=99, seed=4,
    )  # fmt: skip


def vocabulary(out: Path) -> None:
    """A vocabulary card and label maps of two subjects, in the form the imaging part writes."""
    rng = np.random.default_rng(12)
    profile = np.sort(rng.normal(0, 1, (N_TYPES, 3)), axis=0).astype("float32")
    patches = profile[:, None, :, None, None] + rng.normal(0, 0.3, (N_TYPES, 4, 3, 17, 17))
    tensors = {
        "card.profile": profile,
        "card.prevalence": np.array([0.4, 0.3, 0.2, 0.1], "float32"),
        "card.exemplars": patches.astype("float32"),
        "card.distances": np.ones((N_TYPES, N_TYPES), "float32"),
    }
    header = json.dumps(
        {"format": 1, "settings": {"sequences": ["IP", "OP", "HBP"], "n_types": 4}}
    )
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "vocabulary.safetensors", metadata={"livertrack": header})
    (out / "maps").mkdir(exist_ok=True)
    x, y, z = np.indices((40, 32, 8))
    liver = ((x - 18) / 14) ** 2 + ((y - 16) / 11) ** 2 + ((z - 4) / 4) ** 2 < 1
    for subject in ("SECRET000", "SECRET001"):
        for shift, visit in enumerate(("Baseline", "Week12", "Week48")):
            labels = 1 + ((x // 5 + y // 4 + shift) % N_TYPES)
            image = nib.Nifti1Image(
                (labels * liver).astype("int16"), np.diag([3.0, 3.0, 4.0, 1.0])
            )
            nib.save(image, out / "maps" / f"sub-{subject}_ses-{visit}_desc-vocab_dseg.nii.gz")


def write(out: Path, *, imaging: bool = True) -> Path:
    """Write the run folder and return it."""
    adsl, rules = subjects(), plan(imaging=imaging)
    alt, mri = labs(adsl), signatures(adsl)
    full = adsl[adsl["FASFL"] == "Y"]
    common = {"arm": "TRT01P", "reference": "Placebo"}
    w48 = alt[(alt["AVISIT"] == "Week 48") & alt["USUBJID"].isin(full["USUBJID"])]
    fit = lt.ancova(w48, "CHG ~ BASE + TRT01P", **common)
    sep = [("ALT", lt.separation(w48, **common, n_boot=99, seed=1))]
    hit = w48.assign(R=(w48["CHG"] / w48["BASE"] < -0.3).astype(float))
    responders = lt.risk_difference(hit, response="R", **common)
    time = events(full)
    ard = {
        "disposition": [("disposition", "", lt.disposition(
            adsl, population="FASFL", records=alt, visits=VISITS,
            scans=scans(adsl) if imaging else None))],
        "baseline_table": [("baseline_table", "", lt.baseline_table(
            full, columns=["AGE", "SEX"], records=alt))],
        "ancova": [("alt-w48", "ALT", fit)],
        "risk_difference": [("resp", "ALT", responders)],
        "kaplan_meier": [("os", "DEATH", lt.kaplan_meier(time))],
        "log_rank": [("os-test", "DEATH", lt.log_rank(time))],
    }  # fmt: skip
    if imaging:
        mri48 = mri[(mri["AVISIT"] == "Week 48")]
        sep += [
            (code, lt.separation(part, **common, n_boot=99, seed=1))
            for code, part in mri48.groupby("PARAMCD")
        ]
        adpath = pathways(full)
        paths = lt.change_pathways(adpath, **common, n_perm=199, seed=3, visit="Week 48")
        vocabulary(out)
        ard["change_pathways"] = [("paths", "", paths)]
        ard["biopsy_prediction"] = [("steatosis", "STEATOSIS", prediction(full, mri))]
        ard["signature_summary"] = [("signature_summary", "", lt.signature_summary(mri))]
        ard["scan_quality"] = [("scan_quality", "", lt.scan_quality(scans(adsl)))]
        ard |= types(adsl, mri, out)
        write_parquet(out / "adam" / "admri.parquet", mri)
        write_parquet(out / "adam" / "adpath.parquet", adpath)
        write_parquet(out / "adam" / "adscan.parquet", scans(adsl))
    ard["separation"] = [("sep-w48", code, result) for code, result in sep]
    for endpoint, results in ard.items():
        frames = [r.to_ard(analysis=name, variable=code) for name, code, r in results]
        write_parquet(out / "ard" / f"{endpoint}.parquet", pd.concat(frames, ignore_index=True))
    write_json(out / "plan.json", rules)
    write_json(out / "provenance.json", {
        "plan_hash": "a" * 64, "seed": 11, "threads": 1, "study": "TINY-01",
        "versions": {"livertrack": lt.__version__, "python": "3.11"},
        "inputs": {"adam/adsl.csv": "b" * 64, "plan.yaml": "c" * 64},
        "parameters": {"ALT": "Alanine aminotransferase (U/L)", "DEATH": "Death (days)"},
    })  # fmt: skip
    return out


def _with_change(frame: pd.DataFrame) -> pd.DataFrame:
    base = frame[frame["AVISIT"] == "Baseline"].set_index(["USUBJID", "PARAMCD"])["AVAL"]
    index = pd.MultiIndex.from_frame(frame[["USUBJID", "PARAMCD"]])
    frame["BASE"] = base.reindex(index).to_numpy()
    frame["CHG"] = frame["AVAL"] - frame["BASE"]
    frame.loc[frame["AVISIT"] == "Baseline", "CHG"] = np.nan
    return frame


def as_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
