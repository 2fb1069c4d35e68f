"""First-order and texture features of one channel, on itself and on filtered images, by mirp."""

from __future__ import annotations

import csv
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

import numpy as np

from livertrack.errors import UsageError
from livertrack.imaging.scan import Bools, Floats, Spacing

Family = Literal["shape", "first-order", "GLCM", "GLRLM", "GLSZM", "NGTDM", "NGLDM"]
#: families that are counted from intensities, and what mirp calls them
TEXTURES: dict[str, str] = {
    "first-order": "statistical", "GLCM": "glcm", "GLRLM": "glrlm", "GLSZM": "glszm",
    "NGTDM": "ngtdm", "NGLDM": "ngldm",
}  # fmt: skip


class Feature(NamedTuple):
    """A feature of the IBSI: its code, family, name in columns of mirp, and title."""

    code: str
    family: str
    stem: str
    title: str


class Picture(NamedTuple):
    """An image whose features are taken: prefix of PARAMCD, prefix of mirp's columns, title."""

    letter: str
    column: str
    title: str


@dataclass(frozen=True)
class RadiomicRules:
    """How features are taken.

    Attributes
    ----------
    families : tuple
        Of shape, first-order, GLCM, GLRLM, GLSZM, NGTDM, NGLDM (known as GLDM elsewhere).
    spacing_mm : float or None
        Isotropic grid for intensities and textures, mm (cubic spline, with the mask at one half);
        None leaves the voxels as they are. Shape is always taken on the scan's own grid.
    n_bins : int
        Grey levels between the smallest and largest intensity of the liver, for textures.
    log_sigma_mm : tuple of float
        Widths of Laplacian-of-Gaussian filters, mm; none where empty.
    wavelet : str
        Separable wavelet (e.g. ``coif1``) whose eight first-level sub-bands, made rotation
        invariant, are also images; "" for none.
    filtered_families : tuple
        Families taken on filtered images.
    """

    families: tuple[Family, ...] = (
        "shape", "first-order", "GLCM", "GLRLM", "GLSZM", "NGTDM", "NGLDM",
    )  # fmt: skip
    spacing_mm: float | None = 3.0
    n_bins: int = 32
    log_sigma_mm: tuple[float, ...] = (3.0, 6.0)
    wavelet: str = ""
    filtered_families: tuple[Family, ...] = ("first-order",)

    def __post_init__(self) -> None:
        known = {"shape", *TEXTURES}
        odd = [f for f in (*self.families, *self.filtered_families) if f not in known]
        problems = [f"{', '.join(odd)} is no family; {', '.join(known)} are"] if odd else []
        if "shape" in self.filtered_families:
            problems.append("a filtered image has no shape of its own")
        if not self.families:
            problems.append("name at least one family")
        if self.n_bins < 2:
            problems.append(f"n_bins is at least 2, got {self.n_bins}")
        sizes = [*self.log_sigma_mm, *([] if self.spacing_mm is None else [self.spacing_mm])]
        if any(not size > 0 for size in sizes):
            problems.append("spacing_mm and log_sigma_mm are positive, mm")
        if problems:
            raise UsageError("; ".join(problems))

    def settings(self) -> dict[str, Any]:
        """What decides the features."""
        return asdict(self)

    def pictures(self) -> list[Picture]:
        """The image itself and its filtered versions."""
        found = [Picture("R", "", "")]
        found += [
            Picture(f"L{n}", f"log_s_{sigma:.1f}_", f"Laplacian of Gaussian {sigma:g} mm")
            for n, sigma in enumerate(self.log_sigma_mm, start=1)
        ]
        bands = [f"{a}{b}{c}" for a in "lh" for b in "lh" for c in "lh"] if self.wavelet else []
        return found + [
            Picture(
                f"W{n}", f"wavelet_{self.wavelet}_{band}_level_1_invar_",
                f"{self.wavelet} wavelet {band.upper()}",
            )
            for n, band in enumerate(bands, start=1)
        ]  # fmt: skip


@cache
def features() -> tuple[Feature, ...]:
    """Every feature, in the order of the IBSI manual."""
    path = resources.files("livertrack.imaging") / "ibsi.csv"
    with path.open(encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return tuple(Feature(r["code"], r["family"], r["stem"], r["name"]) for r in rows)


def require_library() -> None:
    """Raise `UsageError` where mirp is not installed."""
    try:
        import mirp  # noqa: F401
    except ImportError as error:
        msg = "radiomics needs mirp: pip install 'livertrack[radiomics]'"
        raise UsageError(msg) from error


def texture_features(
    volume: Floats, mask: Bools, spacing: Spacing, rules: RadiomicRules
) -> dict[tuple[str, str], float]:
    """Features of one channel by (prefix of the picture, IBSI code); empty without textures.

    Textures are counted in 3-D, directions merged, at a Chebyshev distance of one voxel. A feature
    that cannot be counted (a liver of one intensity) is NaN.
    """
    own = [TEXTURES[f] for f in rules.families if f in TEXTURES]
    filters = [*(["laplacian_of_gaussian"] if rules.log_sigma_mm else []),
               *(["separable_wavelet"] if rules.wavelet else [])]  # fmt: skip
    further = [TEXTURES[f] for f in rules.filtered_families] if filters else []
    if not own and not further:
        return {}
    options: dict[str, Any] = {
        "base_feature_families": own or "none",
        "base_discretisation_method": "fixed_bin_number",
        "base_discretisation_n_bins": rules.n_bins,
        "new_spacing": rules.spacing_mm,
        "image_modality": "mr",
    }
    if further:
        options |= {
            "filter_kernels": filters,
            "response_map_feature_families": further,
            "response_map_discretisation_method": "fixed_bin_number",
            "response_map_discretisation_n_bins": rules.n_bins,
        }
        if rules.log_sigma_mm:
            options["laplacian_of_gaussian_sigma"] = list(rules.log_sigma_mm)
        if rules.wavelet:
            options |= {
                "separable_wavelet_families": rules.wavelet, "separable_wavelet_set": "all",
            }  # fmt: skip
    row = _counted(volume, mask, spacing, options)
    found = {}
    for picture in rules.pictures():
        wanted = rules.filtered_families if picture.column else rules.families
        for feature in features():
            if feature.family in wanted and feature.stem:
                found[picture.letter, feature.code] = _cell(row, picture.column + feature.stem)
    return found


def _counted(
    volume: Floats, mask: Bools, spacing: Spacing, options: dict[str, Any]
) -> dict[str, float]:
    """Run mirp on arrays (z, y, x) and give its row of numbers."""
    from mirp import extract_features
    from mirp.data_import.import_image_and_mask import import_image_and_mask

    with _quiet():
        image = import_image_and_mask(
            image=np.ascontiguousarray(volume.T, dtype=np.float32),
            mask=np.ascontiguousarray(mask.T, dtype=np.uint8), image_modality="mr",
        )[0]  # fmt: skip
        outline = image.associated_masks[0]
        # an array carries no voxel size of its own
        image.image_spacing = outline.image_spacing = tuple(float(s) for s in reversed(spacing))
        found = extract_features(image=image, mask=outline, **options)
    if not found or found[0] is None:
        return {}
    return {str(name): value for name, value in found[0].iloc[0].items()}


def _cell(row: dict[str, float], name: str) -> float:
    """Value of the column ``name``, or of that with mirp's suffix of settings."""
    suffixes = ("", "_d1_3d_v_mrg", "_3d_v_mrg", "_3d", "_d1_a0.0_3d")
    for suffix in suffixes:
        start = name + suffix
        for column, value in row.items():
            if column == start or (suffix and column.startswith(start + "_fbn_")):
                return float(value)
    return float("nan")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what mirp says about its progress away, and leave the loggers as they were."""
    root = logging.getLogger()
    level, disabled, handlers = root.level, logging.root.manager.disable, list(root.handlers)
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        for handler in [h for h in root.handlers if h not in handlers]:
            root.removeHandler(handler)


def codes(rules: RadiomicRules, *, filtered: bool) -> Sequence[Feature]:
    """Features that the rules ask for, on the image itself or on filtered ones."""
    wanted = rules.filtered_families if filtered else rules.families
    return [feature for feature in features() if feature.family in wanted]
