"""Reference-based multiple imputation of a repeated endpoint, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from livertrack._seeds import generator
from livertrack.endpoints._checks import (
    numeric,
    require_columns,
    require_conf_level,
    require_level,
    require_unique,
)
from livertrack.endpoints._design import Floats, occurring_levels
from livertrack.endpoints._imputation_analysis import (
    ImputedAnalysis,
    TippingPoint,
    analyse_imputed,
    tipping_point_of,
)
from livertrack.endpoints._imputation_model import (
    ImputationModel,
    Parameters,
    bayes_draws,
    bootstrap_draws,
    conditional,
    fit_model,
    refit,
)
from livertrack.endpoints._imputation_strategies import (
    assumed_covariance,
    assumed_mean,
    check_strategy,
)
from livertrack.errors import DataError, UsageError

__all__ = ["Imputation", "ImputedAnalysis", "TippingPoint", "impute"]

Draws = Literal["bayes", "bootstrap", "conditional-mean"]


@dataclass(frozen=True, eq=False)
class Imputation:
    """Completed data sets of a repeated endpoint.

    Attributes
    ----------
    grid : DataFrame
        One row per subject and visit, sorted, with the observed values; ``IMPUTED`` marks rows
        that were filled in, ``AFTER`` those past the intercurrent event.
    sets : ndarray (imputations, subjects, visits)
        Completed responses; one set for ``conditional-mean``.
    model : ImputationModel
        The fitted imputation model.
    event : ndarray (subjects,)
        First visit past the intercurrent event; the number of visits where there is none.
    strategy : tuple of str
        Strategy of every subject.
    settings : mapping
    """

    grid: pd.DataFrame
    sets: Floats
    model: ImputationModel
    event: np.ndarray
    strategy: tuple[str, ...]
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def completed(self, number: int = 0) -> pd.DataFrame:
        """Completed data set ``number`` (0..imputations - 1) in the form of the data."""
        return self.grid.assign(**{self.settings["value"]: self.sets[number].ravel()})

    def analyse(
        self,
        formula: str | None = None,
        *,
        delta: float | Mapping[Any, float] = 0.0,
        conf_level: float = 0.95,
    ) -> ImputedAnalysis:
        """ANCOVA of every visit in every completed data set, pooled.

        Parameters
        ----------
        formula : str, optional
            ANCOVA at each visit; by default response ~ covariates + arm.
        delta : float or mapping arm -> float
            Added to imputed values: to those of all arms but the reference, or by arm.
        conf_level : float

        Returns
        -------
        ImputedAnalysis
            ``.table``: one row per visit and arm: ``estimate, std_error, df, ...,
            fraction_missing``. Draws are pooled by Rubin's rules; ``conditional-mean`` has the
            jackknife over subjects and a normal reference distribution.
        """
        require_conf_level(conf_level)
        return analyse_imputed(self, formula, delta, conf_level)

    def tipping_point(
        self,
        deltas: Sequence[float],
        *,
        visit: Any | None = None,
        formula: str | None = None,
        conf_level: float = 0.95,
    ) -> TippingPoint:
        """Repeat the analysis with each of ``deltas`` added to the imputed values of the arms.

        Parameters
        ----------
        deltas : sequence of float
            In the unit of the response; added to all arms but the reference.
        visit : optional
            Visit of interest; the last by default.

        Returns
        -------
        TippingPoint
            ``.table`` one row per delta and arm; ``.tipping``: per arm the first delta, from zero
            outwards, at which the result is no longer significant (NaN where none is).
        """
        require_conf_level(conf_level)
        return tipping_point_of(self, deltas, visit, formula, conf_level)

    def jackknife(self) -> list[Floats]:
        """Conditional-mean completed values with each subject left out in turn."""
        n_fitted = self.model.fit.data.n_subjects
        in_model = np.atleast_1d(~np.isnan(self.model.y).all(axis=1))
        found = []
        for person in range(len(in_model)):
            parameters: Parameters | None = self.model.estimate
            if in_model[person]:
                times = np.ones(n_fitted, np.int64)
                times[in_model[:person].sum()] = 0
                parameters = refit(self.model.fit, times)
            if parameters is None:
                msg = (
                    "jackknife: the imputation model cannot be fitted without one of the subjects"
                )
                raise DataError(msg)
            values = _complete(self.model, parameters, self.event, self.strategy, self._kept, None)
            found.append(np.delete(values, person, axis=0))
        return found

    @property
    def _kept(self) -> Floats:
        """Observed values to keep in every completed data set (subjects x visits)."""
        return self.grid["(kept)"].to_numpy(float).reshape(self.model.y.shape)


def impute(
    data: pd.DataFrame,
    *,
    value: str = "CHG",
    arm: str = "TRT01P",
    reference: Any,
    visit: str = "AVISIT",
    subject: str = "USUBJID",
    covariates: Sequence[str] = ("BASE",),
    formula: str | None = None,
    strategy: str = "MAR",
    events: pd.DataFrame | None = None,
    draws: Draws = "bayes",
    n_imputations: int = 100,
    seed: int | None = None,
) -> Imputation:
    """Impute missing records under MAR or reference-based assumptions.

    Parameters
    ----------
    data : DataFrame, one row per subject and visit (absent rows count as missing)
        ``arm`` and ``covariates`` are properties of the subject, without missing values.
    value, arm, visit, subject : str
        Columns.
    reference : str
        Reference arm: of the comparisons and of the strategies.
    covariates : sequence of str
        Baseline covariates of the imputation model (each by visit) and of the analysis.
    formula : str, optional
        Imputation model; by default ``value ~ covariates * visit + arm * visit + us(visit |
        subject)``. A group in the covariance term gives every arm a covariance of its own.
    strategy : {"MAR", "JR", "CR", "CIR", "LMCF"}
        For records after a subject's last observed one: missing at random, jump to reference,
        copy reference, copy increments in reference, last mean carried forward. Missing records
        between observed ones are missing at random.
    events : DataFrame, optional
        Intercurrent events: columns ``subject`` and ``visit`` (first visit affected) and, if
        wanted, ``STRATEGY`` (also ``"hypothetical"``: MAR after removing later records). Then
        these decide, and dropout without an event is MAR. Observed records past an event are kept
        in the completed data, but a reference-based strategy hides them from the model.
    draws : {"bayes", "bootstrap", "conditional-mean"}
        Bayesian draws of the parameters (unstructured covariance), approximate Bayesian ones by
        bootstrap refits, or one imputation by conditional means, analysed with the jackknife.
    n_imputations : int
        Completed data sets (one with ``conditional-mean``).
    seed : int
        Needed for draws.

    Returns
    -------
    Imputation
        ``.completed(i)``, ``.analyse()``, ``.tipping_point(deltas)``.

    Notes
    -----
    Denominator: all subjects of ``data`` with arm and covariates; a subject without any record is
    imputed from the distribution of the strategy.
    Source: Carpenter, Roger & Kenward (2013); Wolbers et al. (2022) for conditional means with
    jackknife; Rubin (1987); Barnard & Rubin (1999).
    Checked against: hand-computed conditional normal distributions; the identity of
    conditional-mean MAR imputation with the MMRM; R mice 3.15 ``pool.scalar`` for pooling.
    """
    require_columns(data, [value, arm, visit, subject, *covariates])
    require_level(data, arm, reference, what="reference")
    require_unique(data, [subject, visit])
    check_strategy(strategy)
    if draws not in ("bayes", "bootstrap", "conditional-mean"):
        msg = f"draws={draws!r}: choose 'bayes', 'bootstrap' or 'conditional-mean'"
        raise UsageError(msg)
    if draws != "conditional-mean" and (seed is None or n_imputations < 2):
        msg = "impute: draws need a seed and n_imputations of at least 2"
        raise UsageError(msg)
    grid, notes = _grid(data, value, arm, visit, subject, covariates)
    visits = list(occurring_levels(grid[visit]))
    y = grid[value].to_numpy(float).reshape(-1, len(visits))
    event, strategies = _events(grid, y, events, strategy, subject, visit, visits)
    after = np.arange(len(visits)) >= event[:, None]
    removed = after & np.array([s == "hypothetical" for s in strategies])[:, None]
    hidden = after & np.array([s != "MAR" for s in strategies])[:, None]
    kept, modelled = np.where(removed, np.nan, y), np.where(hidden, np.nan, y)
    formula = formula or _default_formula(value, arm, visit, subject, covariates)
    model = fit_model(grid, formula, y=modelled, value=value, arm=arm, reference=reference)
    rng = generator(seed or 0, "impute", draws)
    source = generator(seed or 0, "impute.model", draws)
    if draws == "conditional-mean":
        sets = [_complete(model, model.estimate, event, strategies, kept, None)]
    else:
        make = bayes_draws if draws == "bayes" else bootstrap_draws
        sets = [
            _complete(model, parameters, event, strategies, kept, rng)
            for parameters in make(model, n_imputations, source)
        ]
    grid = grid.assign(
        **{"IMPUTED": np.isnan(kept).ravel(), "AFTER": after.ravel(), "(kept)": kept.ravel()}
    )
    settings = {
        "method": f"multiple imputation ({strategy}, {draws})", "value": value, "arm": arm,
        "reference": reference, "visit": visit, "subject": subject,
        "covariates": list(covariates), "formula": formula, "strategy": strategy, "draws": draws,
        "n_imputations": len(sets), "seed": seed,
        "n_imputed": int(np.isnan(kept).sum()), "n_hidden": int((hidden & ~np.isnan(y)).sum()),
    }  # fmt: skip
    return Imputation(
        grid, np.array(sets), model, event, tuple(strategies), settings, tuple(notes)
    )


def _default_formula(
    value: str, arm: str, visit: str, subject: str, covariates: Sequence[str]
) -> str:
    terms = [f"`{name}` * `{visit}`" for name in (*covariates, arm)]
    return f"`{value}` ~ {' + '.join(terms)} + us(`{visit}` | `{subject}`)"


def _grid(
    data: pd.DataFrame, value: str, arm: str, visit: str, subject: str, covariates: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """All subjects at all visits, sorted, with their arm and covariates."""
    fixed = [arm, *covariates]
    varying = data.groupby(subject, observed=True)[fixed].nunique(dropna=False).gt(1)
    changing = [f"{name} ({int(varying[name].sum())})" for name in fixed if varying[name].any()]
    if changing:
        msg = f"not constant within subjects: {', '.join(changing)} subject(s)"
        raise DataError(msg)
    people = data.drop_duplicates(subject).set_index(subject)[fixed].sort_index()
    complete = people.notna().all(axis=1)
    notes = []
    if not complete.all():
        notes.append(
            f"left out {int((~complete).sum())} of {len(people)} subjects: "
            f"{', '.join(fixed)} missing"
        )
        people = people[complete]
    visits = list(occurring_levels(data[visit]))
    index = pd.MultiIndex.from_product([people.index, visits], names=[subject, visit])
    values = data.assign(**{value: numeric(data, value)}).set_index([subject, visit])[value]
    values.index = pd.MultiIndex.from_arrays(
        [values.index.get_level_values(0), values.index.get_level_values(1).astype(object)],
        names=[subject, visit],
    )
    grid = pd.DataFrame({value: values.reindex(index).to_numpy()}, index=index).reset_index()
    grid[visit] = pd.Categorical(grid[visit], visits, ordered=True)
    for name in fixed:
        grid[name] = people[name].repeat(len(visits)).array
    return grid, notes


def _events(
    grid: pd.DataFrame,
    y: Floats,
    events: pd.DataFrame | None,
    strategy: str,
    subject: str,
    visit: str,
    visits: list[Any],
) -> tuple[np.ndarray, list[str]]:
    """First affected visit (number of visits where none) and strategy of every subject."""
    n, d = y.shape
    if events is None:
        last = np.where(~np.isnan(y), np.arange(d), -1).max(axis=1)
        return last + 1, [strategy] * n
    require_columns(events, [subject, visit], name="events")
    require_unique(events, [subject], name="events")
    people = grid[subject].iloc[::d].tolist()
    place = {person: number for number, person in enumerate(people)}
    event, strategies = np.full(n, d), ["MAR"] * n
    chosen = events["STRATEGY"] if "STRATEGY" in events else [strategy] * len(events)
    unknown = int((~events[visit].isin(visits)).sum())
    if unknown:
        msg = f"events: {unknown} row(s) with a {visit} the data do not have"
        raise DataError(msg)
    for person, when, how in zip(events[subject], events[visit], chosen, strict=True):
        if person in place:
            check_strategy(how)
            event[place[person]] = visits.index(when)
            strategies[place[person]] = how
    return event, strategies


def _complete(
    model: ImputationModel,
    parameters: Parameters,
    event: np.ndarray,
    strategies: Sequence[str],
    kept: Floats,
    rng: np.random.Generator | None,
) -> Floats:
    """Fill in what is missing in ``kept``: draws, or conditional means where ``rng`` is None."""
    own = model.own @ parameters.beta
    reference = model.reference @ parameters.beta
    completed = kept.copy()
    cache: dict[tuple[Any, ...], tuple[Floats, Floats]] = {}
    noise = None if rng is None else rng.standard_normal(kept.shape)
    for i in np.flatnonzero(np.isnan(kept).any(axis=1)).tolist():
        how, when = strategies[i], int(event[i])
        mean = assumed_mean(how, own[i], reference[i], when)
        seen = ~np.isnan(model.y[i])
        key = (how, when, seen.tobytes(), model.group[i], model.reference_group[i])
        if key not in cache:
            sigma = assumed_covariance(
                how, parameters.sigma[model.group[i]],
                parameters.sigma[model.reference_group[i]], when,
            )  # fmt: skip
            cache[key] = conditional(sigma, seen)
        weight, root = cache[key]
        filled = mean[~seen] + weight @ (model.y[i, seen] - mean[seen])
        if noise is not None:
            filled = filled + root @ noise[i, ~seen]
        everywhere = kept[i].copy()
        everywhere[~seen] = np.where(np.isnan(kept[i, ~seen]), filled, kept[i, ~seen])
        completed[i] = everywhere
    return completed
