"""The slice viewer shows the types where they are, works by keyboard, and loads nothing."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from matplotlib import image as pictures

import livertrack as lt
from livertrack.errors import ImageError, UsageError
from livertrack.figures import type_colour
from livertrack.report._png import png


def liver() -> np.ndarray:
    """Type 1 everywhere but type 3 in the corner that is right, front and up."""
    labels = np.zeros((40, 30, 20), dtype=np.int16)
    labels[10:30, 10:20, 5:15] = 1
    labels[28:30, 18:20, 12:15] = 3
    return labels


def data(page: str) -> dict[str, Any]:
    found = re.search(r"^const DATA = (.*);$", page, flags=re.MULTILINE)
    assert found
    return json.loads(found[1])


def picture(url: str) -> np.ndarray:
    raw = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    return np.rint(pictures.imread(io.BytesIO(raw), format="png") * 255).astype(int)


def test_a_png_holds_its_numbers() -> None:
    grey = np.arange(12).reshape(3, 4)
    assert (np.rint(pictures.imread(io.BytesIO(png(grey))) * 255) == grey).all()
    colour = np.random.default_rng(1).integers(0, 256, (5, 2, 3))
    assert (np.rint(pictures.imread(io.BytesIO(png(colour))) * 255) == colour).all()


def test_every_voxel_of_the_liver_is_in_the_pictures_with_its_type() -> None:
    labels = liver()
    for plane in ("axial", "coronal", "sagittal"):
        [scan] = data(lt.view_tissue_map(labels, plane=plane).html)["scans"]
        shown = np.stack([picture(url) for url in scan["labels"]])
        for number in (1, 3):
            assert (shown == number).sum() == (labels == number).sum()


def test_the_patients_right_is_on_the_left_and_the_front_is_up() -> None:
    [scan] = data(lt.view_tissue_map(liver(), spacing=(1, 2, 3)).html)["scans"]
    assert scan["pixel"] == [1.0, 2.0]
    shown = np.stack([picture(url) for url in scan["labels"]])
    depth, rows, columns = np.nonzero(shown == 3)
    inside = np.nonzero(shown)
    assert depth.max() == inside[0].max()  # the last slice is the highest
    assert rows.min() == inside[1].min()
    assert columns.min() == inside[2].min()
    [scan] = data(lt.view_tissue_map(liver(), plane="coronal").html)["scans"]
    shown = np.stack([picture(url) for url in scan["labels"]])
    depth, rows, columns = np.nonzero(shown == 3)
    inside = np.nonzero(shown)
    assert depth.max() == inside[0].max()  # the last slice is the front
    assert rows.min() == inside[1].min()  # up is the head
    assert columns.min() == inside[2].min()


def test_the_colours_are_those_of_the_figures_and_only_present_types_are_listed() -> None:
    types = data(lt.view_tissue_map(liver(), names={3: "Fat <b>"}).html)["types"]
    assert [entry["number"] for entry in types] == [1, 3]
    assert [entry["colour"] for entry in types] == [type_colour(1), type_colour(3)]
    assert types[1]["name"] == "Fat <b>"
    assert "<b>" not in lt.view_tissue_map(liver(), names={3: "Fat <b>"}).html


def test_the_page_loads_nothing_and_is_the_same_twice(rules: ModuleType, tmp_path: Path) -> None:
    labels = liver()
    view = lt.view_tissue_map(labels, anatomy=labels * 7.0, title="A & B")
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", view.html)
    assert "http" not in view.html
    assert view.html == lt.view_tissue_map(labels, anatomy=labels * 7.0, title="A & B").html
    assert view.save(tmp_path / "view.html").read_text(encoding="utf-8") == view.html
    assert rules.static_problems(view.html) == []
    assert "<h1>A &amp; B</h1>" in view.html


def test_a_notebook_gets_the_whole_page_in_a_frame() -> None:
    view = lt.view_tissue_map(liver())
    shown = view._repr_html_()
    found = re.search(r'srcdoc="([^"]*)"', shown)
    assert found
    assert html.unescape(found[1]) == view.html
    assert 'title="' in shown


def test_a_run_is_shown_by_visit_and_names_no_subject(run_folder: Path) -> None:
    view = lt.view_tissue_map(run_folder)
    assert view.scans[0] == "Baseline"
    assert len(view.scans) > 1
    assert "SECRET" not in view.html
    one = lt.view_tissue_map(run_folder, visits=["Baseline"])
    assert one.scans == ("Baseline",)
    first = sorted((run_folder / "maps").glob("*_dseg.nii.gz"))[0]
    subject = re.match(r"sub-([^_]+)_", first.name)[1]
    assert lt.view_tissue_map(run_folder, subject=subject).scans
    with pytest.raises(UsageError, match="no label map of that subject"):
        lt.view_tissue_map(run_folder, subject="nobody")
    with pytest.raises(UsageError, match="no visit 'Week 13'; it has Baseline"):
        lt.view_tissue_map(run_folder, visits=["Week 13"])


def test_a_file_in_another_orientation_is_turned(tmp_path: Path) -> None:
    labels = liver()
    path = tmp_path / "map.nii.gz"
    nib.save(nib.Nifti1Image(labels[::-1], np.diag([-2.0, 2, 3, 1])), path)
    [scan] = data(lt.view_tissue_map(path).html)["scans"]
    [plain] = data(lt.view_tissue_map(labels, spacing=(2, 2, 3)).html)["scans"]
    assert scan["labels"] == plain["labels"]
    assert scan["pixel"] == plain["pixel"]


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        (np.zeros((3, 3, 3), int), {}, ImageError, "no voxel"),
        (np.ones((3, 3), int), {}, UsageError, "of one shape"),
        (np.ones((3, 3, 3)), {"anatomy": np.ones((2, 3, 3))}, UsageError, "of one shape"),
        (np.full((3, 3, 3), 0.5), {}, UsageError, "whole numbers"),
        (np.full((3, 3, 3), 256), {}, UsageError, "1 to 255"),
        (np.ones((3, 3, 3)), {"plane": "oblique"}, UsageError, "plane is axial"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    labels: np.ndarray, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        lt.view_tissue_map(labels, **options)


def test_a_folder_that_is_no_run_and_a_file_that_is_no_map_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the folder of a finished run"):
        lt.view_tissue_map(tmp_path)
    (tmp_path / "map.nii").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="cannot be read"):
        lt.view_tissue_map(tmp_path / "map.nii")


_KEYS = """<script>
setTimeout(() => {
  const canvas = document.getElementById("slice");
  canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "End"}));
  canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown"}));
  document.querySelectorAll("#types input")[0].click();
}, 500);
setTimeout(() => {
  const board = document.getElementById("slice");
  const pixels = board.getContext("2d").getImageData(0, 0, board.width, board.height).data;
  let coloured = 0;
  for (let i = 0; i < pixels.length; i += 4) coloured += pixels[i] + pixels[i + 1] > 0;
  document.body.dataset.coloured = coloured;
}, 1500);
</script></body>"""


def test_keys_change_the_slice_and_a_type_can_be_hidden(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on the path")
    page = lt.view_tissue_map(liver()).html.replace("</body>", _KEYS)
    (tmp_path / "view.html").write_text(page, encoding="utf-8")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=6000",
            (tmp_path / "view.html").as_uri(),
        ],
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    depth = data(page)["scans"][0]["depth"]
    assert f"Axial slice {depth - 1} of {depth}" in done.stdout
    # neither of both types is left: type 1 is hidden, and type 3 is not in this slice
    assert 'data-coloured="0"' in done.stdout


def test_axe_finds_nothing_serious_in_the_viewer(rules: ModuleType, tmp_path: Path) -> None:
    found = rules.find_tools()
    if isinstance(found, str):
        pytest.skip(f"axe-core cannot run: {found}")
    path = lt.view_tissue_map(liver()).save(tmp_path / "view.html")
    assert rules.axe_problems(path, tmp_path, 1000) == []
