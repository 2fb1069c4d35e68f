"""From records to completed data sets: the grid of subjects and visits, and what fills it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from livertrack.endpoints._checks import numeric
from livertrack.endpoints._design import Floats, occurring_levels
from livertrack.endpoints._imputation_events import Handling
from livertrack.endpoints._imputation_model import ImputationModel, Parameters, conditional
from livertrack.endpoints._imputation_strategies import assumed_covariance, assumed_mean
from livertrack.errors import DataError


def default_formula(
    value: str, arm: str, visit: str, subject: str, covariates: Sequence[str], n_visits: int
) -> str:
    """Imputation model: every covariate and the arm by visit, unstructured covariance."""
    by = f" * `{visit}`" if n_visits > 1 else ""
    terms = [f"`{name}`{by}" for name in (*covariates, arm)]
    return f"`{value}` ~ {' + '.join(terms)} + us(`{visit}` | `{subject}`)"


def full_grid(
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


def complete(
    model: ImputationModel,
    parameters: Parameters,
    handling: Handling,
    rng: np.random.Generator | None,
) -> Floats:
    """Fill in what is missing: draws, or conditional means where ``rng`` is None."""
    own = model.own @ parameters.beta
    reference = model.reference @ parameters.beta
    known = handling.known
    completed = np.where(np.isnan(handling.fixed), known, handling.fixed)
    cache: dict[tuple[Any, ...], tuple[Floats, Floats]] = {}
    noise = None if rng is None else rng.standard_normal(known.shape)
    for i in np.flatnonzero(handling.imputed.any(axis=1)).tolist():
        how, when = handling.assumption[i], int(handling.event[i])
        mean = assumed_mean(how, own[i], reference[i], when)
        seen = ~np.isnan(known[i])
        key = (how, when, seen.tobytes(), model.group[i], model.reference_group[i])
        if key not in cache:
            sigma = assumed_covariance(
                how, parameters.sigma[model.group[i]],
                parameters.sigma[model.reference_group[i]], when,
            )  # fmt: skip
            cache[key] = conditional(sigma, seen)
        weight, root = cache[key]
        filled = mean[~seen] + weight @ (known[i, seen] - mean[seen])
        if noise is not None:
            filled = filled + root @ noise[i, ~seen]
        everywhere = completed[i].copy()
        everywhere[~seen] = filled
        completed[i] = np.where(handling.imputed[i], everywhere, completed[i])
    return completed
