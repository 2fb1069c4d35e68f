"""Reference-based multiple imputation of a repeated endpoint, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from livertrack._seeds import generator
from livertrack.endpoints._checks import (
    require_columns,
    require_conf_level,
    require_level,
    require_unique,
)
from livertrack.endpoints._design import Floats, occurring_levels
from livertrack.endpoints._imputation_analysis import ImputedAnalysis, analyse_imputed
from livertrack.endpoints._imputation_complete import complete, default_formula, full_grid
from livertrack.endpoints._imputation_events import Handling, handle_events, no_events
from livertrack.endpoints._imputation_model import (
    ImputationModel,
    Parameters,
    bayes_draws,
    bootstrap_draws,
    fit_model,
    refit,
)
from livertrack.endpoints._imputation_strategies import ASSUMPTIONS, check_assumption
from livertrack.endpoints._tipping_point import TippingPoint, tipping_point_of
from livertrack.errors import DataError, UsageError

__all__ = ["Imputation", "ImputedAnalysis", "TippingPoint", "impute"]

Draws = Literal["bayes", "bootstrap", "conditional-mean"]
_METHODS = {
    "bayes": "multiple imputation by Bayesian draws",
    "bootstrap": "multiple imputation by bootstrap refits",
    "conditional-mean": "conditional-mean imputation with the jackknife",
}


@dataclass(frozen=True, eq=False)
class Imputation:
    """Completed data sets of a repeated endpoint.

    Attributes
    ----------
    grid : DataFrame
        One row per subject and visit, sorted, with the observed values; ``IMPUTED`` marks rows
        that were filled in, ``AFTER`` those past an intercurrent event.
    sets : ndarray (imputations, subjects, visits)
        Completed responses; one set for ``conditional-mean``.
    model : ImputationModel
        The fitted imputation model.
    handling : Handling
        What the events do to the records of every subject; ``.handling.summary`` counts them.
    settings : mapping
    """

    grid: pd.DataFrame
    sets: Floats
    model: ImputationModel
    handling: Handling
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def arms(self) -> np.ndarray:
        """Arm of every subject, in the order of ``sets``."""
        found: np.ndarray = (
            self.grid[self.settings["arm"]].astype(object).to_numpy()[:: self.sets.shape[2]]
        )
        return found

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
            fraction_missing``; ``.lsmeans``; ``.intercurrent``. Draws are pooled by Rubin's
            rules; ``conditional-mean`` has the jackknife over subjects and a normal reference
            distribution.
        """
        require_conf_level(conf_level)
        return analyse_imputed(self, formula, delta, conf_level)

    def tipping_point(
        self,
        deltas: Sequence[float],
        *,
        reference_deltas: Sequence[float] = (0.0,),
        visit: Any | None = None,
        formula: str | None = None,
        conf_level: float = 0.95,
    ) -> TippingPoint:
        """Repeat the analysis with each of ``deltas`` added to the imputed values of the arms.

        Parameters
        ----------
        deltas : sequence of float
            In the unit of the response; added to all arms but the reference.
        reference_deltas : sequence of float
            Added to the reference arm, crossed with ``deltas``: a two-way tipping point.
        visit : optional
            Visit of interest; the last by default.

        Returns
        -------
        TippingPoint
            ``.table`` one row per pair of deltas and arm; ``.tipping``: per arm and delta of the
            reference, where from zero outwards the result is no longer significant (NaN where it
            always is, or never was).
        """
        require_conf_level(conf_level)
        return tipping_point_of(self, deltas, reference_deltas, visit, formula, conf_level)

    def jackknife(self) -> Iterator[Floats]:
        """Conditional-mean completed values with each subject left out in turn."""
        n_fitted = self.model.fit.data.n_subjects
        in_model = np.atleast_1d(~np.isnan(self.model.y).all(axis=1))
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
            values = complete(self.model, parameters, self.handling, None)
            yield np.delete(values, person, axis=0)


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
        Without ``events``: of records after a subject's last observed one: missing at random,
        jump to reference, copy reference, copy increments in reference, last mean carried
        forward. Holes before are missing at random, except that CR is about all missing records
        of a subject who left.
    events : DataFrame, optional
        Intercurrent events: columns ``subject`` and ``visit`` (first visit affected), any number
        of rows per subject. Then these decide, and dropout without an event is MAR. Further
        columns, where wanted:

        ``STRATEGY`` (else ``strategy``): ``treatment-policy`` keeps observed records after the
        event, ``hypothetical`` removes them; in both, what is then missing is imputed under
        ``ASSUMPTION`` (one of the five, MAR by default; such a name as STRATEGY is short for
        treatment policy). ``composite`` gives all records after the event ``VALUE``;
        ``while-on-treatment`` the last one before it. ``EVENT`` names the event in the result.

        Observed records after an event with another assumption than MAR are hidden from the
        imputation model, but stay in the completed data, and imputation conditions on them.
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
    Several events of a subject: records go from the first hypothetical event on, the assumption
    is that of the first event with one other than MAR, and the first composite or
    while-on-treatment event decides all later records.
    Checked against: R rbmi 1.5.2, conditional means with jackknife to 1e-8, draws within Monte
    Carlo error (tests/reference/imputation.R); the identity of conditional-mean MAR imputation
    with the MMRM; R mice 3.15 ``pool.scalar`` for pooling.
    """
    require_columns(data, [value, arm, visit, subject, *covariates])
    require_level(data, arm, reference, what="reference")
    require_unique(data, [subject, visit])
    check_assumption(strategy)
    if draws not in _METHODS:
        msg = f"draws={draws!r}: choose 'bayes', 'bootstrap' or 'conditional-mean'"
        raise UsageError(msg)
    if draws != "conditional-mean" and (seed is None or n_imputations < 2):
        msg = "impute: draws need a seed and n_imputations of at least 2"
        raise UsageError(msg)
    grid, notes = full_grid(data, value, arm, visit, subject, covariates)
    if grid.empty:
        msg = f"{value}: no value in {len(data)} record(s); there is nothing to impute from"
        raise DataError(msg)
    visits = list(occurring_levels(grid[visit]))
    y = grid[value].to_numpy(float).reshape(-1, len(visits))
    people = grid.iloc[:: len(visits)]
    if events is None:
        handling = no_events(y, strategy, people[arm].reset_index(drop=True))
    else:
        handling = handle_events(
            y, events, people=people[subject].tolist(), arms=people[arm].reset_index(drop=True),
            visits=visits, subject=subject, visit=visit, strategy=strategy,
        )  # fmt: skip
    formula = formula or default_formula(value, arm, visit, subject, covariates, len(visits))
    model = fit_model(
        grid, formula, y=handling.modelled, value=value, arm=arm, reference=reference
    )
    rng = generator(seed or 0, "impute", draws)
    source = generator(seed or 0, "impute.model", draws)
    if draws == "conditional-mean":
        sets = [complete(model, model.estimate, handling, None)]
    else:
        make = bayes_draws if draws == "bayes" else bootstrap_draws
        sets = [
            complete(model, parameters, handling, rng)
            for parameters in make(model, n_imputations, source)
        ]
    grid = grid.assign(IMPUTED=handling.imputed.ravel(), AFTER=handling.after.ravel())
    assumed = ASSUMPTIONS[strategy] if events is None else "by intercurrent event"
    kept = ~np.isnan(handling.known)
    settings = {
        "method": f"{_METHODS[draws]}, {assumed}", "value": value, "arm": arm,
        "reference": reference, "visit": visit, "subject": subject,
        "covariates": list(covariates), "formula": formula, "strategy": strategy,
        "assumed": assumed, "draws": draws, "n_imputations": len(sets), "seed": seed,
        "n_imputed": int(handling.imputed.sum()),
        "n_removed": int((~np.isnan(y) & ~kept & np.isnan(handling.fixed)).sum()),
        "n_replaced": int((~np.isnan(handling.fixed)).sum()),
        "n_hidden": int((kept & np.isnan(handling.modelled)).sum()),
    }  # fmt: skip
    return Imputation(grid, np.array(sets), model, handling, settings, (*notes, *handling.notes))
