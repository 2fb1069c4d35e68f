"""Events that can recur: mean number over time, and ratios of rates between arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._checks import require_conf_level
from livertrack.endpoints._events import Floats, level_rows
from livertrack.endpoints._negative_binomial import negative_binomial
from livertrack.endpoints._partial_likelihood import PartialLikelihood, maximise
from livertrack.endpoints._recurrences import Intervals, intervals
from livertrack.endpoints._sentences import interval_text
from livertrack.endpoints._strata import stratum_numbers
from livertrack.endpoints._terms import formula_columns, model_terms, require_full_rank
from livertrack.endpoints._two_by_two import compared_arms
from livertrack.errors import DataError, UsageError

_AG, _NB = "Andersen-Gill", "negative binomial"
_METHOD = {_AG: "Andersen-Gill, robust variance (LWYY)", _NB: "negative binomial"}


@dataclass(frozen=True, kw_only=True)
class RecurrentEvents(Result):
    """Rate ratios (``table``), rates, mean functions, coefficients and fit of both models."""

    rates: pd.DataFrame
    mean_function: pd.DataFrame
    coefficients: pd.DataFrame
    fit: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("arm", "model", "term")
    context: ClassVar[str] = "recurrent_events"


def recurrent_events(
    data: pd.DataFrame,
    *,
    arm: str = "TRT01P",
    reference: str,
    subject: str = "USUBJID",
    time: str = "AVAL",
    censor: str = "CNSR",
    start: str | None = None,
    covariates: str | None = None,
    strata: str | list[str] | None = None,
    ties: Literal["efron", "breslow"] = "efron",
    conf_level: float = 0.95,
) -> RecurrentEvents:
    """Compare the rates of an event that a subject can have more than once.

    Parameters
    ----------
    data : DataFrame, one row per event and one that closes follow-up
        Records of one kind of event. ``censor`` = 0: an event at ``time``, in any one unit from
        randomisation; >= 1: the end of follow-up. A subject without event has the closing row
        only; a row that closes at the time of the last event may be left out.
    arm, reference : str
        Column and the level the others are compared with.
    subject, time, censor : str
        Columns.
    start : str, optional
        Column with the begin of each interval at risk, for records in counting-process form;
        gaps between the intervals of a subject are time not at risk.
    covariates : str, optional
        Right-hand side of further terms, e.g. ``"AGE + SEX"``; one value per subject.
    strata : str or list of str, optional
        Columns whose combinations have baseline rates of their own in the Andersen-Gill model;
        in the negative binomial model they are factors.
    ties : {"efron", "breslow"}
        Handling of events of different subjects at the same time.
    conf_level : float
        Of the Wald limits (on the log scale).

    Returns
    -------
    RecurrentEvents
        ``.table``: per ``arm`` and ``model`` (Andersen-Gill; negative binomial) ``reference,
        rate_ratio, rate_ratio_low, rate_ratio_high`` and, on the log scale, ``estimate,
        std_error, statistic`` (z), ``p_value, conf_low, conf_high``; ``n_arm, n_ref, events_arm,
        events_ref, method``.
        ``.rates``: ``arm, n, n_with_event, events, exposure`` (time at risk), ``rate`` (events
        per unit of time).
        ``.mean_function``: ``arm, time, n_risk, n_event, estimate`` (mean number of events of a
        subject by then), ``std_error, conf_low, conf_high``, at every time of an event.
        ``.coefficients``: ``model, term, estimate, std_error, naive_error`` (events of a subject
        taken as independent), ``statistic, p_value``. ``.fit``: ``model, loglik, dispersion``
        (variance of a count = mean + dispersion x mean^2), ``n, events``.

    Notes
    -----
    Denominator: subjects with all of time, flag, arm, covariates and strata in every record; a
    subject with a blank is dropped whole, and counted.
    A ratio below 1: fewer events than ``reference``. Both models compare rates while under
    observation; where death ends follow-up they say nothing about the number of events in a
    lifetime.
    Andersen-Gill estimates the ratio of means whatever the dependence of a subject's events
    (variance clustered by subject). The negative binomial model assumes a constant rate with
    gamma frailty; without overdispersion it is Poisson, with a note.
    An arm without events has the ratio 0 (infinite where it is the reference's) without limits,
    an arm without subjects NaN; robust limits need two subjects in an arm. Each is in ``notes``.
    Two events of a subject at one time, an event at time 0, or records after the closing one are
    a `DataError`.
    Source: Andersen and Gill (1982); Lin, Wei, Yang and Ying (2000); Lawless and Nadeau (1995)
    for the mean function; Lawless (1987) for the negative binomial.
    Checked against: R survival 3.5 ``coxph(cluster = )``, ``survfit(id = )``, MASS 7.3
    ``glm.nb`` (tests/reference/recurrent_events.R).
    """
    require_conf_level(conf_level)
    if ties not in ("efron", "breslow"):
        msg = f"ties is 'efron' or 'breslow', got {ties!r}"
        raise UsageError(msg)
    by = [strata] if isinstance(strata, str) else list(strata or [])
    extra = formula_columns(covariates, data) if covariates else []
    found = intervals(
        data, subject=subject, time=time, censor=censor, start=start, fixed=[arm, *by, *extra]
    )  # fmt: skip
    if found.data.empty:
        msg = f"no subject has complete records and time at risk; {len(data)} row(s) were given"
        raise DataError(msg)
    levels = compared_arms(found.data, arm, reference)
    notes = [*found.notes]
    rates = _rates(found, arm, [*levels, reference])
    seen = rates.loc[rates["n"].gt(0), "arm"]
    curves = [_mean_function(found, arm, level, conf_level) for level in seen]
    compared = _comparable(rates, reference, notes)
    rows: list[dict[str, Any]] = []
    fit: list[dict[str, Any]] = []
    sizes = {"n": int(rates["n"].sum()), "events": int(found.event.sum())}
    part = _only(found, arm, [reference, *compared])
    for model in (_AG, _NB) if compared else ():
        lines, facts = _fitted(model, part, arm, compared, covariates, by, ties, rates, notes)
        rows += lines
        fit.append({"model": model, **facts, **sizes})
    if not levels:
        notes.append(f"no arm besides the reference {reference}")
    coefficients = pd.DataFrame(rows, columns=list(_COEFFICIENTS))
    table = _compared(coefficients, arm, levels, reference, rates, conf_level)
    return RecurrentEvents(
        table=table,
        rates=rates,
        mean_function=pd.concat(curves, ignore_index=True),
        coefficients=coefficients,
        fit=pd.DataFrame(fit, columns=["model", "loglik", "dispersion", "n", "events"]),
        text=_sentence(table, rates, conf_level),
        settings={
            "method": "Andersen-Gill with robust variance; negative binomial", "arm": arm,
            "reference": reference, "covariates": covariates or "", "strata": by, "ties": ties,
            "conf_level": conf_level, "time": time, "censor": censor, "start": start,
            **sizes,
        },
        notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip


_COEFFICIENTS = (
    "model", "term", "estimate", "std_error", "naive_error", "statistic", "p_value",
)  # fmt: skip
_TABLE = (
    "arm", "reference", "model", "rate_ratio", "rate_ratio_low", "rate_ratio_high", "estimate",
    "std_error", "statistic", "p_value", "conf_low", "conf_high", "n_arm", "n_ref", "events_arm",
    "events_ref", "method",
)  # fmt: skip


def _rates(found: Intervals, arm: str, levels: Sequence[str]) -> pd.DataFrame:
    subjects = found.subjects
    count = found.per_subject(found.event.astype(float))
    exposure = found.per_subject(found.stop - found.start)
    rows = []
    for level in levels:
        mine = level_rows(subjects[arm], level)
        rows.append(
            {
                "arm": level, "n": int(mine.sum()), "n_with_event": int((count[mine] > 0).sum()),
                "events": int(count[mine].sum()), "exposure": float(exposure[mine].sum()),
                "rate": count[mine].sum() / exposure[mine].sum() if mine.any() else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _mean_function(found: Intervals, arm: str, level: str, conf_level: float) -> pd.DataFrame:
    """Nelson-Aalen estimate of the mean number of events, variance clustered by subject."""
    mine = level_rows(found.data[arm], level)
    start, stop, event = found.start[mine], found.stop[mine], found.event[mine]
    who = np.unique(found.subject[mine], return_inverse=True)[1]
    times, number = np.unique(stop[event], return_counts=True)
    at_risk = len(stop) - np.searchsorted(np.sort(stop), times)
    at_risk = at_risk - (len(start) - np.searchsorted(np.sort(start), times))
    estimate = np.cumsum(number / at_risk)
    residual, variance = np.zeros(int(who.max()) + 1), np.empty(len(times))
    for place, t in enumerate(times):
        there = (start < t) & (stop >= t)
        np.add.at(residual, who[there], -number[place] / at_risk[place] ** 2)
        np.add.at(residual, who[event & (stop == t)], 1 / at_risk[place])
        variance[place] = (residual**2).sum()
    # with one subject there is nothing to estimate a variance from
    error = np.sqrt(variance) if len(residual) > 1 else np.full(len(times), np.nan)
    half = float(stats.norm.ppf((1 + conf_level) / 2)) * error / estimate
    return pd.DataFrame(
        {
            "arm": level, "time": times, "n_risk": at_risk, "n_event": number,
            "estimate": estimate, "std_error": error, "conf_low": estimate * np.exp(-half),
            "conf_high": estimate * np.exp(half),
        }
    )  # fmt: skip


def _comparable(rates: pd.DataFrame, reference: str, notes: list[str]) -> list[str]:
    """Arms with events, where the reference has some too; a note on each of the others."""
    for row in rates.to_dict("records"):
        if not row["n"]:
            notes.append(f"{row['arm']}: no subject; no rate ratio")
        elif not row["events"]:
            notes.append(f"{row['arm']}: no event in {row['n']} subjects; no limits of a ratio")
    active = list(rates.loc[rates["events"].gt(0), "arm"])
    return [level for level in active if level != reference] if reference in active else []


def _only(found: Intervals, arm: str, levels: Sequence[str]) -> Intervals:
    """Intervals of some arms. An arm without events adds nothing to the likelihood of the rest."""
    keep = found.data[arm].isin(levels).to_numpy()
    return Intervals(
        found.data[keep], np.unique(found.subject[keep], return_inverse=True)[1],
        found.start[keep], found.stop[keep], found.event[keep], found.notes,
    )  # fmt: skip


def _fitted(
    model: str, found: Intervals, arm: str, levels: Sequence[str], covariates: str | None,
    by: list[str], ties: str, rates: pd.DataFrame, notes: list[str],
) -> tuple[list[dict[str, Any]], dict[str, float]]:  # fmt: skip
    """Coefficients and fit of one model; NaN and a note where it cannot be fitted."""
    try:
        if model == _AG:
            return _andersen_gill(found, arm, levels, covariates, by, ties, rates, notes)
        return _counts(found, arm, levels, covariates, by, notes)
    except DataError as error:
        notes.append(f"{model}: no rate ratio: {error}")
    nan = float("nan")
    blank = dict.fromkeys(_COEFFICIENTS[2:], nan)
    rows = [{"model": model, "term": f"{arm}[{level}]", **blank} for level in levels]
    return rows, {"loglik": nan, "dispersion": nan}


def _design(
    rows: pd.DataFrame, arm: str, levels: Sequence[str], covariates: str | None
) -> tuple[Floats, list[str]]:
    columns = [level_rows(rows[arm], level).astype(float)[:, None] for level in levels]
    names = [f"{arm}[{level}]" for level in levels]
    if covariates:
        terms = model_terms(rows, covariates)
        require_full_rank(terms, covariates)
        columns.append(terms.X)
        names += list(terms.names)
    return np.hstack(columns), names


def _andersen_gill(
    found: Intervals, arm: str, levels: Sequence[str], covariates: str | None, by: list[str],
    ties: str, rates: pd.DataFrame, notes: list[str],
) -> tuple[list[dict[str, Any]], dict[str, float]]:  # fmt: skip
    X, names = _design(found.data, arm, levels, covariates)
    X = X - X.mean(axis=0)
    model = PartialLikelihood(
        found.stop, found.event, X, start=found.start, ties=ties,
        place=stratum_numbers(found.data, by) if by else None,
    )  # fmt: skip
    beta, inverse, loglik = maximise(model, X.std(axis=0), names, what="Andersen-Gill model")
    residuals = np.zeros((int(found.subject.max()) + 1, X.shape[1]))
    np.add.at(residuals, found.subject, model.score_residuals(beta))
    error = np.sqrt(np.diag(inverse @ residuals.T @ residuals @ inverse))
    few = rates.loc[rates["arm"].isin(found.data[arm]) & rates["n"].lt(2), "arm"].astype(str)
    if len(few):
        notes.append(f"{_AG}: one subject in {', '.join(few)}, no limits")
        error = np.full_like(error, np.nan)
    fit = {"loglik": loglik, "dispersion": float("nan")}
    return _rows(_AG, names, beta, error, np.sqrt(np.diag(inverse))), fit


def _counts(
    found: Intervals, arm: str, levels: Sequence[str], covariates: str | None, by: list[str],
    notes: list[str],
) -> tuple[list[dict[str, Any]], dict[str, float]]:  # fmt: skip
    subjects = found.subjects
    X, names = _design(subjects, arm, levels, covariates)
    if by:
        place = stratum_numbers(subjects, by)
        X = np.hstack([X, (place[:, None] == np.unique(place)[1:]).astype(float)])
        names += [f"stratum[{number}]" for number in range(1, len(np.unique(place)))]
    y = found.per_subject(found.event.astype(float))
    fitted = negative_binomial(
        y,
        np.column_stack([np.ones(len(X)), X]),
        found.per_subject(found.stop - found.start),
    )
    if fitted.dispersion == 0:
        notes.append(f"{_NB}: no overdispersion, the Poisson limit")
    error = np.sqrt(np.diag(fitted.covariance))[1:]
    rows = _rows(_NB, names, fitted.beta[1:], error, np.full_like(error, np.nan))
    return rows, {"loglik": fitted.loglik, "dispersion": fitted.dispersion}


def _rows(
    model: str, names: Sequence[str], beta: Floats, error: Floats, naive: NDArray[np.float64]
) -> list[dict[str, Any]]:
    z = beta / np.where(error > 0, error, np.nan)
    return [
        {
            "model": model, "term": name, "estimate": b, "std_error": e, "naive_error": n,
            "statistic": s, "p_value": float(2 * stats.norm.sf(abs(s))),
        }
        for name, b, e, n, s in zip(names, beta, error, naive, z, strict=True)
    ]  # fmt: skip


def _compared(
    coefficients: pd.DataFrame, arm: str, levels: Sequence[str], reference: str,
    rates: pd.DataFrame, conf_level: float,
) -> pd.DataFrame:  # fmt: skip
    """Rate ratios of the arms, out of the coefficients."""
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    counted = {row["arm"]: row for row in rates.to_dict("records")}
    found = {(row["model"], row["term"]): row for row in coefficients.to_dict("records")}
    rows = []
    for level in levels:
        mine, theirs = counted[level], counted[reference]
        for model in (_AG, _NB):
            line = found.get((model, f"{arm}[{level}]"), _crude(mine, theirs))
            estimate, error = line["estimate"], line["std_error"]
            low, high = estimate - z * error, estimate + z * error
            rows.append(
                {
                    "arm": level, "reference": reference, "model": model,
                    "rate_ratio": np.exp(estimate), "rate_ratio_low": np.exp(low),
                    "rate_ratio_high": np.exp(high), "estimate": estimate, "std_error": error,
                    "statistic": line["statistic"], "p_value": line["p_value"],
                    "conf_low": low, "conf_high": high,
                    "n_arm": mine["n"], "n_ref": theirs["n"], "events_arm": mine["events"],
                    "events_ref": theirs["events"], "method": _METHOD[model],
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(_TABLE))


def _crude(mine: dict[Any, Any], theirs: dict[Any, Any]) -> dict[Any, Any]:
    """Ratio with an empty side: 0 or infinite, nothing else is known."""
    nan = float("nan")
    sign = float(np.sign(mine["events"])) - float(np.sign(theirs["events"]))
    estimate = sign * np.inf if sign and mine["n"] else nan
    return {"estimate": estimate, "std_error": nan, "statistic": nan, "p_value": nan}


def _sentence(table: pd.DataFrame, rates: pd.DataFrame, conf_level: float) -> str:
    counts = "; ".join(
        f"{row['arm']}: {row['events']} events in {row['n']} subjects"
        + (f", {row['rate']:.4g} per unit of time" if row["n"] else "")
        for row in rates.to_dict("records")
    )
    ratios = "; ".join(
        f"{row['arm']} against {row['reference']}, {row['model']}: rate ratio " + interval_text(
            row["rate_ratio"], row["rate_ratio_low"], row["rate_ratio_high"],
            conf_level=conf_level, p=row["p_value"],
        )
        for row in table.to_dict("records")
    )  # fmt: skip
    return f"{counts}. {ratios or 'No arm to compare'}."
