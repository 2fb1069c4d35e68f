"""Does an MMRM fit its data: residuals by visit, normal scores, covariance seen and fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from livertrack._results import Result
from livertrack.endpoints._design import Floats
from livertrack.endpoints.mmrm import Mmrm

_QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


@dataclass(frozen=True, kw_only=True)
class MmrmDiagnostics(Result):
    """Residuals of an MMRM and the covariance they show.

    ``table``: one row per visit: ``n, mean, sd, q05, q25, median, q75, q95, minimum, maximum`` of
    the normalised residuals (0 and 1 expected for mean and sd).
    ``residuals``: one row per record in the order of the data: ``visit, fitted, response, pearson,
    normalized``, and its normal score ``quantile`` with the pointwise 95 % limits ``quantile_low,
    quantile_high`` of the normalised residual of that rank.
    ``covariance``: one row per pair of visits (within ``group``): ``n_pairs, fitted, observed``,
    the mean product of response residuals over subjects seen at both visits.
    """

    residuals: pd.DataFrame
    covariance: pd.DataFrame

    keys: ClassVar[tuple[str, ...]] = ("visit", "group", "visit_1", "visit_2")
    context: ClassVar[str] = "mmrm_diagnostics"


def mmrm_diagnostics(fit: Mmrm) -> MmrmDiagnostics:
    """Residuals and covariance of a fitted MMRM, as frames.

    Parameters
    ----------
    fit : Mmrm
        Result of `livertrack.mmrm`.

    Returns
    -------
    MmrmDiagnostics
        ``.plot()`` draws normal scores, residuals against fitted values and by visit, and the
        covariance seen against the one fitted.

    Notes
    -----
    Denominator: the analysed records. The observed covariance uses pairs of records as they
    come: under dropout that depends on responses it differs from the fitted one even where the
    model is right, and it is a little small because the coefficients are estimated.
    Source: Fitzmaurice, Laird & Ware (2011), chapter 10, for normalised (Cholesky) residuals;
    limits of ranks from the beta distribution of order statistics.
    Checked against: residuals of R mmrm (tests/reference/mmrm_fev.R), hand-computed products.
    """
    data = fit.inference.fit.data
    order = np.argsort(data.frame.rows)
    visits = [""] if data.is_spatial else [str(visit) for visit in data.visits]
    place = np.zeros(len(order), np.int64) if data.is_spatial else data.position[order]
    z = fit.residuals("normalized")
    residuals = pd.DataFrame(
        {
            "visit": np.array(visits, object)[place], "fitted": fit.fitted(),
            "response": fit.residuals("response"), "pearson": fit.residuals("pearson"),
            "normalized": z, **_normal_scores(z),
        }
    )  # fmt: skip
    rows = [{"visit": name, **_summary(z[place == number])} for number, name in enumerate(visits)]
    far = int((np.abs(z) > 3).sum())
    text = (
        f"Normalised residuals of {len(z)} records: mean {z.mean():.3f}, standard deviation "
        f"{z.std(ddof=1) if len(z) > 1 else float('nan'):.3f}, largest {np.abs(z).max():.2f} in "
        f"absolute value; {far} beyond 3 ({2 * stats.norm.sf(3) * len(z):.1f} expected)."
    )
    return MmrmDiagnostics(
        table=pd.DataFrame(rows),
        residuals=residuals,
        covariance=_covariance(fit, visits),
        text=text,
        settings={**fit.settings, "response": data.frame.design.response},
        notes=fit.notes,
    )


def _normal_scores(z: Floats) -> dict[str, Floats]:
    n = len(z)
    rank = stats.rankdata(z, method="ordinal")
    low, high = (stats.beta.ppf(p, rank, n - rank + 1) for p in (0.025, 0.975))
    return {
        "quantile": stats.norm.ppf((rank - 0.5) / n),
        "quantile_low": stats.norm.ppf(low),
        "quantile_high": stats.norm.ppf(high),
    }


def _summary(z: Floats) -> dict[str, Any]:
    return {
        "n": len(z),
        "mean": float(z.mean()),
        "sd": float(z.std(ddof=1)) if len(z) > 1 else float("nan"),
        **{name: float(np.quantile(z, p)) for name, p in _QUANTILES.items()},
        "minimum": float(z.min()),
        "maximum": float(z.max()),
    }


def _covariance(fit: Mmrm, visits: list[str]) -> pd.DataFrame:
    """Fitted and observed covariance of every pair of visits; no rows for a spatial structure."""
    columns = ["group", "visit_1", "visit_2", "n_pairs", "fitted", "observed"]
    data = fit.inference.fit.data
    if data.is_spatial:
        return pd.DataFrame(columns=columns)
    inverse = np.empty(len(data.frame.rows), np.int64)
    inverse[np.argsort(data.frame.rows)] = np.arange(len(inverse))
    raw = fit.residuals("response")[inverse] * np.sqrt(data.weights)
    d = len(visits)
    wide = np.full((data.n_subjects, d), np.nan)
    wide[data.subject, data.position] = raw
    rows = []
    groups = [str(g) for g in data.groups] if data.term.group else [""]
    for number, (group, fitted) in enumerate(
        zip(groups, fit.inference.fit.matrices(), strict=True)
    ):
        own = wide[data.group_of_subject == number]
        seen = ~np.isnan(own)
        filled = np.where(seen, own, 0.0)
        pairs = seen.T.astype(float) @ seen
        with np.errstate(invalid="ignore", divide="ignore"):
            observed = filled.T @ filled / pairs
        for j in range(d):
            for k in range(j, d):
                rows.append(
                    (group, visits[j], visits[k], int(pairs[j, k]), float(fitted[j, k]),
                     float(observed[j, k]))
                )  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
