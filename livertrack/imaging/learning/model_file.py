"""Trained networks as safetensors: tensors and one sorted JSON string, no code.

The facts say what a model is for and how its inputs were prepared; a model whose facts differ
from what the caller expects is refused with the reason, never applied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from livertrack._files import canonical_json, whole_file
from livertrack.errors import DataError

_KEY, _FORMAT = "livertrack-model", 1
#: facts that every model states
REQUIRED = ("task", "architecture", "preprocessing")

State = Mapping[str, NDArray[Any]]


def save_model(path: str | Path, state: State, facts: Mapping[str, Any]) -> None:
    """Write a model, whole or not at all; the same model gives the same bytes.

    Parameters
    ----------
    path : path
        File to write, ``.safetensors``.
    state : mapping of name to array
    facts : mapping
        Plain values: ``task, architecture, preprocessing`` and whatever a prediction needs.

    Raises
    ------
    DataError
        A required fact is missing.
    """
    missing = [name for name in REQUIRED if name not in facts]
    if missing:
        msg = f"a model states its {', '.join(REQUIRED)}; missing {', '.join(missing)}"
        raise DataError(msg)
    tensors = {name: np.ascontiguousarray(value) for name, value in sorted(state.items())}
    header = canonical_json({"format": _FORMAT, "facts": dict(facts)})
    with whole_file(path) as temporary:
        temporary.write_bytes(to_bytes(tensors, metadata={_KEY: header}))


def load_model(
    path: str | Path, expect: Mapping[str, Any] | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read a model; nothing in the file is executed.

    Parameters
    ----------
    path : path
    expect : mapping, optional
        Facts that must be as given, e.g. ``{"task": "mre-quality", "preprocessing": {...}}``.

    Returns
    -------
    state, facts

    Raises
    ------
    DataError
        No such file, another format, or a fact that differs: named, with both values.
    """
    path = Path(path)
    state, metadata = _read(path)
    try:
        header = json.loads(metadata[_KEY])
        version, facts = header["format"], dict(header["facts"])
        missing = [name for name in REQUIRED if name not in facts]
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path.name}: holds no livertrack model; give a file that `livertrack train` wrote"
        raise DataError(msg) from error
    if version != _FORMAT or missing:
        msg = f"{path.name}: a model of format {version}, expected {_FORMAT}; train it again"
        raise DataError(msg)
    require_facts(facts, expect or {}, what=path.name)
    return state, facts


def read_weights(path: str | Path) -> dict[str, NDArray[Any]]:
    """Tensors of any safetensors file, e.g. weights of a network trained elsewhere."""
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    if not path.is_file():
        msg = f"{path.name}: no such file; train a model first"
        raise DataError(msg)
    try:
        with safe_open(path, framework="numpy") as stored:
            metadata = dict(stored.metadata() or {})
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        msg = f"{path.name}: not a readable safetensors file ({error!s:.120}); write it again"
        raise DataError(msg) from error
    return state, metadata


def require_facts(facts: Mapping[str, Any], expect: Mapping[str, Any], *, what: str) -> None:
    """Raise `DataError` with every fact that is not as expected."""
    wrong = []
    for name, wanted in expect.items():
        wanted = json.loads(canonical_json(wanted))
        found = facts.get(name)
        if found != wanted:
            wrong += _differences(name, found, wanted)
    if wrong:
        msg = f"{what}: refused: {'; '.join(wrong)}; train a model for these data"
        raise DataError(msg)


def _differences(name: str, found: Any, wanted: Any) -> list[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = sorted(set(found) | set(wanted))
        return [
            part
            for key in keys
            if found.get(key) != wanted.get(key)
            for part in _differences(f"{name}.{key}", found.get(key), wanted.get(key))
        ]
    return [f"its {name} is {_short(found)}, expected {_short(wanted)}"]


def _short(value: Any) -> str:
    return "absent" if value is None else canonical_json(value)[:80]
