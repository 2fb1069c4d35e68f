"""Ground-truth tissue states of the liver, and the other tissues of the upper abdomen.

Each tissue is described by what an MR signal depends on: proton density, fat fraction, T1 of
water, R2*, and the increase of R1 in the hepatobiliary phase. Liver states add a texture: a
random field of a given grain that modulates fat, T1 and enhancement, so that some states share
every mean and differ by texture alone.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Tissue:
    """MR properties of one tissue at 1.5 T.

    Attributes
    ----------
    code : int
        Label in a tissue map; liver states are 1 to 8, other tissues 20 and above.
    name : str
        Short name.
    density : float
        Proton density relative to liver.
    fat : float
        Proton density fat fraction, 0 to 1.
    t1 : float
        T1 of the water protons before contrast, ms.
    r2star : float
        Apparent transverse relaxation rate, 1/s.
    uptake : float
        Increase of R1 in the hepatobiliary phase, 1/s.
    grain : str
        Name of the texture field (see `GRAINS`); blank for none.
    fat_texture, t1_texture, uptake_texture : float
        Relative standard deviation that the texture gives to fat, T1 and uptake.
    hepatocyte_fat : float
        Share of hepatocytes with a fat droplet, 0 to 1: what a pathologist counts.
    """

    code: int
    name: str
    density: float
    fat: float
    t1: float
    r2star: float
    uptake: float
    grain: str = ""
    fat_texture: float = 0.0
    t1_texture: float = 0.0
    uptake_texture: float = 0.0
    hepatocyte_fat: float = 0.0


NORMAL, MILD, SEVERE, FINE, COARSE, INFLAMED, IRON, VESSEL = range(1, 9)

#: Grain of the texture fields: standard deviation of the smoothing kernel along x, y, z in mm.
GRAINS: dict[str, tuple[float, float, float]] = {
    "fine": (1.5, 1.5, 1.8),
    "nodular": (3.6, 3.6, 3.6),
    "streaky": (6.0, 3.0, 3.5),
    "smooth": (9.0, 9.0, 9.0),
}

#: States of liver tissue. T1 and R2* of normal liver, blood, spleen, muscle, kidney and fat
#: follow de Bazelaire et al., Radiology 2004;230:652 (1.5 T: liver 586 ms, spleen 1057 ms,
#: muscle 856 ms, fat 343 ms) and Stanisz et al., MRM 2005;54:507 (blood 1441 ms). Fine and coarse
#: fibrosis share all means: only the grain of their texture tells them apart.
LIVER_STATES: tuple[Tissue, ...] = (
    Tissue(NORMAL, "normal parenchyma", 1.0, 0.03, 586.0, 30.0, 2.4, "smooth",
           0.05, 0.015, 0.03, hepatocyte_fat=0.03),
    Tissue(MILD, "steatosis, mild", 1.0, 0.11, 595.0, 32.0, 2.2, "smooth",
           0.10, 0.015, 0.03, hepatocyte_fat=0.35),
    Tissue(SEVERE, "steatosis, severe", 1.0, 0.27, 610.0, 36.0, 2.0, "streaky",
           0.12, 0.02, 0.06, hepatocyte_fat=0.95),
    Tissue(FINE, "fibrosis, fine", 1.0, 0.05, 700.0, 32.0, 1.3, "fine",
           0.10, 0.16, 0.50, hepatocyte_fat=0.05),
    Tissue(COARSE, "fibrosis, coarse", 1.0, 0.05, 700.0, 32.0, 1.3, "nodular",
           0.10, 0.12, 0.36, hepatocyte_fat=0.05),
    Tissue(INFLAMED, "inflammation", 1.0, 0.05, 690.0, 32.0, 1.5, "smooth",
           0.05, 0.03, 0.05, hepatocyte_fat=0.10),
    Tissue(IRON, "iron", 1.0, 0.03, 560.0, 105.0, 2.3, "smooth",
           0.05, 0.02, 0.03, hepatocyte_fat=0.03),
    Tissue(VESSEL, "vessels", 0.95, 0.0, 1441.0, 8.0, 0.35),
)  # fmt: skip

AIR, SKIN_FAT, MUSCLE, SPLEEN, MARROW, BLOOD, STOMACH, LUNG, KIDNEY, BILE, BELLY_FAT, BOWEL = (
    range(20, 32)
)
OTHER_TISSUES: tuple[Tissue, ...] = (
    Tissue(AIR, "air", 0.0, 0.0, 1000.0, 0.0, 0.0),
    Tissue(SKIN_FAT, "subcutaneous fat", 1.0, 0.95, 900.0, 20.0, 0.05),
    Tissue(MUSCLE, "muscle", 0.95, 0.03, 856.0, 33.0, 0.15),
    Tissue(
        SPLEEN,
        "spleen",
        1.05,
        0.0,
        1057.0,
        20.0,
        0.35,
    ),
    Tissue(MARROW, "bone marrow", 0.6, 0.18, 900.0, 60.0, 0.2),
    Tissue(BLOOD, "blood", 0.95, 0.0, 1441.0, 8.0, 0.35),
    Tissue(STOMACH, "stomach", 0.9, 0.05, 1600.0, 25.0, 0.1),
    Tissue(LUNG, "lung", 0.12, 0.0, 1200.0, 300.0, 0.1),
    Tissue(KIDNEY, "kidney", 1.05, 0.0, 1100.0, 18.0, 1.2),
    Tissue(BILE, "gallbladder", 1.1, 0.0, 2200.0, 5.0, 0.6),
    Tissue(BELLY_FAT, "visceral fat", 1.0, 0.90, 900.0, 22.0, 0.05),
    Tissue(BOWEL, "bowel and heart", 0.9, 0.05, 950.0, 35.0, 0.2),
)
ALL_TISSUES = (*LIVER_STATES, *OTHER_TISSUES)
N_STATES = len(LIVER_STATES)


def lookup(attribute: str) -> np.ndarray:
    """Table of one property by tissue code, shape (codes,), for indexing with a tissue map."""
    initial = 1.0 if attribute == "t1" else 0.0  # codes without a tissue have no signal
    table = np.full(max(tissue.code for tissue in ALL_TISSUES) + 1, initial)
    for tissue in ALL_TISSUES:
        table[tissue.code] = getattr(tissue, attribute)
    return table


def types_frame() -> pd.DataFrame:
    """List the true tissue types: ``TYPE, NAME`` and their MR properties."""
    rows = [
        {
            "TYPE": state.code, "NAME": state.name, "FAT": state.fat, "T1MS": state.t1,
            "R2STAR": state.r2star, "UPTAKE": state.uptake, "GRAIN": state.grain,
        }
        for state in LIVER_STATES
    ]  # fmt: skip
    return pd.DataFrame(rows)
