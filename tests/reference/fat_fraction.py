"""Fat fraction and R2* of a real four-echo liver by another program.

Needs mri-fatwater 1.2.2 (GPL-3.0-or-later, Berglund and Skorpil 2017; Python >= 3.14), scipy and
the folder of real data. Takes some ten minutes. Writes fat_fraction.csv: medians of boxes of
voxels.

    python fat_fraction.py FOLDER
"""

import csv
import sys
from pathlib import Path

import numpy as np
from mri_fatwater import fatwater
from scipy.io import loadmat

BOXES = [
    ("liver", 50, 100, 50, 95, 0),
    ("liver", 50, 100, 50, 95, 1),
    ("liver", 50, 100, 50, 95, 2),
    ("spleen", 60, 95, 175, 200, 0),
    ("heart", 30, 50, 150, 170, 0),
    ("heart", 30, 55, 140, 165, 2),
    ("back", 134, 140, 95, 110, 1),
    ("back", 138, 143, 140, 165, 1),
    ("chest wall", 18, 22, 90, 110, 1),
    ("spine", 105, 110, 122, 128, 1),
    ("aorta", 82, 90, 136, 142, 1),
]
data = loadmat(
    Path(sys.argv[1]) / "img_ismrm_fatwater_liver" / "case12.mat",
    squeeze_me=True,
    struct_as_record=False,
)["imDataParams"]
maps = fatwater.separate(
    data=np.ascontiguousarray(np.moveaxis(data.images, -1, 0)).astype(np.complex64),
    data_params={
        "t": [float(t) for t in data.TE],
        "B0": float(data.FieldStrength),
        "voxelsize": (1.5, 1.5, 8.0),
    },
    algo_params={
        "algorithm": "QPBO",
        "nB0": 200,
        "nR2": 101,
        "R2max": 300.0,
        "R2cand": (0.0, 40.0, 100.0),
        "autocrop": False,
        "use3D": False,
        "magnitudeDiscrimination": True,
        "output": ["wat", "fat", "ff", "B0map", "R2map"],
    },
    model_params={"realEstimates": True},
)
with (Path(__file__).parent / "fat_fraction.csv").open("w", newline="") as stream:
    write = csv.writer(stream)
    write.writerow(["place", "x0", "x1", "y0", "y1", "slice", "pdff", "r2star"])
    for name, x0, x1, y0, y1, z in BOXES:
        box = (slice(x0, x1), slice(y0, y1), z)
        write.writerow(
            [
                name,
                x0,
                x1,
                y0,
                y1,
                z,
                round(float(np.median(maps["ff"][box])), 4),
                round(float(np.median(maps["R2map"][box])), 4),
            ]
        )
