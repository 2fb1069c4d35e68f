"""Options of the endpoints that predict: any outcome, an event, and what carries a prediction.

``feature_sets`` name sets of PARAMCD patterns; a name that is a column of adsl (AGE, say) is that
column. Features are those of the visit of the analysis, by default of the baseline.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from livertrack.plan_options.base import Options, endpoint

Kind = Literal["linear", "forest", "boosting"]


class Predicted(Options):
    """What is predicted.

    ``threshold`` makes the outcome binary: at or above it is 1. ``outcome_visit``: visit of the
    outcome where it is not that of the features (a prediction of week 48 from week 12, say).
    """

    outcome: str
    outcome_visit: str | None = None
    outcome_value: Literal["AVAL", "CHG"] = "AVAL"
    threshold: float | None = None
    task: Literal["binary", "ordinal", "continuous"] = "binary"
    n_folds: int = Field(default=5, ge=2)
    n_inner: int = Field(default=3, ge=2)
    n_trees: int = Field(default=200, ge=1)
    n_boot: int = Field(default=1000, ge=99)


@endpoint("cross_validate")
class CrossValidate(Predicted):
    """Models of every kind for every feature set, compared on the same folds.

    ``harmonise``: each model also behind ComBat, fitted by site inside the folds; ``combat-mean``
    takes out means only, and so needs one subject of a site where ``combat`` needs two.
    ``appearance``: PARAMCD patterns or columns of adsl that tell how scans look; each model also
    with models of their own for clusters of appearance (`PseudoDomains`).
    """

    feature_sets: dict[str, list[str]]
    kinds: list[Kind] = Field(default=["linear"], min_length=1)
    harmonise: Literal["combat", "combat-mean"] | None = None
    appearance: list[str] = Field(default_factory=list)
    split: Literal["k-fold", "leave-one-site-out"] = "k-fold"
    n_repeats: int = Field(default=1, ge=1)
    n_perm: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _some(self) -> CrossValidate:
        _require_sets(self.feature_sets)
        return self


@endpoint("permutation_importance")
class PermutationImportance(Predicted):
    """Metric lost when a feature, or a group of features, is exchanged among subjects.

    ``groups`` name PARAMCD patterns that are exchanged together; each feature by itself where
    there are none.
    """

    features: list[str] = Field(min_length=1)
    groups: dict[str, list[str]] = Field(default_factory=dict)
    kind: Kind = "linear"
    n_permutations: int = Field(default=20, ge=1)


@endpoint("prognosis")
class Prognosis(Options):
    """Time to an event from features before it; ``parameters`` are PARAMCDs of adtte.

    ``horizons``: times at which risks are judged (unit of AVAL). ``forest`` needs the extra
    ``prognosis``.
    """

    feature_sets: dict[str, list[str]]
    horizons: list[float] = Field(min_length=1)
    models: list[Literal["cox", "forest"]] = Field(default=["cox"], min_length=1)
    split: Literal["k-fold", "leave-one-site-out"] = "k-fold"
    n_folds: int = Field(default=5, ge=2)
    n_inner: int = Field(default=3, ge=2)
    n_repeats: int = Field(default=1, ge=1)
    n_groups: int = Field(default=3, ge=2)
    n_trees: int = Field(default=200, ge=1)
    n_perm: int = Field(default=0, ge=0)
    n_boot: int = Field(default=1000, ge=99)

    @model_validator(mode="after")
    def _some(self) -> Prognosis:
        _require_sets(self.feature_sets)
        return self


def _require_sets(feature_sets: dict[str, list[str]]) -> None:
    if not feature_sets or not all(feature_sets.values()):
        msg = "feature_sets: name at least one set with members, e.g. {signature: ['TV*']}"
        raise ValueError(msg)
