"""Fitted tabular models in files: what they are for stands in them, and none of it can run."""

from __future__ import annotations

import hashlib
import json
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from livertrack._files import canonical_json, whole_file
from livertrack.endpoints._checks import require_columns
from livertrack.endpoints._model_types import (
    LARGEST,
    TRUSTED,
    require_allowed,
    require_sound_trees,
)
from livertrack.endpoints._splits import Task
from livertrack.endpoints.cross_validation._folds import _seed, fit_fold
from livertrack.endpoints.cross_validation._input import gather, require_options
from livertrack.endpoints.cross_validation.guard import require_no_leakage
from livertrack.endpoints.cross_validation.learners import Tabular, as_learners, expected
from livertrack.endpoints.cross_validation.splits import Split
from livertrack.errors import DataError, MissingToolError, UsageError

Vector = NDArray[np.float64]
_FORMAT = 1
_FACTS, _ESTIMATOR = "facts.json", "estimator.skops"
#: quantiles of every feature at which a stored model must predict what it did when it was saved
_PROBES = (0.1, 0.25, 0.5, 0.75, 0.9)
_NEEDED = ("columns", "outcome", "task", "levels", "preprocessing", "sha256", "probe", "versions")


@dataclass(frozen=True)
class TabularModel:
    """A fitted model and what must hold where it is used.

    Attributes
    ----------
    estimator : scikit-learn estimator
    facts : mapping
        ``columns, outcome, task, levels, preprocessing, chosen, n_rows, n_subjects, seed, data``
        (SHA-256 of the rows), ``versions``; no row of a subject.
    """

    estimator: Any
    facts: Mapping[str, Any]

    def predict(self, data: pd.DataFrame) -> Vector:
        """Probability of 1, expected stage or value of every row of ``data``."""
        columns = list(self.facts["columns"])
        require_columns(data, columns)
        with threadpool_limits(limits=1):
            return self._expected(Tabular(self.estimator, columns).matrix(data))

    def save(self, path: str | Path) -> Path:
        """Write the model, whole or not at all; needs the extra ``models``."""
        content = _skops().dumps(self.estimator)
        require_allowed(content, what="the model")
        facts = {**self.facts, "sha256": hashlib.sha256(content).hexdigest()}
        with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as stored:
            header = canonical_json({"format": _FORMAT, "facts": facts})
            for name, part in ((_FACTS, header.encode()), (_ESTIMATOR, content)):
                stored.writestr(zipfile.ZipInfo(name), part)
        return Path(path)

    def _expected(self, x: Vector) -> Vector:
        levels = np.asarray(self.facts["levels"], float)
        return expected(self.estimator, x, levels, self.facts["task"])


def fit_tabular(
    data: pd.DataFrame,
    *,
    outcome: str,
    model: Tabular,
    preprocessing: Mapping[str, Any],
    task: Task = "binary",
    subject: str = "USUBJID",
    n_inner: int = 3,
    seed: int,
) -> TabularModel:
    """Fit a model to all rows, its candidates chosen by inner folds, to be saved and used.

    Parameters
    ----------
    data : DataFrame, one row per case
        ``subject, outcome`` and the model's columns.
    outcome : str
    model : Tabular
        For example of `biopsy_models`.
    preprocessing : mapping
        Plain values that say how the features were made: the hash of a vocabulary, sequences, the
        visit. A file is refused where they differ.
    task : {"binary", "ordinal", "continuous"}
    subject : str
    n_inner : int
        Inner folds of subjects.
    seed : int

    Returns
    -------
    TabularModel

    Notes
    -----
    What such a model is worth is not to be read from these rows: `cross_validate` evaluates the
    same procedure on subjects it never saw. Rows without outcome are left out.
    Checked against: the fits of `cross_validate` (tests/endpoints/test_model_file.py).
    """
    require_options(
        split="k-fold", site=None, time=None, external=None, holdout=0.3, n_folds=2,
        n_inner=n_inner, n_repeats=1, n_perm=0, n_boot=0, task=task,
    )  # fmt: skip
    try:
        stated = json.loads(canonical_json(dict(preprocessing)))
    except (TypeError, ValueError) as error:
        msg = f"preprocessing: plain values only ({error})"
        raise UsageError(msg) from error
    learners = as_learners({"model": model}, None)
    rows = gather(data, None, outcome, subject, None, None, task, learners)
    everyone = np.ones(len(rows.frame), bool)
    require_no_leakage(
        rows.frame, learners, outcome=outcome, subject=subject, site=None, hashes=(),
        fitted_on={}, tested=everyone,
    )  # fmt: skip
    names = ("fit_tabular", "model")
    whole = Split(train=everyone, test=everyone, repeat=0, fold=0)
    fold = fit_fold(
        rows.frame, rows.problem, whole, model, n_inner=n_inner, seed=seed, names=names
    )
    chosen = {c.label(): c for c in model.candidates()}[fold.chosen]
    with threadpool_limits(limits=1):
        estimator, levels = chosen.estimated(
            rows.frame, rows.problem.y, seed=_seed(seed, *names, 0, 0)
        )
    x = model.matrix(rows.frame)
    facts = {
        "columns": list(model.columns), "outcome": outcome, "task": task,
        "levels": [float(v) for v in levels] if task != "continuous" else [],
        "preprocessing": stated, "chosen": fold.chosen, "n_rows": len(rows.frame),
        "n_subjects": len(np.unique(rows.problem.subjects)), "seed": seed,
        "data": _hash(x, rows.problem.y),
        "versions": {name: version(name) for name in ("livertrack", "scikit-learn", "numpy")},
        "python": platform.python_version(),
    }  # fmt: skip
    fitted = TabularModel(estimator, facts)
    probe = _probe(x)
    with threadpool_limits(limits=1):
        answers = fitted._expected(probe)
    stored = {"features": probe.tolist(), "predicted": answers.tolist()}
    return TabularModel(estimator, {**facts, "probe": stored})


def load_tabular(path: str | Path, *, expect: Mapping[str, Any] | None = None) -> TabularModel:
    """Read a model that `TabularModel.save` wrote; nothing in the file is executed.

    Parameters
    ----------
    path : path
    expect : mapping, optional
        Facts that must hold, e.g. ``{"outcome": "NASH", "preprocessing": {...}}``.

    Returns
    -------
    TabularModel

    Raises
    ------
    DataError
        The file holds a type outside a fixed list, was changed, is of another outcome,
        preprocessing or version of scikit-learn, or predicts something else here than where it
        was saved. The message says which.

    Notes
    -----
    The list is that of the estimators of `biopsy_models` and the selection of features; no
    function, method or class of the file's own is on it. The check reads a description before
    anything is made. The hash finds damage; it does not say who wrote the file.
    """
    path = Path(path)
    facts, content = _read(path)
    wrong = [
        f"its {name} is {_short(facts.get(name))}, expected {_short(wanted)}"
        for name, wanted in (expect or {}).items()
        if facts.get(name) != json.loads(canonical_json(wanted))
    ]
    here = version("scikit-learn")
    there = str(facts["versions"].get("scikit-learn", "?"))
    if here.split(".")[:2] != there.split(".")[:2]:
        wrong.append(f"it was fitted with scikit-learn {there}, here is {here}")
    if wrong:
        msg = f"{path.name}: refused: {'; '.join(wrong)}; fit a model for these data"
        raise DataError(msg)
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        msg = f"{path.name}: refused: the estimator is not the one that was saved (SHA-256)"
        raise DataError(msg)
    require_allowed(content, what=path.name)
    skops = _skops()
    known = set(TRUSTED)
    try:
        unknown = sorted(set(skops.get_untrusted_types(data=content)) - known)
        if unknown:
            msg = f"{path.name}: refused: it holds {', '.join(unknown)}; nothing was loaded"
            raise DataError(msg)
        estimator = skops.loads(content, trusted=sorted(known))
        require_sound_trees(estimator, len(facts["columns"]), what=path.name)
    except (TypeError, ValueError, KeyError, AttributeError, ImportError) as error:
        msg = f"{path.name}: the model cannot be read ({error!s:.120}); fit it again"
        raise DataError(msg) from error
    model = TabularModel(estimator, {k: v for k, v in facts.items() if k != "sha256"})
    _require_same_answers(model, path.name)
    return model


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    if not path.is_file():
        msg = f"{path.name}: no such file; fit and save a model first"
        raise DataError(msg)
    try:
        with zipfile.ZipFile(path) as stored:
            if sum(member.file_size for member in stored.infolist()) > LARGEST:
                msg = f"{path.name}: more bytes than a model has"
                raise DataError(msg)
            header = json.loads(stored.read(_FACTS))
            content = stored.read(_ESTIMATOR)
        facts, form = dict(header["facts"]), header["format"]
        lacking = [name for name in _NEEDED if name not in facts]
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, RecursionError) as error:
        msg = f"{path.name}: holds no model; give a file that livertrack wrote"
        raise DataError(msg) from error
    if form != _FORMAT or lacking:
        msg = f"{path.name}: a model of format {form} without {', '.join(lacking) or 'gaps'}"
        raise DataError(msg)
    return facts, content


def _require_same_answers(model: TabularModel, name: str) -> None:
    try:
        probe = np.asarray(model.facts["probe"]["features"], float)
        wanted = np.asarray(model.facts["probe"]["predicted"], float)
        with threadpool_limits(limits=1):
            found = model._expected(probe)
        same = bool(np.allclose(found, wanted, rtol=1e-7, atol=1e-9))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        msg = f"{name}: the model does not predict ({error!s:.120}); fit it again"
        raise DataError(msg) from error
    if not same:
        msg = f"{name}: refused: it predicts something else here than where it was saved"
        raise DataError(msg)


def _probe(x: Vector) -> Vector:
    """Quantiles of every feature: rows of no subject; 0 for a feature that nobody has."""
    seen = ~np.isnan(x).all(axis=0)
    out = np.zeros((len(_PROBES), x.shape[1]))
    out[:, seen] = np.nanquantile(x[:, seen], _PROBES, axis=0)
    return out


def _hash(x: Vector, y: Vector) -> str:
    whole = np.ascontiguousarray(np.column_stack([x, y]), dtype="<f8")
    return hashlib.sha256(whole.tobytes()).hexdigest()


def _short(value: Any) -> str:
    return "absent" if value is None else canonical_json(value)[:100]


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        msg = "model files need skops: pip install 'livertrack[models]'"
        raise MissingToolError(msg) from error
    return skops.io
