"""Vocabularies as safetensors: tensors and one sorted JSON string, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from livertrack._files import canonical_json, whole_file
from livertrack.errors import DataError
from livertrack.imaging._calibration import absent
from livertrack.imaging.network import build_encoder

if TYPE_CHECKING:
    from livertrack.imaging.vocabulary import Vocabulary

#: name of the metadata entry, and version of what it holds
_KEY, _FORMAT = "livertrack", 2
_CARD = ("profile", "prevalence", "exemplars", "distances")
#: since format 2
_CALIBRATION = ("limit", "variance", "levels", "heights")


def digest(vocabulary: Vocabulary) -> str:
    """SHA-256 of the file."""
    return hashlib.sha256(_bytes(vocabulary)).hexdigest()


def save(vocabulary: Vocabulary, path: str | Path) -> None:
    """Write the file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(_bytes(vocabulary))


def load(path: str | Path) -> dict[str, Any]:
    """Fields of a `Vocabulary`."""
    path = Path(path)
    if not path.is_file():
        msg = f"{path.name}: no such file; fit a vocabulary first"
        raise DataError(msg)
    try:
        with safe_open(path, framework="numpy") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        msg = f"{path.name}: not a readable safetensors file ({error}); fit the vocabulary again"
        raise DataError(msg) from error
    if _KEY not in metadata:
        msg = (
            f"{path.name}: holds no livertrack vocabulary; give a file that Vocabulary.save wrote"
        )
        raise DataError(msg)
    try:
        return _parts(json.loads(metadata[_KEY]), tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        msg = f"{path.name}: the vocabulary is incomplete or of another version ({error!s:.120})"
        raise DataError(msg) from error


def _parts(header: dict[str, Any], tensors: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    if header["format"] not in (1, _FORMAT):
        msg = f"format {header['format']}, expected {_FORMAT}"
        raise ValueError(msg)
    settings = header["settings"]
    built = dict(settings["encoder"])
    encoder = build_encoder(built.pop("kind"), built)
    state = {
        name.removeprefix("encoder."): torch.from_numpy(np.array(value))
        for name, value in tensors.items()
        if name.startswith("encoder.")
    }
    encoder.load_state_dict(state, strict=True)
    centres, groups = tensors["centres"], tensors["groups"]
    if len(centres) != len(groups) or set(groups.tolist()) - set(
        range(1, settings["n_types"] + 1)
    ):
        msg = "clusters and types do not agree"
        raise ValueError(msg)
    card = {name: tensors[f"card.{name}"] for name in _CARD}
    if header["format"] == 1:
        card |= absent(centres, groups)
    else:
        card |= {name: tensors[f"card.{name}"] for name in _CALIBRATION}
    return {
        "encoder": encoder, "centres": centres, "groups": groups, "settings": settings,
        "card": card,
    }  # fmt: skip


def _bytes(vocabulary: Vocabulary) -> bytes:
    state = vocabulary.encoder.state_dict()
    tensors = {
        f"encoder.{name}": np.ascontiguousarray(value.detach().cpu().numpy())
        for name, value in state.items()
    }
    tensors["centres"] = np.ascontiguousarray(vocabulary.centres)
    tensors["groups"] = np.ascontiguousarray(vocabulary.groups)
    for name in (*_CARD, *_CALIBRATION):
        tensors[f"card.{name}"] = np.ascontiguousarray(vocabulary.card[name])
    header = canonical_json({"format": _FORMAT, "settings": dict(vocabulary.settings)})
    return bytes(to_bytes(tensors, metadata={_KEY: header}))
