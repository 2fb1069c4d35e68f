"""A stored model predicts what it did, and a file of anybody else's cannot run code."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import livertrack as lt

sio = pytest.importorskip("skops.io", reason="skops is not installed (extra models)")

PREPARED = {"vocabulary": "ab12", "visit": "Baseline", "sequences": ["IP", "OP"]}
TYPES = ["TV1", "TV2", "TV3", "TV4"]


def cohort(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    data = pd.DataFrame(rng.dirichlet([3.0] * 4, n), columns=TYPES)
    data["USUBJID"] = [f"SECRET-{i:03d}" for i in range(n)]
    score = 3 * data["TV1"] + rng.normal(0, 0.4, n)
    data["STAGE"] = pd.qcut(score, 3, labels=False).astype(float)
    data["NASH"] = (score > score.median()).astype(int)
    data.loc[3, "TV2"] = np.nan
    return data


def fitted(task: Any = "binary", kind: Any = "linear", **options: Any) -> lt.TabularModel:
    outcome = {"binary": "NASH"}.get(task, "STAGE")
    [model] = lt.biopsy_models({"types": TYPES}, task=task, kinds=[kind], n_trees=5).values()
    given = {"outcome": outcome, "preprocessing": PREPARED, "n_inner": 2, "seed": 3, **options}
    return lt.fit_tabular(cohort(), model=model, task=task, **given)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted().save(tmp_path_factory.mktemp("models") / "nash.model")


@pytest.mark.parametrize("task", ["binary", "ordinal", "continuous"])
@pytest.mark.parametrize("kind", ["linear", "forest", "boosting"])
def test_every_model_of_the_package_comes_back_as_it_was(
    task: str, kind: str, tmp_path: Path
) -> None:
    [tabular] = lt.biopsy_models({"t": TYPES}, task=task, kinds=[kind], n_trees=4).values()
    data = cohort()
    outcome = "NASH" if task == "binary" else "STAGE"
    model = lt.fit_tabular(
        data, model=lt.Tabular(tabular.estimator, TYPES), outcome=outcome, task=task, seed=1,
        preprocessing=PREPARED,
    )  # fmt: skip
    again = lt.load_tabular(model.save(tmp_path / "m"), expect={"preprocessing": PREPARED})
    np.testing.assert_array_equal(again.predict(data), model.predict(data))
    assert again.facts == model.facts


def test_the_fit_is_that_of_the_learner_and_its_inner_folds() -> None:
    data = cohort()
    [tabular] = lt.biopsy_models({"t": TYPES}, task="binary", kinds=["linear"]).values()
    model = fitted()
    candidates = {c.label(): c for c in tabular.candidates()}
    chosen = candidates[model.facts["chosen"]]
    y = data["NASH"].to_numpy(float)
    np.testing.assert_allclose(
        model.predict(data), chosen.fit(data, y, "binary", seed=9)(data), rtol=1e-10
    )
    assert len(candidates) == 8


def test_facts_hold_no_subject_and_say_what_the_model_is_for(saved: Path) -> None:
    with zipfile.ZipFile(saved) as stored:
        text = b"".join(stored.read(name) for name in stored.namelist())
        facts = json.loads(stored.read("facts.json"))["facts"]
    assert b"SECRET" not in text
    assert facts["columns"] == TYPES
    assert (facts["outcome"], facts["task"], facts["n_subjects"]) == ("NASH", "binary", 60)
    assert facts["preprocessing"] == PREPARED


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({"outcome": "STAGE"}, 'its outcome is "NASH", expected "STAGE"'),
        ({"preprocessing": {**PREPARED, "vocabulary": "ff"}}, r'its preprocessing is .*"ab12"'),
        ({"columns": TYPES[::-1]}, "its columns is"),
        ({"colour": "blue"}, "its colour is absent"),
    ],
)
def test_a_model_for_something_else_is_refused_with_the_reason(
    saved: Path, expect: dict[str, Any], words: str
) -> None:
    with pytest.raises(lt.DataError, match=words):
        lt.load_tabular(saved, expect=expect)


def test_a_column_that_is_missing_is_said(saved: Path) -> None:
    with pytest.raises(lt.DataError, match="TV3"):
        lt.load_tabular(saved).predict(cohort().drop(columns="TV3"))


def rewritten(source: Path, target: Path, *, estimator: bytes | None = None, **facts: Any) -> Path:
    """A copy with another estimator and other facts, whose hash is right."""
    import hashlib

    with zipfile.ZipFile(source) as stored:
        header = json.loads(stored.read("facts.json"))
        content = stored.read("estimator.skops") if estimator is None else estimator
    header["facts"].update({"sha256": hashlib.sha256(content).hexdigest(), **facts})
    with zipfile.ZipFile(target, "w") as out:
        out.writestr("facts.json", json.dumps(header))
        out.writestr("estimator.skops", content)
    return target


def edited(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A stored estimator whose description was changed by hand."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as stored, zipfile.ZipFile(out, "w") as new:
        for name in stored.namelist():
            part = stored.read(name)
            if name == "schema.json":
                schema = json.loads(part)
                change(schema)
                part = json.dumps(schema).encode()
            new.writestr(name, part)
    return out.getvalue()


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def _command(marker: Path) -> bytes:
    run = functools.partial(os.system, f"touch {marker}")
    return bytes(sio.dumps(Pipeline([("run", FunctionTransformer(run)), ("s", StandardScaler())])))


def _pickled(marker: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as stored:
        stored.writestr("schema.json", pickle.dumps(Bomb(marker)))
    return out.getvalue()


def _loader(marker: Path) -> bytes:
    """A node that says it is a list, of a class that is none."""

    def change(schema: dict[str, Any]) -> None:
        schema.update({"__module__": "os", "__class__": "system", "__loader__": "FunctionNode"})

    return edited(bytes(sio.dumps(LogisticRegression())), change)


def _constructor(marker: Path) -> bytes:
    def change(schema: dict[str, Any]) -> None:
        schema["content"]["content"]["C"] = {
            "__module__": "subprocess", "__class__": "Popen",
            "__loader__": "ConstructorFromReduceNode", "__id__": 1,
            "content": {"__module__": "builtins", "__class__": "tuple", "__loader__": "TupleNode",
                        "content": [], "__id__": 2},
        }  # fmt: skip

    return edited(bytes(sio.dumps(LogisticRegression())), change)


def _disguised(marker: Path) -> bytes:
    """A class of this test under the name of an allowed kind of node."""

    def change(schema: dict[str, Any]) -> None:
        schema.update({"__module__": "tests.endpoints.test_model_file", "__class__": "Bomb"})

    return edited(bytes(sio.dumps(LogisticRegression())), change)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (_command, r"refused: it holds .*partial"),
        (_pickled, "holds no model"),
        (_loader, r"refused: it holds os\.system"),
        (_constructor, r"subprocess\.Popen \(ConstructorFromReduceNode\)"),
        (_disguised, r"test_model_file\.Bomb"),
    ],
)
def test_a_crafted_file_cannot_run_code(
    saved: Path, tmp_path: Path, made: Callable[[Path], bytes], words: str
) -> None:
    marker = tmp_path / "ran"
    crafted = rewritten(saved, tmp_path / "crafted", estimator=made(marker))
    with pytest.raises(lt.DataError, match=words):
        lt.load_tabular(crafted)
    assert not marker.exists()


def test_the_bombs_would_go_off_elsewhere(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    pickle.loads(pickle.dumps(Bomb(marker)))  # noqa: S301
    assert marker.exists()


def test_a_tree_that_points_outside_itself_is_refused(tmp_path: Path) -> None:
    whole = fitted(kind="forest")
    file = whole.save(tmp_path / "forest")
    tree = whole.estimator.steps[-1][1].estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["left_child"][0] = 10**7
    tree.__setstate__(state)
    crafted = rewritten(file, tmp_path / "crafted", estimator=sio.dumps(whole.estimator))
    with pytest.raises(lt.DataError, match="points outside itself"):
        lt.load_tabular(crafted)

    boosted = fitted(kind="boosting")
    file = boosted.save(tmp_path / "boosted")
    nodes = boosted.estimator.steps[-1][1]._predictors[0][0].nodes
    nodes["left"][0] = 0  # a walk without an end
    crafted = rewritten(file, tmp_path / "loop", estimator=sio.dumps(boosted.estimator))
    with pytest.raises(lt.DataError, match="points outside itself"):
        lt.load_tabular(crafted)


def test_a_pickle_in_the_place_of_a_model_is_refused(tmp_path: Path) -> None:
    marker, file = tmp_path / "ran", tmp_path / "model"
    file.write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(lt.DataError, match="holds no model"):
        lt.load_tabular(file)
    assert not marker.exists()


def test_an_estimator_that_was_exchanged_or_damaged_is_refused(
    saved: Path, tmp_path: Path
) -> None:
    other = fitted(outcome="NASH", seed=8).save(tmp_path / "other")
    with zipfile.ZipFile(other) as stored:
        content = stored.read("estimator.skops")
    with zipfile.ZipFile(saved) as stored:
        facts = json.loads(stored.read("facts.json"))["facts"]
    mixed = rewritten(saved, tmp_path / "mixed", estimator=content, sha256=facts["sha256"])
    with pytest.raises(lt.DataError, match="not the one that was saved"):
        lt.load_tabular(mixed)


def test_another_version_or_other_answers_are_refused(saved: Path, tmp_path: Path) -> None:
    old = rewritten(saved, tmp_path / "old", versions={"scikit-learn": "0.24.2"})
    with pytest.raises(lt.DataError, match=r"scikit-learn 0\.24\.2, here is"):
        lt.load_tabular(old)
    with zipfile.ZipFile(saved) as stored:
        probe = json.loads(stored.read("facts.json"))["facts"]["probe"]
    probe["predicted"][0] += 0.01
    moved = rewritten(saved, tmp_path / "moved", probe=probe)
    with pytest.raises(lt.DataError, match="predicts something else here"):
        lt.load_tabular(moved)


def test_a_model_of_foreign_parts_is_not_even_saved(tmp_path: Path) -> None:
    data = cohort().dropna()
    steps = Pipeline([("f", FunctionTransformer(np.log1p)), ("m", LogisticRegression())])
    model = lt.fit_tabular(
        data, model=lt.Tabular(steps, TYPES), outcome="NASH", preprocessing={}, seed=1
    )
    with pytest.raises(lt.DataError, match="FunctionTransformer"):
        model.save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_what_cannot_be_stated_or_learned_is_said(tmp_path: Path) -> None:
    with pytest.raises(lt.UsageError, match="plain values only"):
        fitted(preprocessing={"function": np.log})
    with pytest.raises(lt.DataError, match="no such file"):
        lt.load_tabular(tmp_path / "none")
    with pytest.raises(lt.DataError, match="one level"):
        lt.fit_tabular(
            cohort().assign(NASH=1), model=lt.Tabular(LogisticRegression(), TYPES),
            outcome="NASH", preprocessing={}, seed=1,
        )  # fmt: skip
