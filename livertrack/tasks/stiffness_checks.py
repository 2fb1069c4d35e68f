"""What a prediction of stiffness must also show: thresholds, intervals, independence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from livertrack._results import Result
from livertrack.endpoints._checks import require_columns, require_level
from livertrack.endpoints._prediction_frames import wilson
from livertrack.endpoints.confounder_audit import confounder_audit
from livertrack.endpoints.cross_validation import CrossValidation
from livertrack.endpoints.prediction_interval import prediction_interval
from livertrack.endpoints.separation import separation
from livertrack.errors import DataError
from livertrack.tasks._task import Cases

#: kPa at which a liver is called stiff
THRESHOLDS = (2.5, 3.0, 3.5, 4.0, 5.0)
#: kPa that do not matter for care, for one SD of a number or between two levels: a tenth of the
#: distance between a normal liver (2.5 kPa) and cirrhosis (5 kPa)
MARGIN = 0.25
COVARIATES = ("AGE", "SEX", "BMI", "STEATOSIS", "SITEID", "VENDOR")
#: published AUROC at 3 kPa (Ali et al. 2026)
PUBLISHED_AUROC = {"k-fold": 0.83, "temporal": 0.82, "external": 0.79}


@dataclass(frozen=True, kw_only=True)
class StiffnessChecks(Result):
    """Result of `stiffness_checks`: AUROC by threshold (``table``), ``coverage``, ``audit``."""

    coverage: pd.DataFrame
    audit: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("split", "model", "covariate", "contrast")
    context: ClassVar[str] = "stiffness_checks"


def stiffness_checks(
    result: CrossValidation,
    cases: Cases,
    *,
    model: str = "transformer",
    calibrate: CrossValidation | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    covariates: Sequence[str] = COVARIATES,
    margin: float | Mapping[str, float] = MARGIN,
    conf_level: float = 0.9,
) -> StiffnessChecks:
    """Read what is asked of predictions that already are out of fold.

    Parameters
    ----------
    result : CrossValidation
        Of `evaluate_task`, any split.
    cases : Cases
        The cases that were predicted, for the covariates.
    model : str
        Model that is looked at.
    calibrate : CrossValidation, optional
        Ten-fold result whose errors give the prediction intervals of a temporal or external
        ``result``, which has one fold and nothing left to calibrate on.
    thresholds : sequence of float
        kPa.
    covariates : sequence of str
        Columns of the cases; those that are absent are left out, with a note.
    margin : float or mapping
        kPa that do not matter, for `confounder_audit`.
    conf_level : float
        Level of the prediction intervals.

    Returns
    -------
    StiffnessChecks
        ``.table``: ``split, model, threshold, auc, auc_low, auc_high`` (DeLong, 95 %), ``n_above,
        n_below, published``. ``.coverage``: ``split, model, half_width, coverage, conf_low,
        conf_high, n_subjects``. ``.audit``: as `confounder_audit`, of observed minus predicted.

    Notes
    -----
    Denominator: subjects predicted in the first partition; several examinations of a subject are
    averaged for the AUROC, and count as one (the worst) for the coverage. A threshold with all
    subjects on one side has NaN; so have intervals with too few subjects, or one fold and no
    ``calibrate``, with a note; without covariates the audit is empty.
    Source: DeLong et al. (1988); Lei et al. (2018); Schuirmann (1987).
    Checked against: `separation`, `prediction_interval` and `confounder_audit`, whose references
    are their own (tests/tasks/test_stiffness.py).
    """
    split = str(result.settings["split"])
    require_level(result.predictions, "model", model, what="model")
    rows = _of_model(result, model)
    notes: list[str] = []
    lacking = [c for c in covariates if c not in cases.frame]
    if lacking:
        notes.append(f"not audited, for lack of a column: {', '.join(lacking)}")
    table = _thresholds(rows, thresholds).assign(model=model, split=split)
    table["published"] = [
        PUBLISHED_AUROC.get(split, np.nan) if t == 3.0 else np.nan for t in table["threshold"]
    ]
    other = None if calibrate is None else _of_model(calibrate, model)
    coverage = _coverage(rows, other, conf_level, notes).assign(model=model, split=split)
    audit, said_of_audit = _audit(
        rows, cases, [c for c in covariates if c not in lacking], margin, notes
    )
    at = table.loc[table["threshold"].eq(3.0)]
    said = f"AUROC at 3 kPa {at['auc'].iloc[0]:.2f}. " if len(at) else ""
    found = coverage.iloc[0]
    if np.isfinite(found["half_width"]):
        said += (
            f"{100 * conf_level:g} % prediction intervals of +/- {found['half_width']:.2f} kPa "
            f"hold {100 * found['coverage']:.0f} % of {found['n_subjects']} subjects. "
        )
    return StiffnessChecks(
        table=table, coverage=coverage, audit=audit.assign(split=split, model=model),
        text=f"{model}, {split}: {said}{said_of_audit}".strip(),
        settings={
            "method": "DeLong; conformal by subject; two one-sided tests", "split": split,
            "model": model, "thresholds": list(thresholds), "conf_level": conf_level,
            "covariates": list(covariates), "simulated": cases.simulated,
            "margin": dict(margin) if isinstance(margin, Mapping) else margin,
        },
        notes=tuple(notes),
    )  # fmt: skip


def _of_model(result: CrossValidation, model: str) -> pd.DataFrame:
    found = result.predictions
    return found[found["model"].eq(model) & found["repeat"].eq(0)].reset_index(drop=True)


def _thresholds(rows: pd.DataFrame, thresholds: Sequence[float]) -> pd.DataFrame:
    """AUROC of being at or above each threshold."""
    whole = rows.groupby("USUBJID")[["observed", "predicted"]].mean().reset_index()
    out = []
    for threshold in thresholds:
        above = whole["observed"].ge(threshold)
        row = {
            "threshold": float(threshold), "auc": np.nan, "auc_low": np.nan, "auc_high": np.nan,
            "n_above": int(above.sum()), "n_below": int((~above).sum()),
        }  # fmt: skip
        if above.any() and not above.all():
            found = separation(
                whole.assign(SIDE=np.where(above, "above", "below")), value="predicted",
                arm="SIDE", reference="below", n_boot=0, seed=0,
            ).table.iloc[0]  # fmt: skip
            row |= {name: float(found[name]) for name in ("auc", "auc_low", "auc_high")}
        out.append(row)
    return pd.DataFrame(out)


def _coverage(
    rows: pd.DataFrame, other: pd.DataFrame | None, conf_level: float, notes: list[str]
) -> pd.DataFrame:
    """Half width and share of held-out subjects inside, by folds or by another result's folds."""
    columns = ["half_width", "coverage", "conf_low", "conf_high", "n_subjects"]
    try:
        if other is None:
            return prediction_interval(rows, conf_level=conf_level).table[columns]
        beyond = int(other["fold"].max()) + 1
        # subjects of a temporal split were predicted in the folds too: they must not calibrate
        apart = other[~other["USUBJID"].isin(rows["USUBJID"])]
        both = pd.concat([apart, rows.assign(fold=beyond)], ignore_index=True)
        found = prediction_interval(both, conf_level=conf_level).intervals
    except DataError as error:
        notes.append(f"no prediction intervals: {error}")
        lost = [np.nan] * 4
        return pd.DataFrame([[*lost, rows["USUBJID"].nunique()]], columns=columns)
    new = found[found["fold"].eq(beyond)]
    inside = new.groupby("USUBJID")["inside"].all()
    low, high = wilson(float(inside.mean()), len(inside), 0.95)
    width = float((new["high"] - new["low"]).mean() / 2)
    return pd.DataFrame([[width, float(inside.mean()), low, high, len(inside)]], columns=columns)


def _audit(
    rows: pd.DataFrame, cases: Cases, covariates: Sequence[str],
    margin: float | Mapping[str, float], notes: list[str],
) -> tuple[pd.DataFrame, str]:  # fmt: skip
    """Dependence of errors on covariates; an empty frame where there is none to look at."""
    if not covariates:
        return pd.DataFrame(columns=["covariate", "contrast", "estimate", "equivalent"]), ""
    joined = _with_covariates(rows, cases, covariates)
    checked = confounder_audit(joined, residual="residual", margin=margin, covariates=covariates)
    notes += checked.notes
    return checked.table, checked.text


def _with_covariates(rows: pd.DataFrame, cases: Cases, covariates: Sequence[str]) -> pd.DataFrame:
    """Errors beside the covariates of their subject (the first examination's)."""
    require_columns(cases.frame, ["USUBJID"])
    first = cases.frame.groupby("USUBJID", sort=False)[list(covariates)].first()
    residual = rows["observed"] - rows["predicted"]
    return rows.assign(residual=residual).join(first, on="USUBJID")
