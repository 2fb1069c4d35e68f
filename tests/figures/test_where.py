"""Figures of place and of replication: what is drawn, and their forms without data."""

import nibabel as nib
import numpy as np
import pandas as pd

import livertrack as lt
from livertrack import figures, tables
from livertrack._results import ard_result
from livertrack.figures import save_figure
from livertrack.report.where import change_slice, template_cells
from livertrack.simulate.flows import simulate_flows

SHAPE = (20, 16, 8)


def _cells():
    x, y, z = np.indices(SHAPE)
    inside = ((x - 10) / 9) ** 2 + ((y - 8) / 7) ** 2 + ((z - 4) / 4) ** 2 < 1
    return np.where(inside, 1 + (x // 5) * 4 + y // 4, 0).astype(np.int32)


def _atlas(cells):
    rng = np.random.default_rng(0)
    rows = [
        {"USUBJID": f"{n:02d}", "TRT01P": "A" if n % 2 else "P", "AVISIT": "W", "CELL": int(c),
         "FROMTYPE": 1, "TOTYPE": to, "NVOX": int(v)}
        for n in range(12) for c in np.unique(cells[cells > 0])
        for k in [rng.integers(2, 9) + 10 * (n % 2) * (c < 6)] for to, v in ((2, k), (1, 30 - k))
    ]  # fmt: skip
    return lt.change_atlas(pd.DataFrame(rows), reference="P", visit="W", n_perm=199, seed=1)


def test_the_atlas_has_a_row_for_the_reference_and_one_per_arm(tmp_path):
    cells = _cells()
    axes = figures.change_atlas_slices(_atlas(cells), cells, spacing=(3, 3), shown=3)
    assert axes.shape == (2, 3)
    assert axes[0, 0].get_title(loc="left") == "P"
    assert axes[1, 0].get_title(loc="left") == "A − P"
    svg, png = save_figure(axes, tmp_path, "atlas")
    assert svg.stat().st_size > 1000
    assert png.stat().st_size > 1000


def test_the_atlas_without_records_says_so():
    empty = figures.change_atlas_slices(None, np.zeros(SHAPE, int))
    assert empty[0].texts[0].get_text() == "No atlas records"


def test_the_change_map_states_the_share_that_changed():
    before = np.zeros((10, 10), int)
    before[2:8, 2:7] = 1
    after = before.copy()
    after[2:8, 2] = 2
    axes = figures.change_map(before, after, visits=("Baseline", "Week 48"))
    assert "20 % of the liver in this slice changed" in axes[2].texts[0].get_text()
    assert axes[1].get_title(loc="left") == "Week 48, carried back"
    nothing = figures.change_map(np.zeros((4, 4), int), np.zeros((4, 4), int))
    assert nothing[0].texts[0].get_text() == "No labelled liver"


def test_template_cells_have_the_right_side_first(tmp_path):
    cells = np.zeros(SHAPE, np.int32)
    cells[15:18, 5:8, 3] = 7  # a high index lies on the patient's right in RAS
    (tmp_path / "atlas").mkdir()
    nib.save(nib.Nifti1Image(cells, np.diag([3.0, 3, 4, 1])), tmp_path / "atlas" / "cells.nii.gz")
    found = template_cells(tmp_path)
    assert found.spacing == (3.0, 3.0)
    assert np.argwhere(found.cells == 7)[:, 0].max() < 6
    assert template_cells(tmp_path / "none") is None


def _run_folder(out):
    labels = np.where(_cells() > 0, 1, 0).astype(np.int16)
    later = labels.copy()
    later[:10] *= 2
    affine = np.diag([3.0, 3, 4, 1])
    for folder in ("maps", "carried", "adam"):
        (out / folder).mkdir(parents=True)
    for visit, values in (("Baseline", labels), ("Week48", later)):
        name = f"sub-A_ses-{visit}_desc-vocab_dseg.nii.gz"
        nib.save(nib.Nifti1Image(values, affine), out / "maps" / name)
    name = "sub-A_ses-Week48_desc-vocab_space-baseline_dseg.nii.gz"
    nib.save(nib.Nifti1Image(later, affine), out / "carried" / name)
    quality = pd.DataFrame({"USUBJID": ["A"], "AVISIT": ["Week 48"], "CARRIED": [name]})
    quality.to_parquet(out / "adam" / "adreg.parquet")
    return out


def test_the_change_slice_comes_from_the_carried_map(tmp_path):
    found = change_slice(_run_folder(tmp_path / "run"), ["Baseline", "Week 48"])
    assert found.visits == ("Baseline", "Week 48")
    assert found.before.shape == found.after.shape
    assert set(np.unique(found.before)) == {0, 1}
    assert set(np.unique(found.after)) == {0, 1, 2}
    assert change_slice(tmp_path, ["Baseline"]) is None


def test_the_replication_figure_and_table_list_every_chosen_flow():
    one, two = (simulate_flows(n_per_arm=15, seed=s, arms=("P", "A")) for s in (1, 2))
    first = lt.change_pathways(one.adpath, reference="P", visit="Week 48", n_perm=99, seed=1)
    frozen = lt.freeze_pathways(first, choose="top", top=4)
    result = lt.replicate_pathways(two.adpath, frozen, n_perm=99, seed=1)
    for shown in (result, ard_result(result.to_ard(analysis="replicate"))):
        ax = figures.replication_forest(shown)
        assert len(ax.get_yticklabels()) == 4
        table = tables.replication_table(shown)
        assert sum("→" in line for line in table.csv().splitlines()) == 4
    assert len(lt.freeze_pathways(first, choose="top", top=4).chosen) == 4
    assert "nothing to replicate" in tables.replication_table(_nothing()).html()


def _nothing():
    """Result without any chosen flow."""
    null = simulate_flows(n_per_arm=6, seed=3, arms=("P", "A"), effect=0.0)
    first = lt.change_pathways(null.adpath, reference="P", visit="Week 48", n_perm=99, seed=1)
    return lt.replicate_pathways(null.adpath, lt.freeze_pathways(first), n_perm=99, seed=1)
