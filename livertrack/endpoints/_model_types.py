"""Types that a model file may hold, and the check of a file against them before it is read."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np

from livertrack.errors import DataError

_SKLEARN = {
    "sklearn.ensemble._forest": ("RandomForestClassifier", "RandomForestRegressor"),
    "sklearn.ensemble._hist_gradient_boosting.binning": ("_BinMapper",),
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": (
        "HistGradientBoostingClassifier", "HistGradientBoostingRegressor",
    ),
    "sklearn.ensemble._hist_gradient_boosting.predictor": ("TreePredictor",),
    "sklearn._loss.link": ("IdentityLink", "Interval", "LogitLink", "MultinomialLogit"),
    "sklearn._loss.loss": ("HalfBinomialLoss", "HalfMultinomialLoss", "HalfSquaredError"),
    "sklearn.impute._base": ("SimpleImputer",),
    "sklearn.linear_model._logistic": ("LogisticRegression",),
    "sklearn.linear_model._ridge": ("Ridge",),
    "sklearn.linear_model._base": ("LinearRegression",),
    "sklearn.pipeline": ("Pipeline",),
    "sklearn.preprocessing._data": ("StandardScaler",),
    "sklearn.preprocessing._label": ("LabelEncoder",),
    "sklearn.tree._classes": ("DecisionTreeClassifier", "DecisionTreeRegressor"),
    "livertrack.endpoints.biopsy_models": ("Composition", "OrdinalLogistic"),
    "livertrack.endpoints.feature_selection": ("UncorrelatedFeatures", "_Best"),
}  # fmt: skip
#: (module, class, kind of node): the whole of what a file may hold; no function, method, partial
#: or reduced object is among them
ALLOWED = frozenset(
    {(module, name, "ObjectNode") for module, names in _SKLEARN.items() for name in names}
    | {
        ("builtins", "dict", "DictNode"), ("builtins", "list", "ListNode"),
        ("builtins", "tuple", "TupleNode"), ("builtins", "str", "JsonNode"),
        ("builtins", "str", "TypeNode"), ("builtins", "slice", "SliceNode"),
        ("numpy", "dtype", "DTypeNode"), ("numpy", "ndarray", "NdArrayNode"),
        ("numpy", "float64", "NdArrayNode"), ("numpy", "float32", "NdArrayNode"),
        ("numpy", "int64", "NdArrayNode"), ("numpy", "int32", "NdArrayNode"),
        ("numpy", "uint64", "NdArrayNode"), ("numpy", "uint32", "NdArrayNode"),
        ("numpy", "uint8", "NdArrayNode"), ("numpy", "bool", "NdArrayNode"),
        ("numpy.random._generator", "Generator", "RandomGeneratorNode"),
        ("sklearn._loss._loss", "CyHalfBinomialLoss", "LossNode"),
        ("sklearn._loss._loss", "CyHalfMultinomialLoss", "LossNode"),
        ("sklearn._loss._loss", "CyHalfSquaredError", "LossNode"),
        ("sklearn.tree._tree", "Tree", "TreeNode"),
    }
)  # fmt: skip
#: names of those types that the reader does not know by itself
TRUSTED = sorted({f"{module}.{name}" for module, name, _ in ALLOWED if module != "builtins"})
#: bytes of a whole model, unpacked
LARGEST = 2 * 1024**3


def require_allowed(content: bytes, *, what: str) -> None:
    """Raise `DataError` unless every object of a stored estimator is of an allowed type.

    Only the description is read, as JSON; nothing of the file is imported or made.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as stored:
            size = sum(member.file_size for member in stored.infolist())
            if size > LARGEST:
                msg = f"{what}: {size} bytes unpacked are more than a model has"
                raise DataError(msg)
            schema = json.loads(stored.read("schema.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        msg = f"{what}: holds no model; give a file that livertrack wrote"
        raise DataError(msg) from error
    foreign = sorted({f"{m}.{name} ({kind})" for m, name, kind in _types(schema)})
    if foreign:
        msg = (
            f"{what}: refused: it holds {', '.join(foreign[:5])}"
            + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
            + ", which no model of livertrack has; nothing of it was loaded"
        )
        raise DataError(msg)


def _types(schema: Any) -> set[tuple[str, str, str]]:
    """Types of a description that are not allowed."""
    found: set[tuple[str, str, str]] = set()
    left = [schema]
    while left:
        node = left.pop()
        if isinstance(node, list):
            left += node
        elif isinstance(node, dict):
            left += node.values()
            if "__loader__" in node or "__class__" in node:
                triple = (
                    str(node.get("__module__")), str(node.get("__class__")),
                    str(node.get("__loader__")),
                )  # fmt: skip
                if triple not in ALLOWED:
                    found.add(triple)
    return found


def require_sound_trees(estimator: Any, n_features: int, *, what: str) -> None:
    """Raise `DataError` where a tree points outside itself or its features.

    Trees are walked by compiled code that trusts them: a made-up one would read where it must not.
    Children come after their parent in every tree that scikit-learn grows, so a walk ends.
    """
    for model in _parts(estimator):
        grown = [tree.tree_ for tree in getattr(model, "estimators_", [])]
        grown += [model.tree_] if hasattr(model, "tree_") else []
        sound = all(_sound(tree, n_features) for tree in grown) and all(
            _sound_nodes(predictor.nodes, n_features)
            for stage in getattr(model, "_predictors", [])
            for predictor in stage
        )
        if not sound:
            msg = f"{what}: refused: a tree points outside itself; fit the model again"
            raise DataError(msg)


def _parts(estimator: Any) -> list[Any]:
    steps = getattr(estimator, "steps", None)
    return [estimator] if steps is None else [p for _, step in steps for p in _parts(step)]


def _sound(tree: Any, n_features: int) -> bool:
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    n = len(left)
    place, leaf = np.arange(n), left == -1
    inside = (left > place) & (left < n) & (right > place) & (right < n)
    known = (feature >= 0) & (feature < n_features)
    fits = tree.n_features == n_features and len(tree.value) == n > 0
    return bool(fits and (leaf == (right == -1)).all() and (leaf | (inside & known)).all())


def _sound_nodes(nodes: Any, n_features: int) -> bool:
    n = len(nodes)
    place, leaf = np.arange(n), nodes["is_leaf"].astype(bool)
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    feature = nodes["feature_idx"].astype(np.int64)
    inside = (left > place) & (left < n) & (right > place) & (right < n)
    known = (feature >= 0) & (feature < n_features) & (nodes["is_categorical"] == 0)
    return bool(n > 0 and (leaf | (inside & known)).all())
