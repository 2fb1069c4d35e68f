"""Degenerate trials: every endpoint answers or refuses on purpose.

A call returns a result whose gaps are explained in its notes, or raises an error of livertrack
that says what is wrong with how much of which data. Never a bare exception of a library, never a
warning, never "nan" in a sentence, never a subject's name.
"""

import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import livertrack as lt
from livertrack._results import Result
from livertrack.errors import LivertrackError

PARTS = ["TV01", "TV02", "TV03", "TV04"]
MEASURED = [
    "AVAL", "CNSR", "CAUSE", "CHG", "BASE", "STAGE", "STAGE0", "RESPONSE", "M1", "M2", *PARTS,
]  # fmt: skip
REF = {"reference": "Placebo"}


def trial(n: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    arm = np.repeat(["Active", "Placebo"], n // 2)
    data = pd.DataFrame(
        {
            "USUBJID": [f"SUBJ-{i:02d}" for i in range(n)],
            "TRT01P": arm,
            "SITEID": np.tile(["a", "b"], n // 2),
            "AVAL": rng.exponential(20, n) + 1,
            "CNSR": rng.integers(0, 2, n),
            "CAUSE": rng.choice(["liver", "other"], n),
            "CHG": rng.normal(size=n) + (arm == "Active") * 0.5,
            "BASE": rng.normal(5, 1, n),
            "AGE": rng.normal(50, 8, n),
            "SEX": rng.choice(["F", "M"], n),
            "STAGE": rng.integers(0, 4, n).astype(float),
            "STAGE0": rng.integers(0, 4, n).astype(float),
            "RESPONSE": rng.integers(0, 2, n).astype(float),
            "M1": rng.normal(10, 2, n),
            "M2": rng.normal(10, 2, n),
        }
    )
    return data.assign(**dict(zip(PARTS, rng.dirichlet([3, 2, 2, 1], n).T, strict=True)))


def _in_active(data: pd.DataFrame, **values: Any) -> pd.DataFrame:
    mine = data["TRT01P"].eq("Active")
    return data.assign(**{c: np.where(mine, v, data[c]) for c, v in values.items()})


def of_types(data: pd.DataFrame) -> pd.DataFrame:
    """Records of the shares and of the stage at baseline."""
    return (
        data[["USUBJID", *PARTS, "STAGE"]]
        .melt(
            id_vars=["USUBJID"],
            value_vars=[*PARTS, "STAGE"],
            var_name="PARAMCD",
            value_name="AVAL",
        )
        .assign(AVISIT="Baseline")
    )


WHOLE = trial()
PLACEBO = WHOLE[WHOLE["TRT01P"].eq("Placebo")]
TIED = {"AVAL": 10.1, "CHG": 0.1, "BASE": 5.1, "AGE": 50.0, "STAGE": 2.0, "STAGE0": 2.0,
        "M1": 10.1, "M2": 9.8, **dict.fromkeys(PARTS, 0.25)}  # fmt: skip
CASES = {
    "no subject": WHOLE.iloc[:0],
    "empty arm": PLACEBO,
    "planned arm empty": PLACEBO.assign(
        TRT01P=pd.Categorical(PLACEBO["TRT01P"], ["Placebo", "Active"])
    ),
    "one subject": PLACEBO.head(1),
    "one subject per arm": WHOLE.groupby("TRT01P").head(1),
    "one subject in an arm": pd.concat([WHOLE.head(1), PLACEBO]),
    "all tied": WHOLE.assign(**TIED),
    "all missing": WHOLE.assign(**dict.fromkeys(MEASURED, np.nan)),
    "all missing in an arm": _in_active(WHOLE, **dict.fromkeys(MEASURED, np.nan)).astype(
        {c: float for c in MEASURED if c != "CAUSE"}
    ),
    "no arm known": WHOLE.assign(TRT01P=None),
    "all events": WHOLE.assign(CNSR=0, RESPONSE=1.0),
    "no event": WHOLE.assign(CNSR=1, RESPONSE=0.0),
    "no event in an arm": _in_active(WHOLE, CNSR=1, RESPONSE=0.0),
    "all events in an arm": _in_active(WHOLE, CNSR=0, RESPONSE=1.0),
}


def ratings(d: pd.DataFrame) -> pd.DataFrame:
    long = d[["USUBJID", "TRT01P", "M1", "M2"]].astype({"M1": float, "M2": float})
    long = long.melt(["USUBJID", "TRT01P"], var_name="RATER", value_name="AVAL")
    return long.assign(PARAMCD="PDFF")


def recurrences(d: pd.DataFrame) -> pd.DataFrame:
    closing = d.assign(AVAL=d["AVAL"] + 30, CNSR=1)
    return pd.concat([closing, d[d["CNSR"].eq(0)]])


def records(d: pd.DataFrame) -> pd.DataFrame:
    """Two visits of two parameters, BDS."""
    parts = [
        d[["USUBJID", "TRT01P", "SITEID", "BASE"]].assign(
            PARAMCD=code, PARAM=code, AVISIT=visit, AVISITN=number, REGION="",
            AVAL=d[column].astype(float) + number, ABLFL="",
            CHG=d["CHG"].astype(float) + number * (d["AGE"] - 50) / 10,
        )
        for code, column in (("PDFF", "M1"), ("NAS", "STAGE"))
        for number, visit in enumerate(("Week 24", "Week 48"))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def visits(d: pd.DataFrame) -> pd.DataFrame:
    return records(d).query("PARAMCD == 'PDFF'")


def flows(d: pd.DataFrame) -> pd.DataFrame:
    rows = [
        d[["USUBJID", "TRT01P"]].assign(
            AVISIT="Week 48", REGION="", FROMTYPE=a, TOTYPE=b,
            AVAL=d[PARTS[a]].astype(float) * share,
        )
        for a in (1, 2)
        for b, share in ((1, 0.4), (2, 0.6))
    ]  # fmt: skip
    frame = pd.concat(rows, ignore_index=True)
    total = frame.groupby("USUBJID")["AVAL"].transform("sum")
    return frame.assign(AVAL=frame["AVAL"] / total)


def scans(d: pd.DataFrame) -> pd.DataFrame:
    return d[["USUBJID", "TRT01P"]].assign(
        AVISIT="Week 48", SCANFL="Y", REASON="", VOLML=d["M1"].astype(float)
    )


OUTCOMES = [lt.Outcome("event", time="AVAL", censor="CNSR"), lt.Outcome("change", value="CHG")]
MODEL = "CHG ~ BASE + TRT01P * AVISIT + us(AVISIT | USUBJID)"
KINDS = {"criteria": [lt.Criterion("PDFF", "CHG", below=-1)], "visit": "Week 48"}

Call = Callable[[pd.DataFrame], Any]
CALLS: dict[str, Call] = {
    "kaplan_meier": lt.kaplan_meier,
    "log_rank": lt.log_rank,
    "log_rank, strata": lambda d: lt.log_rank(d, strata="SITEID"),
    "cox": lambda d: lt.cox(d, "TRT01P"),
    "cox, cause": lambda d: lt.cox(d, "TRT01P + AGE", event="liver", strata="SITEID"),
    "rmst": lambda d: lt.rmst(d, tau=5, **REF),
    "cumulative_incidence": lt.cumulative_incidence,
    "cumulative_incidence, strata": lambda d: lt.cumulative_incidence(d, strata="SITEID", at=10),
    "fine_gray": lambda d: lt.fine_gray(d, "TRT01P", event="liver"),
    "recurrent_events": lambda d: lt.recurrent_events(recurrences(d), **REF),
    "win_ratio": lambda d: lt.win_ratio(d, hierarchy=OUTCOMES, **REF),
    "win_ratio, strata": lambda d: lt.win_ratio(d, hierarchy=OUTCOMES, strata="SITEID", **REF),
    **{
        f"risk_difference, {method}": lambda d, m=method, s=strata: lt.risk_difference(
            d, response="RESPONSE", method=m, strata=s, **REF
        )
        for method in ("miettinen-nurminen", "newcombe", "mantel-haenszel")
        for strata in (None,)
    },
    "risk_difference, strata": lambda d: lt.risk_difference(
        d, response="RESPONSE", strata="SITEID", missing="non-responder", **REF
    ),
    "risk_ratio": lambda d: lt.risk_ratio(d, response="RESPONSE", **REF),
    "risk_ratio, score": lambda d: lt.risk_ratio(
        d, response="RESPONSE", method="miettinen-nurminen", **REF
    ),
    "odds_ratio": lambda d: lt.odds_ratio(d, response="RESPONSE", strata="SITEID", **REF),
    "odds_ratio, exact": lambda d: lt.odds_ratio(d, response="RESPONSE", method="exact", **REF),
    "cmh_test": lambda d: lt.cmh_test(d, response="STAGE", strata="SITEID"),
    "g_computation": lambda d: lt.g_computation(d, response="RESPONSE", covariates="AGE", **REF),
    "subgroup_forest, means": lambda d: lt.subgroup_forest(
        d, subgroups=["SEX"], effect="mean difference", **REF
    ),
    "subgroup_forest, risks": lambda d: lt.subgroup_forest(
        d, subgroups=["SEX"], effect="risk difference", value="RESPONSE", **REF
    ),
    "subgroup_forest, hazards": lambda d: lt.subgroup_forest(
        d, subgroups=["SEX"], effect="hazard ratio", **REF
    ),
    "derive_responders": lambda d: lt.derive_responders(records(d), **KINDS),
    "proportional_odds": lambda d: lt.proportional_odds(d, "TRT01P + AGE", outcome="STAGE"),
    "shift_table": lambda d: lt.shift_table(d, baseline="STAGE0", value="STAGE"),
    "icc": lambda d: lt.icc(ratings(d), rater="RATER"),
    "bland_altman": lambda d: lt.bland_altman(d, method_1="M1", method_2="M2"),
    "weighted_kappa": lambda d: lt.weighted_kappa(d, rater_1="STAGE", rater_2="STAGE0"),
    "repeatability": lambda d: lt.repeatability(ratings(d)),
    "real_change": lambda d: lt.real_change(
        records(d).query("AVISIT == 'Week 48'"), limits={"PDFF": 1.0}
    ),
    "dunnett": lambda d: lt.dunnett(d, covariates="AGE", **REF),
    "max_t": lambda d: lt.max_t(d, values=["CHG", "M1"], n_perm=99, seed=1, **REF),
    "clr": lt.clr,
    "ilr": lt.ilr,
    "aitchison_distance": lt.aitchison_distance,
    "permanova": lambda d: lt.permanova(d, n_perm=99, seed=1, strata="SITEID"),
    "composition_regression": lambda d: lt.composition_regression(d, **REF),
    "separation": lambda d: lt.separation(d, n_boot=99, seed=1, covariates=["AGE"], **REF),
    "compare_separation": lambda d: lt.compare_separation(
        d, values=["CHG", "M1"], n_boot=99, seed=1, **REF
    ),
    "change_pathways": lambda d: lt.change_pathways(flows(d), n_perm=99, seed=1, **REF),
    "biopsy_prediction": lambda d: lt.biopsy_prediction(
        d[["USUBJID", "RESPONSE", *PARTS]], outcome="RESPONSE", n_repeats=1, n_perm=0, n_boot=99,
        n_folds=2, n_inner=2, seed=1,
    ),
    "abstention": lambda d: lt.abstention(
        d.assign(
            model="M1", fold=d["USUBJID"].str[-1].map("0123456789".index) % 3,
            observed=d["RESPONSE"], predicted=d["M1"].astype(float) / 20,
        ),
    ),
    "prognosis": lambda d: lt.prognosis(
        d, models={"cox": lt.RidgeCox(PARTS[:2])}, horizons=[10], n_folds=2, n_inner=2, n_boot=99,
        seed=1,
    ),
    "shapley_values": lambda d: lt.shapley_values(
        d, outcome="RESPONSE", n_folds=2, n_inner=2, n_boot=99, seed=1,
        model=lt.biopsy_models({"s": PARTS[:2]}, task="binary", kinds=["linear"])["s"],
    ),
    "ancova": lambda d: lt.ancova(d, "CHG ~ BASE + TRT01P", arm="TRT01P", **REF),
    "mmrm": lambda d: lt.mmrm(visits(d), MODEL).compare(arm="TRT01P", by=["AVISIT"], **REF),
    "impute": lambda d: lt.impute(visits(d), n_imputations=2, seed=1, **REF),
    "disposition": lambda d: lt.disposition(d, records=records(d)),
    "baseline_table": lambda d: lt.baseline_table(d, columns=["AGE", "SEX", "M1"]),
    "signature_summary": lambda d: lt.signature_summary(records(d)),
    "scan_quality": lambda d: lt.scan_quality(scans(d)),
    "elastography_quality": lambda d: lt.elastography_quality(
        d[["USUBJID", "TRT01P"]].assign(
            AVISIT="Week 48", PARAMCD="MREQC", AVAL=d["RESPONSE"].astype(float)
        )
    ),
    "registration_quality": lambda d: lt.registration_quality(scans(d)),
    "site_effects": lambda d: lt.site_effects(d, measures=["AVAL", "M1"]),
    "type_atlas": lambda d: lt.type_atlas(of_types(d)),
    "type_correlation": lambda d: lt.type_correlation(
        of_types(d), parameters=PARTS, outcomes=["STAGE"], n_perm=19, seed=1,
    ),
}  # fmt: skip

#: numbers that are NaN by their definition, not for want of data: (frame, column)
BY_DEFINITION = {
    "kaplan_meier": {
        ("table", "median"), ("table", "conf_low"), ("table", "conf_high"), ("curve", "std_error"),
        ("curve", "conf_low"), ("curve", "conf_high"), ("at_risk", "conf_low"),
        ("at_risk", "conf_high"), ("at_risk", "estimate"),
    },
    "cumulative_incidence": {("curve", "conf_low"), ("curve", "conf_high")},
    "risk_difference": {
        ("table", "std_error"), ("table", "statistic"), ("nnt", "benefit_low"),
        ("nnt", "benefit_high"), ("nnt", "harm_low"), ("nnt", "harm_high"),
    },
    "risk_ratio": {("table", "std_error")},
    "odds_ratio": {("table", "std_error"), ("table", "statistic")},
    "bland_altman": {("table", "std_error"), ("table", "p_value")},
    "repeatability": {("table", "conf_low"), ("table", "conf_high")},
    "permanova": {("table", "statistic"), ("table", "p_value")},
    # descriptive tables: counts stand beside what they leave blank
    "disposition": {("table", "percent")},
    "baseline_table": {
        ("table", c)
        for c in ("mean", "sd", "median", "q1", "q3", "min", "max", "count", "percent")
    },
    "signature_summary": {
        ("table", c)
        for c in ("mean", "sd", "std_error", "conf_low", "conf_high", "median", "min", "max")
    },
    "registration_quality": {
        ("measures", c) for c in ("mean", "sd", "minimum", "median", "maximum")
    },
    "site_effects": {
        *(("table", c) for c in (
            "estimate", "conf_low", "conf_high", "statistic", "p_value", "p_adjusted",
        )),
        ("levels", "sd"),
    },
    "type_atlas": {
        ("table", c)
        for c in (
            "mean", "sd", "conf_low", "conf_high", "median", "minimum", "maximum", "difference",
            "difference_low", "difference_high",
        )
    },
    "elastography_quality": {
        ("measures", c) for c in ("mean", "sd", "minimum", "median", "maximum")
    },
    "scan_quality": {
        ("measures", c) for c in ("mean", "sd", "minimum", "median", "maximum")
    },
    "real_change": {("table", c) for c in ("estimate", "conf_low", "conf_high")},
    "biopsy_prediction": {("table", "p_value"), ("table", "chance")},  # without permutations
    "prognosis": {  # metrics over all times, without permutations, groups without an event
        ("table", "horizon"), ("table", "p_value"), ("table", "chance"), ("groups", "conf_low"),
        ("groups", "conf_high"), ("calibration", "conf_low"), ("calibration", "conf_high"),
        ("groups", "p_value"), ("curves", "std_error"), ("curves", "conf_low"),
        ("curves", "conf_high"),
    },
    "compare_separation": {
        ("measures", c) for c in ("g_apparent", "auc_apparent", "g_optimism", "auc_optimism")
    },
}  # fmt: skip


#: models that read neither events nor responses
WITHOUT_EVENTS = {"mmrm", "impute", "ancova"}


def _pairs(cases: Iterable[str]) -> list[tuple[str, str]]:
    return [
        (name, case)
        for name in CALLS
        for case in cases
        if not (name in WITHOUT_EVENTS and "event" in case)
    ]


@pytest.mark.parametrize(("name", "case"), _pairs(CASES))
def test_every_degenerate_trial_has_a_designed_answer(name: str, case: str) -> None:
    data = CASES[case]
    before = data.copy(deep=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = CALLS[name](data)
        except LivertrackError as error:
            message = str(error)
            named = re.search(r"\d|records|adpath|features|response|TRT01P", message)
            assert named, f"neither a count nor a dataset or column: {message}"
            assert len(message) > 30, f"no cure: {message}"
            assert "SUBJ-" not in message
            return
        finally:
            pd.testing.assert_frame_equal(data, before)
    if isinstance(result, Result):
        _explained(result, BY_DEFINITION.get(name.split(",")[0], set()))


def _explained(result: Result, by_definition: set[tuple[str, str]]) -> None:
    gaps = [
        (frame_name, column)
        for frame_name, frame in result.frames().items()
        for column in frame.select_dtypes("number")
        if frame[column].isna().any() and (frame_name, column) not in by_definition
    ]
    assert result.notes or not gaps, f"no note explains {gaps}"
    said = " ".join([result.text, *result.notes])
    assert not re.search(r"\b(nan|inf|None|NaT)\b", said), said
    assert "SUBJ-" not in said


def test_every_public_endpoint_meets_degenerate_data_here_or_in_its_own_tests(
    repository: Path,
) -> None:
    # of another result, which has been through this already
    tried = {"mmrm_diagnostics", "vocabulary_recovery", *(name.split(",")[0] for name in CALLS)}
    others = [
        text
        for path in (repository / "tests").rglob("test_*.py")
        if path.name != Path(__file__).name
        and "pytest.raises" in (text := path.read_text(encoding="utf-8"))
    ]
    public = {
        name
        for name, module in lt._EXPORTS.items()
        if module.startswith("livertrack.endpoints") and name[0].islower()
    }
    missing = [
        name
        for name in sorted(public - tried)
        if not any(re.search(rf"\b{name}\(", text) for text in others)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("name", "case"), _pairs(["one subject per arm", "all tied", "no event", "all events"])
)
def test_the_answer_does_not_depend_on_the_order_of_rows(name: str, case: str) -> None:
    data = CASES[case]
    answers = []
    for frame in (data, data.iloc[::-1]):
        try:
            answers.append(CALLS[name](frame))
        except LivertrackError as error:
            answers.append(str(error))
    first, second = answers
    if isinstance(first, Result):
        for key, frame in first.frames().items():
            if name.split(",")[0] not in {"clr", "ilr"}:  # one row per row of the data
                pd.testing.assert_frame_equal(frame, second.frames()[key], rtol=1e-6, atol=1e-9)
    elif isinstance(first, str):
        assert first == second
