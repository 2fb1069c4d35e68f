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
        if sums is not None:
            found[labels[place]] = sums[assign == place]
        else:
            found[labels[place]] = _type_two(frame.X, assign, terms, place)
    return found


def _sum_coding(design: Design, frame: ModelFrame) -> Floats:
    """Map of the coefficients to those of sum-to-zero coding, by exact least squares."""
    columns = []
    parts = {}
    for name in design.formula.variables:
        part = design.encode(name, frame.data)
        if name in design.levels:
            part = part[:, :-1] - part[:, -1:]
        parts[name] = part
    bare = replace(design, levels={})
    for term in design.formula.terms:
        columns.append(bare.block(term, frozenset(), parts, len(frame.data)))
    return np.asarray(np.linalg.lstsq(np.hstack(columns), frame.X, rcond=None)[0])


def _type_two(
    X: Floats, assign: np.ndarray, terms: tuple[tuple[str, ...], ...], place: int
) -> Floats:
    own = set(terms[place])
    containing = [n for n, t in enumerate(terms) if n != place and own < set(t)]
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
