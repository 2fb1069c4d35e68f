"""The imaging part of a plan: how scans are read, made comparable, labelled and counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegionSettings(_Part):
    """Parts of the liver in which signatures are counted, besides the whole.

    ``shells`` of equal volume from capsule to core; ``sectors`` by planes through the centre (2:
    right and left, 4: also upper and lower, 8: each half once more); ``vessel_distance_mm``:
    limits of bands of distance to the vessels, which need ``vessel_label``.
    """

    shells: int = Field(default=0, ge=0, le=9)
    sectors: Literal[0, 2, 4, 8] = 0
    vessel_distance_mm: list[float] = Field(default_factory=list, max_length=9)

    @model_validator(mode="before")
    @classmethod
    def _merged(cls, given: Any) -> Any:
        """Accept a list of one-key mappings: ``[shells: 3, sectors: 2]``."""
        if not isinstance(given, list):
            return given
        merged: dict[str, Any] = {}
        for item in given:
            if not isinstance(item, Mapping) or len(item) != 1:
                msg = "regions is a list such as [shells: 3, sectors: 2]"
                raise ValueError(msg)
            (name, value), *_ = item.items()
            if name in merged:
                msg = f"regions: {name} is given twice"
                raise ValueError(msg)
            merged[name] = value
        return merged

    @model_validator(mode="after")
    def _rising(self) -> RegionSettings:
        limits = self.vessel_distance_mm
        if any(b <= a for a, b in zip([0.0, *limits], limits, strict=False)):
            msg = f"vessel_distance_mm must rise from above 0, got {limits}"
            raise ValueError(msg)
        return self


class QualityLimits(_Part):
    """Limits beyond which a scan is flagged, in ``check`` and in adscan (never excluded by them).

    ``volume_ml`` of the mask (from, to); ``largest_part`` the least share of the mask in its
    largest connected part; ``snr`` the least; ``ghost``, ``clipped`` the most (see the dictionary,
    adscan); ``shift_mm`` the most by which a channel may have had to be moved.
    """

    volume_ml: tuple[float, float] = (400.0, 5000.0)
    largest_part: float = Field(default=0.95, ge=0, le=1)
    snr: float = Field(default=5.0, ge=0)
    ghost: float = Field(default=0.1, ge=0)
    clipped: float = Field(default=0.01, ge=0, le=1)
    shift_mm: float = Field(default=10.0, ge=0)


class BidsSettings(_Part):
    """A BIDS dataset in place of images.csv.

    ``folder`` relative to the study; ``sessions`` maps session labels to visits where they differ
    by more than blanks and case; ``masks`` is the derivative (its folder) with liver masks.
    """

    folder: str
    sessions: dict[str, str] = Field(default_factory=dict)
    masks: str | None = None


class ImagingSettings(_Part):
    """How scans become tissue types; every value is recorded in the vocabulary file.

    ``quantitative`` names sequences in physical units (PDFF, R2STAR) and the number each is
    divided by in place of bias correction and standardisation. ``measures`` names sequences whose
    median in the liver is a record (dataset admap), and LVOL. ``n_types: auto`` chooses within
    ``type_range`` by stability and held-out likelihood, before any arm is looked at. ``unknown``
    says what becomes of voxels unlike any tissue that the vocabulary has seen: the nearest type,
    or none. With ``soft_labels`` pathways are
    counted from the probabilities of the types, so that a voxel between two types is no change;
    signatures are counted from the labels all the same.
    """

    sequences: list[str] = Field(min_length=1)
    bids: BidsSettings | None = None
    liver_label: int | None = None
    reference_label: int | None = None
    vessel_label: int | None = None
    spacing_mm: tuple[float, float, float] = (3.0, 3.0, 4.0)
    bias_field: Literal["n4", "none"] = "n4"
    standardise: Literal["reference", "tail", "none"] = "tail"
    align_channels: Literal["none", "rigid"] = "none"
    quantitative: dict[str, float] = Field(default_factory=dict)
    measures: list[str] = Field(default_factory=list)
    method: Literal["invariant", "joint", "kmeans", "dcn"] = "invariant"
    n_types: Annotated[int, Field(ge=2, le=99)] | Literal["auto"] = 8
    type_range: tuple[int, int] = (4, 12)
    unknown: Literal["nearest", "exclude"] = "nearest"
    steps: int = Field(default=400, ge=1)
    shells: int = Field(default=3, ge=0, le=9)
    regions: RegionSettings | None = None
    limits: QualityLimits = QualityLimits()
    min_voxels: int = Field(default=500, ge=1)
    on_error: Literal["exclude", "stop"] = "exclude"
    correspondence: Literal["rigid", "deformable", "none"] = "rigid"
    registration_dice: float = Field(default=0.8, ge=0, le=1)
    soft_labels: bool = True
    truth: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ImagingSettings:
        if self.standardise == "reference" and self.reference_label is None:
            msg = "standardise: reference needs reference_label, the value of that tissue in MASK"
            raise ValueError(msg)
        if self.regions is not None:
            if self.shells != 3:
                msg = "shells and regions: state shells in regions only"
                raise ValueError(msg)
            if self.regions.vessel_distance_mm and self.vessel_label is None:
                msg = "vessel_distance_mm needs vessel_label, the value of vessels in MASK"
                raise ValueError(msg)
        if not 2 <= self.type_range[0] <= self.type_range[1] <= 99:
            msg = "type_range: the fewest and the most types, from 2 to 99"
            raise ValueError(msg)
        strange = sorted(set(self.quantitative) - set(self.sequences))
        if strange:
            msg = f"quantitative: {', '.join(strange)} is not one of the sequences"
            raise ValueError(msg)
        if any(value <= 0 for value in self.quantitative.values()):
            msg = "quantitative: the divisors must be above 0"
            raise ValueError(msg)
        return self

    @property
    def counts_probabilities(self) -> bool:
        """Whether pathways need the probabilities of the types: voxels must correspond for it."""
        return self.soft_labels and self.correspondence != "none"

    @property
    def parts(self) -> RegionSettings:
        """Regions, ``shells`` among them."""
        return self.regions or RegionSettings(shells=self.shells)
