"""Every endpoint that a plan may name gives results from the plan alone, the same every time."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import livertrack as lt
from livertrack._results import ARD_COLUMNS, ard_result
from livertrack.pipeline.analyses import ADAPTERS, answer
from livertrack.plan import Analysis, Plan
from livertrack.plan_options import OPTIONS
from livertrack.study import Study

LAST = "Week 48"
FALL = {"below": -10}
NAS = [
    {"parameter": "NAS", "measure": "CHG", "below": -2},
    {"parameter": "FIBROSIS", "measure": "CHG", "below": 0},
]
HIERARCHY = [
    {"name": "Event", "time": "LRE"},
    {"name": "Fat", "value": "PDFF", "better": "lower", "margin": 1},
]
TYPES = {"visit": LAST, "parameters": ["TV*"]}

#: at least one analysis per endpoint; what is not given here is the default of its options
ANALYSES: dict[str, list[dict[str, Any]]] = {
    "change_pathways": [
        {"visit": LAST, "options": {"n_perm": 99}},
        {"visit": LAST,
         "options": {"n_perm": 99, "covariates": ["AGE"], "adjust_baseline": True, "merge": [2],
                     "null": "repeats", "trend": {"Placebo": 0, "Low dose": 1, "High dose": 2}}},
    ],
    "beyond_noise": [{"visit": LAST, "options": {"n_boot": 99}}],
    "type_severity": [
        {**TYPES, "options": {"outcome": "STEATOSIS", "n_boot": 99, "n_perm": 99, "n_repeats": 1}},
        {"parameters": ["TV*"],
         "options": {"outcome": "ALT", "n_boot": 99, "n_repeats": 1, "n_perm": 99}},
    ],
    "trajectories": [
        {**TYPES, "options": {"early": "Week 12", "outcome": "PDFF", "n_perm": 3, "n_boot": 99,
                              "n_repeats": 1}},
        {**TYPES, "options": {"early": "Week 12"}},
    ],
    "separation": [
        {**TYPES, "options": {"n_boot": 99, "covariates": ["AGE"], "within_strata": True}}
    ],
    "compare_separation": [
        {"visit": LAST, "parameters": ["ALT", "PDFF"],
         "options": {"n_boot": 99, "score": {"signature": ["TV*"]}, "n_repeats": 2,
                     "direction": {"ALT": "lower"}}}
    ],
    "max_t": [{**TYPES, "options": {"n_perm": 199}}],
    "biopsy_prediction": [
        {"options": {"outcome": "STEATOSIS", "threshold": 2, "n_perm": 3, "n_boot": 99,
                     "n_folds": 2, "feature_sets": {"signature": ["TV*"], "ALT": ["ALT"]}}}
    ],
    "cross_validate": [
        {"options": {"outcome": "PDFF", "outcome_visit": LAST, "task": "continuous",
                     "n_folds": 2, "n_inner": 2, "n_boot": 99, "harmonise": "combat-mean",
                     "feature_sets": {"signature": ["TV*"], "usual": ["ALT", "AGE"]}}},
        {"options": {"outcome": "STEATOSIS", "threshold": 2, "n_boot": 99, "n_inner": 2,
                     "n_folds": 2, "appearance": ["PDFF"],
                     "feature_sets": {"usual": ["ALT", "AGE"]}}},
    ],
    "permutation_importance": [
        {"options": {"outcome": "PDFF", "task": "continuous", "features": ["TV*", "ALT"],
                     "groups": {"signature": ["TV*"], "ALT": ["ALT"]}, "n_boot": 99,
                     "n_folds": 2, "n_inner": 2, "n_permutations": 2}},
    ],
    "prognosis": [
        {"parameters": ["LRE"],
         "options": {"horizons": [200, 300], "n_folds": 2, "n_inner": 2, "n_groups": 2,
                     "n_boot": 99, "feature_sets": {"signature": ["TV*"], "ALT": ["ALT"]}}},
    ],
    "ancova": [{"visit": LAST, "parameters": ["ALT"], "options": {"vcov": "HC3"}}],
    "mmrm": [{"parameters": ["ALT"], "options": {"weights": "observed"}}],
    "kaplan_meier": [{"parameters": ["LRE"], "options": {"times": [0, 300, 600]}}],
    "log_rank": [{"options": {"within_strata": True}}],
    "cox": [
        {"parameters": ["LRE"], "options": {"formula": "AGE", "within_strata": True}},
        {"parameters": ["LRE"], "options": {"formula": "AGE", "event": "DECOMPENSATION"}},
    ],
    "fine_gray": [{"parameters": ["LRE"],
                   "options": {"event": "DECOMPENSATION", "formula": "AGE"}}],
    "recurrent_events": [{"parameters": ["ADMIT"],
                          "options": {"covariates": "AGE", "within_strata": True}}],
    "rmst": [{"parameters": ["LRE"], "options": {"tau": 300}}],
    "cumulative_incidence": [{"parameters": ["LRE"], "options": {"within_strata": True}}],
    "win_ratio": [{"visit": LAST, "options": {"hierarchy": HIERARCHY, "within_strata": True}}],
    "risk_difference": [
        {"visit": LAST, "parameters": ["PDFF", "ALT"], "options": FALL},
        {"visit": LAST, "options": {"criteria": NAS, "eligible": [
            {"parameter": "NAS", "measure": "BASE", "above": 2}]}},
    ],
    "risk_ratio": [{"visit": LAST, "parameters": ["ALT"],
                    "options": {**FALL, "within_strata": True}}],
    "odds_ratio": [{"visit": LAST, "options": {"criteria": NAS, "method": "exact"}}],
    "g_computation": [{"visit": LAST, "parameters": ["ALT"],
                       "options": {"below": 0, "measure": "CHG", "covariates": "BASE"}}],
    "cmh_test": [
        {"visit": LAST, "parameters": ["FIBROSIS"], "options": {"scores": "modridit"}},
        {"visit": LAST, "options": {"criteria": NAS}},
    ],
    "subgroup_forest": [
        {"visit": LAST, "parameters": ["ALT"],
         "options": {"subgroups": ["SEX", "AGE"], "cuts": {"AGE": [50, 60]}}},
        {"visit": LAST, "parameters": ["ALT"],
         "options": {"subgroups": ["SEX"], "effect": "risk difference", **FALL}},
        {"parameters": ["LRE"], "options": {"subgroups": ["SEX"], "effect": "hazard ratio"}},
    ],
    "proportional_odds": [{"visit": LAST, "parameters": ["STEATOSIS"],
                           "options": {"formula": "{arm}"}}],
    "shift_table": [{"visit": LAST, "parameters": ["FIBROSIS"],
                     "options": {"levels": [0, 1, 2, 3, 4]}}],
    "weighted_kappa": [
        {"parameters": ["FIBROSIS"],
         "options": {"rater": "AVISIT", "rater_1": "Baseline", "rater_2": LAST}},
        {"visit": LAST, "options": {"rater_1": "STEATOSIS", "rater_2": "INFLAM"}},
    ],
    "bland_altman": [
        {"parameters": ["PDFF", "TV01"],
         "options": {"rater": "AVISIT", "method_1": "Rescan", "method_2": "Baseline"}},
        {"visit": LAST, "options": {"method_1": "ALT", "method_2": "AST"}},
    ],
    "icc": [
        {"visit": LAST, "parameters": ["ALT", "AST"]},
        {"parameters": ["PDFF"], "options": {"rater": "AVISIT", "method": "reml"}},
    ],
    "dunnett": [
        {"visit": LAST, "parameters": ["PDFF"]},
        {"visit": LAST, "parameters": ["ALT"],
         "options": {"value": "AVAL", "covariates": "", "alternative": "less"}},
    ],
    "repeatability": [
        {"visit": LAST, "parameters": ["TV*", "PDFF"]},
        {"parameters": ["ALT"], "options": {"visits": ["Baseline", "Week 12"],
                                            "arms": ["Placebo"]}},
    ],
    "permanova": [{**TYPES, "options": {"n_perm": 99, "formula": "AGE + {arm}"}}],
    "composition_regression": [
        {**TYPES, "options": {"covariates": "AGE"}}, {**TYPES, "options": {"baseline": False}},
    ],
    "imputation": [
        {"parameters": ["ALT"], "estimand": "alt", "options": {"n_imputations": 3}},
        {"parameters": ["ALT", "AST"], "estimand": "alt",
         "options": {"draws": "conditional-mean", "delta": 2.5, "analysis": "CHG ~ BASE + {arm}"}},
    ],
    "tipping_point": [
        {"parameters": ["ALT"], "estimand": "alt", "visit": LAST,
         "options": {"n_imputations": 3, "deltas": [5, 10], "reference_deltas": [-5]}}
    ],
    "group_sequential": [{"options": {"information": [0.5, 1], "drift": 2.8}}],
    "power": [{"options": {"sd": 20, "effect": 10, "power": 0.9}}],
}  # fmt: skip

#: endpoints on pathway records, which a study without scans does not have
PATHWAYS = {"change_pathways", "beyond_noise"}
#: what the analyses with imputed records answer
ESTIMAND = {
    "id": "alt", "label": "ALT", "treatment": "arms", "population": "all", "variable": "ALT",
    "summary": "difference in means",
    "intercurrent_events": [
        {"event": "Discontinuation of treatment", "strategy": "treatment-policy",
         "assumption": "JR"},
        {"event": "Withdrawal from the trial", "strategy": "hypothetical"},
    ],
}  # fmt: skip


def signatures(adsl: pd.DataFrame, visits: list[str], repeats: list[str]) -> pd.DataFrame:
    """Shares of four tissue types at every visit and, of the first ten subjects, repeats."""
    rng = np.random.default_rng(4)
    rows = []
    for number, subject in enumerate(adsl["USUBJID"]):
        start = rng.dirichlet([6, 4, 3, 2])
        for place, visit in enumerate([*visits, *(repeats if number < 10 else [])]):
            share = start * np.exp(rng.normal(0, 0.05 + 0.1 * (visit in visits), 4))
            rows += [
                {"USUBJID": subject, "AVISIT": visit, "AVISITN": place,
                 "PARAMCD": f"TV{k + 1:02d}", "PARAM": f"Tissue type {k + 1}", "REGION": "",
                 "AVAL": value, "NVOX": 9000, "ABLFL": "Y" if place == 0 else ""}
                for k, value in enumerate(share / share.sum())
            ]  # fmt: skip
    return pd.DataFrame(rows)


def admissions(adsl: pd.DataFrame) -> pd.DataFrame:
    """Hospital stays: a few per subject, and the day that closes each follow-up."""
    rng = np.random.default_rng(8)
    rows = []
    for subject in adsl["USUBJID"]:
        days = np.unique(rng.integers(1, 360, rng.poisson(1.5)))
        rows += [(subject, float(day), 0) for day in days]
        rows.append((subject, 365.0, 1))
    return pd.DataFrame(rows, columns=["USUBJID", "AVAL", "CNSR"]).assign(PARAMCD="ADMIT")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A simulated trial of twelve subjects per arm, with invented shares for its scans."""
    folder = tmp_path_factory.mktemp("endpoints") / "study"
    lt.simulate_trial(
        folder, n_per_arm=12, seed=5, shape=(32, 24, 12), spacing=(9.0, 9.0, 10.0), images=False,
        rescans=8,
    )  # fmt: skip
    admissions(lt.read_study(folder).adsl).to_csv(folder / "adam" / "adrec.csv", index=False)
    read = lt.read_study(folder)
    data = read.plan.data
    frame = signatures(read.adsl, data.visits, list(data.repeats))
    return read.with_records(frame, dataset="admri")


def flows(study: Study, visit: str, *, kept: float) -> pd.DataFrame:
    """Flows between four types from baseline to a visit; ``kept`` of every type stays."""
    rng = np.random.default_rng(6)
    rows = [
        {"USUBJID": subject, "TRT01P": arm, "AVISIT": visit, "AVISITN": 48, "REGION": "",
         "FROMTYPE": i + 1, "TOTYPE": j + 1, "AVAL": flow[i, j], "NVOX": 9000,
         "METHOD": "voxel"}
        for subject, arm in zip(study.adsl["USUBJID"], study.adsl["TRT01P"], strict=True)
        for moved in [(1 - kept) * rng.dirichlet([1.0] * 16).reshape(4, 4)]
        for flow in [moved + np.diag(kept * rng.dirichlet([4.0] * 4))]
        for i, j in np.ndindex(4, 4)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def imaging(study: Study) -> dict[str, pd.DataFrame]:
    """What imaging would make: pathways to the last visit, and between repeat scans."""
    noise = flows(study, "Rescan", kept=0.95).drop(columns="TRT01P")
    some = noise["USUBJID"].isin(study.adsl["USUBJID"][:10])
    return {"adpath": flows(study, LAST, kept=0.3), "adnoise": noise[some]}


def cases() -> list[Any]:
    return [
        pytest.param(endpoint, entry, id=f"{endpoint}-{place}")
        for endpoint, entries in ANALYSES.items()
        for place, entry in enumerate(entries)
    ]


def test_every_endpoint_has_options_an_adapter_and_a_case() -> None:
    assert set(OPTIONS) == set(ADAPTERS) == set(ANALYSES)


@pytest.mark.parametrize(("endpoint", "entry"), cases())
def test_an_analysis_gives_the_same_results_twice(
    study: Study, imaging: dict[str, pd.DataFrame], endpoint: str, entry: dict[str, Any]
) -> None:
    analysis = Analysis.model_validate({"id": "one", "endpoint": endpoint, **entry})
    first, second = (answer(study, analysis, **imaging) for _ in range(2))
    assert first
    names = [name for name, _ in first]
    assert len(set(names)) == len(names)
    for (name, one), (_, two) in zip(first, second, strict=True):
        ard = one.to_ard(analysis="one", variable=name)
        assert list(ard.columns) == list(ARD_COLUMNS)
        assert any(len(frame) for frame in one.frames().values())
        assert one.text
        pd.testing.assert_frame_equal(ard, two.to_ard(analysis="one", variable=name))
        assert set(ard_result(ard).frames) == {n for n, f in one.frames().items() if len(f)}


@pytest.mark.parametrize(("endpoint", "entry"), cases())
def test_a_plan_may_hold_every_analysis(endpoint: str, entry: dict[str, Any]) -> None:
    plan = plan_with({"id": "one", "endpoint": endpoint, **entry})
    assert Plan.model_validate_json(plan.canonical()) == plan


def plan_with(*analyses: dict[str, Any]) -> Plan:
    return Plan.model_validate({
        "study": {"id": "X", "title": "X"}, "seed": 1,
        "data": {"arms": ["Placebo", "High"], "reference": "Placebo",
                 "visits": ["Baseline", LAST], "baseline": "Baseline",
                 "repeats": {"Rescan": "Baseline"}},
        "imaging": {"sequences": ["IP"]}, "estimands": [ESTIMAND], "analyses": list(analyses),
    })  # fmt: skip


def test_a_whole_run_of_all_endpoints_fails_in_none(study: Study, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(study.path, tmp_path / "study"))
    data = study.plan.data
    frame = signatures(study.adsl, data.visits, list(data.repeats))
    frame.to_csv(folder / "adam" / "admri.csv", index=False)

    plan = yaml.safe_load((folder / "plan.yaml").read_text())
    plan["analyses"] = [
        {"id": f"{endpoint}-{place}", "endpoint": endpoint, **entry}
        for endpoint, entries in ANALYSES.items() if endpoint not in PATHWAYS
        for place, entry in enumerate(entries)
        if not (endpoint == "type_severity" and "visit" in entry)
    ]  # fmt: skip
    plan["estimands"], plan["multiplicity"] = [ESTIMAND], {
        "method": "graphical",
        "hypotheses": {
            "ALT": {"analysis": "ancova-0", "arm": "High dose"},
            "Fat": {"analysis": "win_ratio-0", "arm": "High dose",
                    "where": {"measure": "win_odds"}},
        },
        "weights": {"ALT": 1.0}, "transitions": {"ALT": {"Fat": 1.0}},
    }  # fmt: skip
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    summary = lt.run_study(folder, out=tmp_path / "out", formats=(), workers=1)
    assert summary.failed == {}
    files = {path.stem for path in (tmp_path / "out" / "ard").glob("*.parquet")}
    assert set(ANALYSES) - PATHWAYS <= files
    graph = pd.read_parquet(tmp_path / "out" / "ard" / "multiplicity.parquet")
    table = ard_result(graph).table
    ancova = ard_result(pd.read_parquet(tmp_path / "out" / "ard" / "ancova.parquet")).table
    wanted = ancova.loc[ancova["TRT01P"].eq("High dose"), "p_value"].iloc[0]
    assert table.set_index("hypothesis").loc["ALT", "p_value"] == wanted


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"endpoint": "cumulative_incidence", "options": {"cause": "KIND"}},
         ["analysis one: adtte", "column KIND is missing", "36 records of LRE", "options"]),
        ({"endpoint": "cross_validate",
          "options": {"outcome": "ALT", "task": "continuous", "feature_sets": {"a": ["A*"]}}},
         ["analysis one: ALT is the outcome and a feature"]),
        ({"endpoint": "kaplan_meier", "parameters": ["OS"]}, ["analysis one", "adtte", "'LRE'"]),
        ({"endpoint": "recurrent_events", "parameters": ["OS"]}, ["'OS' in adrec", "'ADMIT'"]),
        ({"endpoint": "win_ratio", "options": {"hierarchy": [{"name": "a", "time": "OS"}]}},
         ["analysis one", "'OS' in adtte", "'LRE'"]),
        ({"endpoint": "subgroup_forest", "visit": LAST, "parameters": ["ALT"],
          "options": {"subgroups": ["RACE"]}}, ["analysis one: adsl", "RACE", "columns of adsl"]),
        ({"endpoint": "repeatability", "parameters": ["ALT"]},
         ["analysis one: none of 36 subjects", "Baseline, Rescan", "options: visits"]),
        ({"endpoint": "risk_ratio", "visit": LAST, "parameters": ["PDF"], "options": FALL},
         ["no PARAMCD matches 'PDF'", "did you mean 'PDFF'"]),
        ({"endpoint": "icc", "parameters": ["ALT"],
          "options": {"rater": "AVISIT", "visits": ["Baseline", "Week 9"]}},
         ["unknown visit 'Week 9'", "Rescan"]),
        ({"endpoint": "bland_altman", "parameters": ["ALT"],
          "options": {"rater": "AVISIT", "method_1": "Rescan", "method_2": "Baseline"}},
         ["analysis one: ALT has no record at Rescan or at Baseline"]),
    ],
)  # fmt: skip
def test_an_analysis_that_cannot_work_says_where_and_what_to_do(
    study: Study, entry: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(lt.PlanError) as error:
        answer(study, Analysis.model_validate({"id": "one", **entry}))
    assert [word for word in words if word not in str(error.value)] == []
    assert not [s for s in study.adsl["USUBJID"] if s in str(error.value)]


def test_repeats_are_noise_alone_and_no_visit(study: Study) -> None:
    assert "Rescan" not in set(study.longitudinal("PDFF")["AVISIT"])
    records = study.records[study.records["AVISIT"].eq("Rescan")]
    assert len(records)
    assert records["CHG"].isna().all()
    assert study.repeated(["PDFF"], ["Baseline", "Rescan"])["AVISIT"].nunique() == 2
    assert (
        lt.signature_summary(
            study.records[study.records["DATASET"].eq("admri") & study.records["CHG"].notna()]
        )
        .table["visit"]
        .isin(study.plan.data.visits)
        .all()
    )


def test_the_older_word_for_dropping_missing_responses_still_works() -> None:
    entry = {"id": "a", "endpoint": "risk_difference", "options": {**FALL, "missing": "exclude"}}
    assert Analysis.model_validate(entry).settings.missing == "drop"  # type: ignore[attr-defined]


def test_criteria_give_what_the_function_gives(study: Study) -> None:
    entry = ANALYSES["risk_difference"][1]
    analysis = Analysis.model_validate({"id": "a", "endpoint": "risk_difference", **entry})
    [(name, found)] = answer(study, analysis)
    assert name == "RESPONSE"
    data = lt.derive_responders(
        study.records[study.records["REGION"].eq("")],
        criteria=[lt.Criterion(**criterion) for criterion in NAS],
        eligible=[lt.Criterion("NAS", "BASE", above=2)], visit=LAST,
        subjects=study.analysed()[["USUBJID", "TRT01P"]],
    )  # fmt: skip
    direct = lt.risk_difference(
        data, response="RESPONSE", reference="Placebo", missing="non-responder"
    )
    pd.testing.assert_frame_equal(found.table, direct.table)
    pd.testing.assert_frame_equal(found.nnt, direct.nnt)  # type: ignore[attr-defined]
