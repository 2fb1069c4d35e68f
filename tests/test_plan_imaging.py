"""The imaging part of a plan says which regions, limits and inputs are meant, and nothing else."""

import pytest
from pydantic import ValidationError

from livertrack.plan_imaging import ImagingSettings


def settings(**more: object) -> ImagingSettings:
    return ImagingSettings.model_validate({"sequences": ["IP", "OP"], **more})


def test_shells_alone_mean_what_they_meant() -> None:
    assert settings().parts.model_dump() == {
        "shells": 3, "sectors": 0, "vessel_distance_mm": [],
    }  # fmt: skip
    assert settings(shells=5).parts.shells == 5


def test_regions_are_a_list_of_divisions_or_a_mapping() -> None:
    given = [{"shells": 2}, {"sectors": 8}, {"vessel_distance_mm": [5, 15]}]
    merged = {name: value for item in given for name, value in item.items()}
    for regions in (given, merged):
        parts = settings(vessel_label=9, regions=regions).parts
        assert (parts.shells, parts.sectors, parts.vessel_distance_mm) == (2, 8, [5, 15])


def test_a_plan_read_back_from_its_canonical_form_is_the_same() -> None:
    one = settings(vessel_label=9, regions=[{"sectors": 2}, {"vessel_distance_mm": [5]}])
    assert ImagingSettings.model_validate(one.model_dump(mode="json")) == one


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"regions": [{"shells": 2}, {"shells": 3}]}, "given twice"),
        ({"regions": [{"shells": 2, "sectors": 2}]}, "is a list such as"),
        ({"regions": [{"sectors": 3}]}, "0, 2, 4 or 8"),
        ({"regions": [{"lobes": 2}]}, "not permitted"),
        ({"regions": [{"vessel_distance_mm": [5]}]}, "needs vessel_label"),
        ({"vessel_label": 9, "regions": [{"vessel_distance_mm": [9, 5]}]}, "must rise"),
        ({"shells": 5, "regions": [{"sectors": 2}]}, "state shells in regions only"),
        ({"quantitative": {"PDFF": 20}}, "PDFF is not one of the sequences"),
        ({"quantitative": {"IP": 0}}, "above 0"),
        ({"standardise": "z-score"}, "reference"),
        ({"align_channels": "affine"}, "rigid"),
        ({"limits": {"volume": [1, 2]}}, "not permitted"),
        ({"standardise": "reference"}, "needs reference_label"),
    ],
)
def test_what_cannot_be_meant_is_refused(more: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**more)


def test_the_number_of_types_is_stated_or_chosen_within_a_stated_range() -> None:
    fixed = ImagingSettings(sequences=["IP"])
    chosen = ImagingSettings(sequences=["IP"], n_types="auto", type_range=(3, 9))
    assert fixed.n_types == 8
    assert (chosen.n_types, chosen.type_range) == ("auto", (3, 9))
    for wrong in (
        {"n_types": 1},
        {"n_types": "many"},
        {"type_range": (6, 4)},
        {"unknown": "keep"},
    ):
        with pytest.raises(ValidationError):
            ImagingSettings(sequences=["IP"], **wrong)
