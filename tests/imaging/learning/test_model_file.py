"""Model files: no code, the same bytes, and refusal of what was made for something else."""

import json
import pickle
import struct

import numpy as np
import pytest

from livertrack.errors import DataError
from livertrack.imaging.learning.model_file import load_model, save_model

FACTS = {
    "task": "mre-quality", "architecture": "squeezenet",
    "preprocessing": {"size": [32, 32], "channels": ["magnitude", "confidence"]},
}  # fmt: skip
STATE = {"b": np.arange(3.0), "a": np.ones((2, 2), np.float32)}


def test_a_model_comes_back_and_the_same_model_gives_the_same_bytes(tmp_path):
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    save_model(one, STATE, FACTS)
    save_model(two, dict(reversed(STATE.items())), dict(reversed(FACTS.items())))
    assert one.read_bytes() == two.read_bytes()
    state, facts = load_model(one, {"task": "mre-quality"})
    assert facts == FACTS
    for name, value in STATE.items():
        np.testing.assert_array_equal(state[name], value)


def test_the_only_metadata_is_one_sorted_json_string(tmp_path):
    save_model(tmp_path / "m.safetensors", STATE, FACTS)
    raw = (tmp_path / "m.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])["__metadata__"]
    assert list(header) == ["livertrack-model"]
    text = header["livertrack-model"]
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(("expected", "reason"), [
    ({"task": "stiffness"}, 'its task is "mre-quality", expected "stiffness"'),
    ({"architecture": "resnet18"}, 'its architecture is "squeezenet", expected "resnet18"'),
    ({"preprocessing": {"size": (64, 64), "channels": ["magnitude", "confidence"]}},
     r"its preprocessing.size is \[32,32\], expected \[64,64\]"),
    ({"preprocessing": {**FACTS["preprocessing"], "gain": 1}},
     "its preprocessing.gain is absent, expected 1"),
])  # fmt: skip
def test_a_model_of_something_else_is_refused_with_the_reason(tmp_path, expected, reason):
    save_model(tmp_path / "m.safetensors", STATE, FACTS)
    with pytest.raises(DataError, match=reason):
        load_model(tmp_path / "m.safetensors", expected)


def test_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "m.safetensors"
    marker = tmp_path / "ran"

    class Bad:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    path.write_bytes(pickle.dumps(Bad()))
    with pytest.raises(DataError, match="not a readable safetensors file"):
        load_model(path)
    assert not marker.exists()


def test_files_that_are_no_models_are_refused(tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(DataError, match="no such file"):
        load_model(tmp_path / "absent.safetensors")
    save_file({"a": np.ones(2)}, tmp_path / "other.safetensors", metadata={"x": "{}"})
    with pytest.raises(DataError, match="holds no livertrack model"):
        load_model(tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="missing preprocessing"):
        save_model(tmp_path / "m.safetensors", STATE, {"task": "a", "architecture": "b"})
