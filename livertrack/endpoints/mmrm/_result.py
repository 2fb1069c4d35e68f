"""The result of an MMRM: tidy frames, LS means, differences, tests, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from livertrack._results import Result
from livertrack._seeds import generator
from livertrack.endpoints._design import Floats
from livertrack.endpoints._linear import counts_by, difference_text, inference_columns
from livertrack.endpoints._lsmeans import (
    LinearCombinations,
    Weights,
    contrast_combinations,
    estimable,
    lsmeans_combinations,
)
from livertrack.endpoints.mmrm import _predict
from livertrack.endpoints.mmrm._anova import term_combinations
from livertrack.endpoints.mmrm._bootstrap import bootstrap
from livertrack.endpoints.mmrm._inference import Inference
from livertrack.endpoints.mmrm._tables import covariance_frames
from livertrack.errors import UsageError

ResidualKind = Literal["response", "pearson", "normalized"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Mmrm(Result):
    """A fitted MMRM.

    Attributes
    ----------
    table : DataFrame
        The coefficients (also ``.coefficients``): ``term, estimate, std_error, df, statistic,
        p_value, conf_low, conf_high, n, method``, in R's order; aliased terms have NaN.
    fit_statistics : DataFrame
        One row: ``n_obs, n_subjects, n_visits, n_missing, n_parameters, loglik, aic, bic,
        converged, optimizer, iterations, decrement``.
    covariance_table : DataFrame
        Covariance and correlation of every pair of visits, long (within ``group``).
    parameters : DataFrame
        Covariance parameters as SAS names them, with asymptotic standard errors.
    inference : Inference
        The engine behind: fit, degrees of freedom, covariance of the coefficients.
    """

    fit_statistics: pd.DataFrame
    covariance_table: pd.DataFrame
    parameters: pd.DataFrame
    inference: Inference

    keys: ClassVar[tuple[str, ...]] = ("term", "group", "parameter", "visit_1", "visit_2")
    context: ClassVar[str] = "mmrm"

    @property
    def coefficients(self) -> pd.DataFrame:
        """Coefficients, one row per term."""
        return self.table

    @property
    def covariance(self) -> pd.DataFrame | dict[Any, pd.DataFrame]:
        """Covariance of the measurements, visit x visit; a dict by group when grouped.

        For ``sp_exp`` of one coordinate, over its distinct values; of several, over two
        measurements at distance 0 and 1.
        """
        frames = covariance_frames(self.inference)
        return frames if self.inference.fit.data.term.group else frames[""]

    @property
    def loglik(self) -> float:
        """(Restricted) log-likelihood."""
        return self.inference.fit.loglik

    @property
    def n_obs(self) -> int:
        """Number of analysed records."""
        return self.inference.fit.n_obs

    @property
    def n_subjects(self) -> int:
        """Number of subjects with an analysed record."""
        return self.inference.fit.data.n_subjects

    @property
    def converged(self) -> bool:
        """True: a fit that does not converge is an error."""
        return self.inference.fit.optimum.converged

    @property
    def aic(self) -> float:
        """Akaike's criterion: parameters counted as SAS does (REML: covariance only)."""
        return float(self.fit_statistics["aic"].iloc[0])

    @property
    def bic(self) -> float:
        """Bayesian criterion with log(number of subjects)."""
        return float(self.fit_statistics["bic"].iloc[0])

    @property
    def vcov(self) -> pd.DataFrame:
        """Covariance of the estimated coefficients, adjusted or empirical as asked for."""
        data = self.inference.fit.data
        names = [n for n, keep in zip(data.frame.design.names, data.kept, strict=True) if keep]
        return pd.DataFrame(self.inference.covariance(), index=names, columns=names)

    def lsmeans(
        self,
        by: str | Sequence[str] = (),
        *,
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
        conf_level: float | None = None,
    ) -> pd.DataFrame:
        """LS means of every crossing of the factors ``by``.

        Parameters
        ----------
        by : str or sequence of str
            Factors of the model, e.g. ``["TRT01P", "AVISIT"]``, or covariates with values in
            ``at``; the first varies slowest.
        at : mapping, optional
            Covariate values; otherwise the mean over the analysed records (as emmeans). A factor
            may be restricted to some of its levels.
        weights : {"equal", "observed", "cells", "outer", "flat"}
            Of the factors averaged over: equal, or their observed frequencies: jointly
            (``observed``), within each crossing of ``by`` (``cells``), as products (``outer``),
            or equal without empty crossings (``flat``).

        Returns
        -------
        DataFrame
            ``by`` columns, ``estimate, std_error, df, statistic, p_value, conf_low, conf_high,
            n, method``; ``n`` = analysed records of the crossing. NaN where not estimable.
        """
        names = [by] if isinstance(by, str) else list(by)
        means = self._means(names, at, weights)
        table = self.combinations(means.L, labels=means.labels, conf_level=conf_level)
        table["n"] = self._counts(names, means.labels)
        return table.assign(method=self.settings["method"])

    def contrasts(
        self,
        *,
        arm: str,
        reference: Any,
        by: str | Sequence[str] = (),
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
        conf_level: float | None = None,
    ) -> pd.DataFrame:
        """Differences of LS means from the ``reference`` level of ``arm``, within ``by``.

        Returns
        -------
        DataFrame
            ``by`` columns, ``arm`` column, ``reference, estimate, ..., n_arm, n_ref, method``;
            positive = higher than reference.
        """
        names = [by] if isinstance(by, str) else list(by)
        means = self._means([*names, arm], at, weights)
        pairs = contrast_combinations(means, arm=arm, reference=reference, by=names)
        table = self.combinations(pairs.L, labels=pairs.labels, conf_level=conf_level)
        columns = [*names, arm]
        table["n_arm"] = self._counts(columns, pairs.labels)
        table["n_ref"] = self._counts(columns, pairs.labels.assign(**{arm: reference}))
        return table.assign(method=self.settings["method"])

    def compare(
        self,
        *,
        arm: str,
        reference: Any,
        by: str | Sequence[str] = (),
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
    ) -> MmrmComparison:
        """Differences from the reference arm with LS means and model facts, as one result."""
        names = [by] if isinstance(by, str) else list(by)
        contrasts = self.contrasts(arm=arm, reference=reference, by=names, at=at, weights=weights)
        response = self.inference.fit.data.frame.design.response
        return MmrmComparison(
            table=contrasts,
            contrasts=contrasts,
            lsmeans=self.lsmeans([*names, arm], at=at, weights=weights),
            coefficients=self.coefficients,
            fit_statistics=self.fit_statistics,
            covariance_table=self.covariance_table,
            text=difference_text(
                contrasts, arm=arm, conf_level=self.settings["conf_level"],
                what=f"LS mean difference in {response}",
            ),
            settings={**self.settings, "arm": arm, "reference": reference, "by": names,
                      "weights_lsmeans": weights, "at": dict(at or {})},
            notes=self.notes,
        )  # fmt: skip

    def combinations(
        self,
        L: Any,
        *,
        labels: pd.DataFrame | None = None,
        conf_level: float | None = None,
    ) -> pd.DataFrame:
        """Give t inference of every row of ``L`` over all coefficients, aliased ones too."""
        matrix = self._matrix(L)
        data = self.inference.fit.data
        possible = estimable(matrix, data.frame.X, data.kept)
        estimate, error, df = self.inference.single(np.where(possible[:, None], matrix, 0.0))
        estimate, error = np.where(possible, estimate, np.nan), np.where(possible, error, np.nan)
        level = self.settings["conf_level"] if conf_level is None else conf_level
        columns = pd.DataFrame(inference_columns(estimate, error, df, level))
        return columns if labels is None else pd.concat([labels, columns], axis=1)

    def test(self, L: Any) -> pd.DataFrame:
        """Test of the hypothesis L beta = 0.

        Parameters
        ----------
        L : array (coefficients,) or (rows, coefficients), or mapping term -> coefficient
            Over all coefficients in the order of ``.coefficients``.

        Returns
        -------
        DataFrame
            One row. One combination: ``estimate, std_error, df, statistic`` (t) ``, p_value,
            conf_low, conf_high``. Several: ``statistic`` (F) ``, df_num, df`` (denominator)
            ``, p_value``.
        """
        matrix = self._matrix(L)
        if len(matrix) == 1:
            return self.combinations(matrix).assign(method=self.settings["method"])
        data = self.inference.fit.data
        if not estimable(matrix, data.frame.X, data.kept).all():
            msg = "test: L has a row that cannot be estimated, because of aliased coefficients"
            raise UsageError(msg)
        return self._joint([matrix])

    def anova(self, *, kind: Literal[2, 3] = 3) -> pd.DataFrame:
        """F test of every term: type II or type III hypotheses as SAS forms them.

        Returns
        -------
        DataFrame
            One row per term: ``term, statistic, df_num, df, p_value, method``.
        """
        fit = self.inference.fit
        if not fit.data.kept.all():
            msg = "anova needs a design of full rank; drop the aliased terms from the formula"
            raise UsageError(msg)
        found = term_combinations(fit.data.frame, kind)
        table = self._joint(list(found.values()))
        table.insert(0, "term", list(found))
        return table

    def predict(
        self, newdata: pd.DataFrame | None = None, *, conditional: bool = False
    ) -> pd.DataFrame:
        """Predict the expected response of every row, with confidence limits.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows with the predictors; the analysed rows otherwise.
        conditional : bool
            Condition on the observed responses of the same subject in ``newdata`` (rows with a
            response give that response back): the expected value of a missing record.

        Returns
        -------
        DataFrame
            Index of ``newdata``; ``estimate, std_error, conf_low, conf_high``. NaN where a
            predictor is missing. The standard error is that of the expected value; with
            ``conditional`` it adds the remaining variance of the record (prediction).
        """
        return _predict.predict(self.inference, newdata, conditional, self.settings["conf_level"])

    def residuals(self, kind: ResidualKind = "response") -> Floats:
        """Residuals in the order of the analysed rows of the caller's frame.

        ``response``: observed - fitted. ``pearson``: divided by their standard deviation.
        ``normalized``: uncorrelated within subjects, by the inverse Cholesky factor.
        """
        return _predict.residuals(self.inference, kind)

    def fitted(self) -> Floats:
        """Fitted values in the order of the analysed rows of the caller's frame."""
        return _predict.fitted(self.inference)

    def simulate(self, n: int = 1, *, seed: int) -> Floats:
        """Draw responses from the fitted model: (analysed rows, n)."""
        return _predict.simulate(self.inference, n, generator(seed, "mmrm.simulate"))

    def bootstrap(self, n: int = 1000, *, seed: int, strata: str | None = None) -> pd.DataFrame:
        """Coefficients of refits to subjects drawn with replacement.

        Parameters
        ----------
        n : int
            Bootstrap samples.
        seed : int
            Seed; the numbers do not depend on the number of joblib workers.
        strata : str, optional
            Column that is constant within subjects; subjects are drawn within its levels.

        Returns
        -------
        DataFrame (n x estimated coefficients)
            A row of NaN where a sample cannot be fitted.
        """
        fit = self.inference.fit
        names = fit.data.frame.design.names
        kept = [name for name, keep in zip(names, fit.data.kept, strict=True) if keep]
        codes = None
        if strata is not None:
            if strata not in fit.data.frame.data:
                msg = f"strata {strata!r} is no column of the model"
                raise UsageError(msg)
            codes = np.empty(fit.data.n_subjects, np.int64)
            codes[fit.data.subject] = fit.data.frame.factor(strata)[1]
        return pd.DataFrame(bootstrap(fit, n, seed=seed, strata=codes), columns=kept)

    def _counts(self, columns: Sequence[str], labels: pd.DataFrame) -> list[int]:
        """Analysed records of each crossing of the factors among ``columns``."""
        frame = self.inference.fit.data.frame
        factors = [name for name in columns if name in frame.design.factor_columns]
        return counts_by(frame.data, factors, labels)

    def _means(
        self, by: Sequence[str], at: Mapping[str, Any] | None, weights: Weights
    ) -> LinearCombinations:
        frame = self.inference.fit.data.frame
        return lsmeans_combinations(frame.design, frame.data, by=by, at=at, weights=weights)

    def _matrix(self, L: Any) -> Floats:
        names = self.inference.fit.data.frame.design.names
        if isinstance(L, Mapping):
            unknown = [name for name in L if name not in names]
            if unknown:
                msg = (
                    f"L: no coefficient {', '.join(unknown)}; coefficients are {', '.join(names)}"
                )
                raise UsageError(msg)
            L = [[float(L.get(name, 0.0)) for name in names]]
        matrix = np.atleast_2d(np.asarray(L, float))
        if matrix.ndim != 2 or matrix.shape[1] != len(names):
            msg = f"L has shape {matrix.shape}; it needs {len(names)} columns, one per coefficient"
            raise UsageError(msg)
        return matrix

    def _joint(self, matrices: Sequence[Floats]) -> pd.DataFrame:
        tests = [self.inference.joint(matrix) for matrix in matrices]
        return pd.DataFrame(
            {
                "statistic": [t.statistic for t in tests],
                "df_num": [t.df_num for t in tests],
                "df": [t.df_den for t in tests],
                "p_value": [t.p_value for t in tests],
                "method": self.settings["method"],
            }
        )


@dataclass(frozen=True, kw_only=True)
class MmrmComparison(Result):
    """Differences from a reference arm; ``table`` is ``contrasts``."""

    contrasts: pd.DataFrame
    lsmeans: pd.DataFrame
    coefficients: pd.DataFrame
    fit_statistics: pd.DataFrame
    covariance_table: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("term", "reference")
    context: ClassVar[str] = "mmrm"

    def __post_init__(self) -> None:
        super().__post_init__()
        keys = (*self.settings["by"], self.settings["arm"], "reference", "term")
        object.__setattr__(self, "keys", (*keys, "group", "visit_1", "visit_2"))
