"""Hypotheses of type II and type III for the terms of a model, as SAS forms them.

Type III: the rows of the map from the coefficients to those of sum-to-zero coding; each term
is tested with all others in the model, factors averaged with equal weights. Type II: each term
adjusted for all terms that do not contain it, by least squares in the design.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from livertrack.endpoints._design import Design, Floats, ModelFrame


def term_combinations(frame: ModelFrame, kind: Literal[2, 3]) -> dict[str, Floats]:
    """Matrix of hypotheses for every term but the intercept."""
    design = frame.design
    terms = design.formula.terms
    assign = np.array(design.assign)
    labels = design.term_labels()
    found = {}
    sums = _sum_coding(design, frame) if kind == 3 else None
    for place, term in enumerate(terms):
        if not term:
            continue
        L = _type_two(design, frame.X, place) if sums is None else sums[assign == place]
        own = L[:, assign == place]
        # Rows as differences from the first level. Satterthwaite df of several rows depend on
        # the rows chosen: these are SAS's when its reference level is the first one.
        found[labels[place]] = _cleared(np.linalg.solve(own, L))
    return found


def _cleared(L: Floats) -> Floats:
    """Set what is rounding to zero: between-within df ask which coefficients are involved."""
    return np.where(np.abs(L) < 1e-9, 0.0, L)


def _sum_coding(design: Design, frame: ModelFrame) -> Floats:
    """Map of the coefficients to those of sum-to-zero coding, by exact least squares.

    A factor that the design codes by one column per level (no margin in the model) keeps them.
    """
    whole = {name: design.encode(name, frame.data) for name in design.formula.variables}
    sums = {
        name: part[:, :-1] - part[:, -1:] if name in design.levels else part
        for name, part in whole.items()
    }
    bare = replace(design, levels={})
    columns = []
    for term, full in zip(design.formula.terms, design.full, strict=True):
        parts = {name: whole[name] if name in full else sums[name] for name in term}
        columns.append(bare.block(term, frozenset(), parts, len(frame.data)))
    coded = np.hstack(columns)
    lengths = np.linalg.norm(coded, axis=0), np.linalg.norm(frame.X, axis=0)
    found = np.linalg.lstsq(coded / lengths[0], frame.X / lengths[1], rcond=None)[0]
    return np.asarray(_cleared(np.asarray(found)) * (lengths[1] / lengths[0][:, None]))


def _type_two(design: Design, X: Floats, place: int) -> Floats:
    """Hypothesis of a term adjusted for all terms that do not contain it.

    A term contains another if it has the same covariates, and its factors and more.
    """
    terms, assign = design.formula.terms, np.array(design.assign)
    factors = [set(term) & set(design.levels) for term in terms]
    covariates = [set(term) - set(design.levels) for term in terms]
    containing = [
        number
        for number in range(len(terms))
        if covariates[number] == covariates[place] and factors[place] < factors[number]
    ]
    inside = assign == place
    after = np.isin(assign, containing)
    before = ~inside & ~after
    target = X[:, inside]
    if before.any():
        target = target - X[:, before] @ np.linalg.lstsq(X[:, before], target, rcond=None)[0]
    L = np.zeros((int(inside.sum()), X.shape[1]))
    L[:, inside] = target.T @ X[:, inside]
    L[:, after] = target.T @ X[:, after]
    return L
