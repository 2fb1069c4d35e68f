"""A plan is read whole or refused with every problem named."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from livertrack.errors import PlanError
from livertrack.plan import read_plan

GOOD: dict[str, Any] = {
    "study": {"id": "LT-1", "title": "A trial"},
    "seed": 7,
    "data": {
        "arms": ["Placebo", "Active"], "reference": "Placebo",
        "visits": ["Baseline", "Week 12"], "baseline": "Baseline",
    },
    "estimands": [
        {
            "id": "E1", "label": "ALT", "treatment": "Active v placebo", "population": "FAS",
            "variable": "change in ALT", "summary": "difference in means",
            "intercurrent_events": [{"event": "stop", "strategy": "treatment-policy"}],
        }
    ],
    "analyses": [
        {"id": "alt", "endpoint": "ancova", "estimand": "E1", "visit": "Week 12",
         "parameters": ["ALT"]},
    ],
}  # fmt: skip


RULE: dict[str, Any] = {
    "id": "r", "endpoint": "risk_difference", "visit": "Week 12",
    "options": {"criteria": [{"parameter": "NAS", "measure": "CHG", "below": -2}]},
}  # fmt: skip


def write(folder: Path, **changes: Any) -> Path:
    plan = copy.deepcopy(GOOD)
    plan.update(changes)
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    return path


def test_defaults_are_filled_in_and_hashed(tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path))
    assert plan.conf_level == 0.95
    assert plan.analyses[0].options["formula"] == "CHG ~ BASE + {arm}"
    spelled_out = read_plan(write(tmp_path, conf_level=0.95))
    assert spelled_out.hash == plan.hash
    assert read_plan(write(tmp_path, conf_level=0.9)).hash != plan.hash


def test_every_problem_is_named_at_once_with_a_suggestion(tmp_path: Path) -> None:
    data = {**GOOD["data"], "referense": "Placebo"}
    analyses = [
        {"id": "a", "endpoint": "ancvoa"},
        {"id": "b", "endpoint": "rmst", "options": {"tua": 3}},
    ]
    with pytest.raises(PlanError) as error:
        read_plan(write(tmp_path, sead=3, data=data, analyses=analyses))
    message = str(error.value)
    assert "'sead'; did you mean 'seed'" in message
    assert "data.referense: unknown key 'referense'; did you mean 'reference'" in message
    assert "unknown endpoint 'ancvoa'; did you mean 'ancova'" in message
    assert "tua" in message


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"analyses": [{**GOOD["analyses"][0], "estimand": "E2"}]}, "unknown estimand 'E2'"),
        ({"analyses": [{**GOOD["analyses"][0], "visit": "Week 13"}]}, "did you mean 'Week 12'"),
        ({"analyses": GOOD["analyses"] * 2}, "is used 2 times"),
        ({"data": {**GOOD["data"], "reference": "None"}}, "not one of the arms"),
        ({"imaging": {"sequences": ["IP"], "standardise": "reference"}}, "reference_label"),
        ({"multiplicity": {"method": "holm", "family": ["atl"]}}, "did you mean 'alt'"),
        ({"analyses": [{"id": "p", "endpoint": "change_pathways"}]}, "needs an imaging section"),
        ({"analyses": [{"id": "p", "endpoint": "ancova", "parameters": ["A"]}]}, "needs a visit"),
        ({"analyses": [{"id": "p", "endpoint": "mmrm"}]}, "needs parameters"),
        ({"analyses": [{**RULE, "parameters": ["A"]}]}, "criteria name their parameters"),
        ({"analyses": [{**RULE, "options": {}}]}, "exactly one of below, above and criteria"),
        ({"analyses": [{**RULE, "options": {"criteria": [{"parameter": "NAS"}]}}]}, "below or ab"),
        ({"analyses": [{"id": "w", "endpoint": "win_ratio"}]}, "list the outcomes"),
        ({"analyses": [{"id": "w", "endpoint": "win_ratio",
                        "options": {"hierarchy": [{"name": "x", "value": "ALT"}]}}]},
         "win_ratio needs a visit"),
        ({"data": {**GOOD["data"], "repeats": {"Rescan": "Week 3"}}}, "repeats: 'Rescan'"),
        ({"multiplicity": {"hypotheses": {"H": {"analysis": "atl"}}}}, "did you mean 'alt'"),
        ({"multiplicity": {"method": "graphical"}}, "needs hypotheses, weights and transitions"),
        ({"multiplicity": {"hypotheses": {"H": {"analysis": "alt"}}, "weights": {"H": 1}}},
         "weights belong to method: graphical or closed"),
        ({"multiplicity": {"transitions": {}, "local": "simes"}}, "local belongs to method: clos"),
        ({"multiplicity": {"method": "gatekeeping", "hypotheses": {"H": {"analysis": "alt"}},
                           "families": {"first": []}}}, "every hypothesis in one of the families"),
        ({"multiplicity": {"method": "gatekeeping", "hypotheses": {"H": {"analysis": "alt"}},
                           "families": {"first": ["H"]}, "truncation": [0.5, 1.0]}},
         "truncation: 2 for 1 families"),
        ({"multiplicity": {"method": "closed", "weights": {"H": 1.0}, "hypotheses": {
            "H": {"analysis": "alt"}, "G": {"analysis": "alt"}}}}, "a weight of every hypothesis"),
        ({"multiplicity": {"method": "graphical", "hypotheses": {"H": {"analysis": "alt"}},
                           "weights": {"G": 1}}}, "no hypothesis is called G"),
    ],
)  # fmt: skip
def test_inconsistent_plans_are_refused(tmp_path: Path, change: Any, text: str) -> None:
    with pytest.raises(PlanError, match="problem") as error:
        read_plan(write(tmp_path, **change))
    assert text in str(error.value)


def test_a_missing_or_broken_file_is_a_plan_error(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"needs a plan\.yaml"):
        read_plan(tmp_path)
    (tmp_path / "plan.yaml").write_text("a: [1,")
    with pytest.raises(PlanError, match="not valid YAML"):
        read_plan(tmp_path)
    (tmp_path / "plan.yaml").write_text("- 1\n")
    with pytest.raises(PlanError, match="must be a mapping"):
        read_plan(tmp_path)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text() + "seed: 8\n")
    with pytest.raises(PlanError, match="'seed' is given twice"):
        read_plan(path)
