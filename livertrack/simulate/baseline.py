"""Cohorts for predictions: one baseline visit, without or with small images of texture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._seeds import generator
from livertrack.errors import UsageError
from livertrack.simulate import tissue
from livertrack.simulate.biopsy import read_scores, true_scores, with_summary
from livertrack.simulate.clinic import ClinicSettings
from livertrack.simulate.cohort import cohort_severity, draw_cohort
from livertrack.simulate.events import simulate_event
from livertrack.simulate.fields import smooth_field
from livertrack.simulate.labs import simulate_labs
from livertrack.simulate.measures import simulate_measures
from livertrack.simulate.severity import Severity

#: liver and spleen in the box of a texture image, voxels
_SHAPE, _SPACING = (22, 22, 12), (3.0, 3.0, 4.0)


class TextureImage(NamedTuple):
    """Volume (channel, x, y, z), liver mask, voxel size in mm and reference tissue."""

    volume: NDArray[np.float32]
    mask: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    reference: NDArray[np.bool_]


def simulate_baseline(
    n: int, *, seed: int, n_sites: int = 4, signature_error: float = 0.15,
    event_scale: float = 20.0, follow_up_weeks: tuple[float, float] = (96.0, 260.0),
    clinic: ClinicSettings | None = None,
) -> pd.DataFrame:  # fmt: skip
    """One row per subject: signature, usual measures, biopsy scores and time to an event.

    Parameters
    ----------
    n : int
        Subjects, untreated.
    seed : int
        Decides everything.
    n_sites : int
        Sites.
    signature_error : float
        Standard deviation of the logarithm of each measured proportion around its truth, before
        they are scaled to sum to one.
    event_scale : float
        Multiplies the published rates of liver-related events (see `events`).
    follow_up_weeks : (float, float)
        Range of the administrative end.
    clinic : ClinicSettings, optional
        Noise of labs, biopsies and measures.

    Returns
    -------
    DataFrame
        ``USUBJID, SITEID, AGE, SEX, BMIBL, DIABFL``; ``TV01`` to ``TV07`` (proportions of the true
        states but vessels, with error); ``PDFF`` (%), ``STIFF`` (kPa), ``T1`` (ms), ``ALT, AST``
        (U/L), ``PLAT`` (10^9/L); the scores of a biopsy, read with error; ``AVAL`` (days) and
        ``CNSR``.
    """
    if n < 1 or signature_error < 0:
        msg = f"n is at least 1 and signature_error not negative, got {n} and {signature_error}"
        raise UsageError(msg)
    settings = clinic or ClinicSettings()
    cohort = draw_cohort(seed, n_per_arm=n, arms=["Untreated"], n_sites=n_sites, n_scanners=1)
    rows = []
    for number, severity in enumerate(cohort_severity(seed, cohort), start=1):
        shares = state_shares(severity)
        rng = generator(seed, "baseline", number)
        seen = shares[:-1] * np.exp(rng.normal(0.0, signature_error, tissue.N_STATES - 1))
        parts = {f"TV{k:02d}": value for k, value in enumerate(seen / seen.sum(), start=1)}
        scores = with_summary(
            read_scores(generator(seed, "biopsy", number), true_scores(shares), settings.misread)
        )
        measured = simulate_measures(
            generator(seed, "measures", number), shares, severity.physiology,
            visit="Baseline", week=0, settings=settings,
        )  # fmt: skip
        labs = simulate_labs(
            generator(seed, "labs", number), severity, dose=0.0, effect=0.0,
            visits={"Baseline": 0}, settings=settings,
        )  # fmt: skip
        event = simulate_event(
            generator(seed, "event", number), [shares], weeks=[0.0], scale=event_scale,
            follow_up_weeks=follow_up_weeks, withdrawn_week=None,
        )  # fmt: skip
        values = pd.concat([measured, labs]).set_index("PARAMCD")["AVAL"].to_dict()
        rows.append(parts | values | scores | {"AVAL": event["AVAL"], "CNSR": event["CNSR"]})
    known = cohort[["USUBJID", "SITEID", "AGE", "SEX", "BMIBL", "DIABFL"]]
    return pd.concat([known, pd.DataFrame(rows)], axis=1)


def state_shares(severity: Severity) -> NDArray[np.float64]:
    """Share of each state at baseline, array (8,); the rest is normal and there are no vessels."""
    shares = np.zeros(tissue.N_STATES)
    for code, share in severity.proportions.items():
        shares[code - 1] = share
    shares[tissue.NORMAL - 1] = 1.0 - shares.sum()
    return shares


def simulate_textures(
    coarseness: Sequence[float], *, seed: int, contrast: float = 0.15, noise: float = 0.04
) -> list[TextureImage]:
    """Small livers that differ in the grain of their texture and not in their mean.

    Parameters
    ----------
    coarseness : sequence of float
        Scale of each subject's texture: standard deviation of the kernel that smooths white
        noise, mm.
    seed : int
        Decides everything.
    contrast, noise : float
        Standard deviations of the texture and of the noise, in units of the liver's mean signal,
        which differs by 10 % between subjects whatever their texture.

    Returns
    -------
    list of TextureImage
        ``volume`` (1, x, y, z), ``mask`` of the liver, ``spacing`` in mm and ``reference``
        (spleen): images that `livertrack.radiomics` and `livertrack.imaging` take as they are,
        as subjects 0001, 0002, ...
    """
    liver = np.zeros(_SHAPE, bool)
    liver[2:15, 2:20, 2:10] = True
    spleen = np.zeros(_SHAPE, bool)
    spleen[17:21, 6:16, 3:9] = True
    scans = []
    for number, scale in enumerate(coarseness, start=1):
        rng = generator(seed, "textures", number)
        field = smooth_field(rng, _SHAPE, _SPACING, float(scale))
        inside = field[liver]
        field = (field - inside.mean()) / inside.std()
        level = float(np.exp(rng.normal(0.0, 0.1)))
        image = np.full(_SHAPE, 0.5)
        image[liver] = level * (1.0 + contrast * field[liver])
        image[spleen] = 0.8
        image = 300.0 * (image + noise * rng.standard_normal(_SHAPE))
        scans.append(TextureImage(image.astype(np.float32)[None], liver, _SPACING, spleen))
    return scans
