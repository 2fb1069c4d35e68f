"""What a vocabulary promises: dense as patchwise, reproducible, on the grid of the mask, ahead."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from livertrack.cli import main
from livertrack.errors import DataError, ImageError, UsageError
from livertrack.imaging import Scan, Vocabulary, fit_vocabulary, recovery
from livertrack.imaging._dense import over_voxels
from livertrack.imaging.invariant import InvariantEncoder, learn_invariant
from livertrack.imaging.network import (
    PatchEncoder,
    SliceEncoder,
    encode_patches,
)
from livertrack.imaging.preprocessing import scale_factors
from livertrack.imaging.texture import TextureEncoder

from .conftest import SPACING, small_liver


def learned(encoder):
    """Set every matrix to something that matters."""
    draw = torch.Generator().manual_seed(4)
    learn_invariant(encoder, torch.randn(300, 3, encoder.width, generator=draw) + 0.3)
    with torch.no_grad():
        encoder.mix.copy_(torch.randn(encoder.mix.shape, generator=draw))
        encoder.signal_mix.copy_(torch.randn(encoder.signal_mix.shape, generator=draw))
    return encoder


@pytest.mark.parametrize(
    "encoder",
    [
        learned(InvariantEncoder(2, pool=(5, 5, 3), middle=(3, 3, 3), hidden=16)),
        TextureEncoder(2, pool=(5, 5, 3), middle=(3, 3, 3)),
        PatchEncoder(2, patch=(5, 5, 3), latent=6),
        SliceEncoder(2, patch=9, latent=5),
    ],
    ids=["invariant", "texture", "patch", "slice"],
)
@torch.no_grad()
def test_dense_labelling_equals_patch_by_patch(encoder):
    torch.manual_seed(0)
    encoder.eval()
    field = encoder.field
    size = (9, 8, 5)
    volume = torch.rand(2, *(s + f - 1 for s, f in zip(size, field, strict=True))) + 0.5
    where = torch.rand(size) < 0.3
    cpu = torch.device("cpu")
    dense = over_voxels(
        encoder, volume, where, lambda columns: encoder.fused()(columns).T, device=cpu, tile=80
    )
    patches = torch.stack(
        [
            volume[:, x : x + field[0], y : y + field[1], z : z + field[2]]
            for x, y, z in where.nonzero().tolist()
        ]
    )
    assert torch.allclose(dense, encode_patches(encoder, patches), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_texture_features_ignore_gain_where_they_measure_change():
    encoder = TextureEncoder(2)
    patch = torch.rand(1, 2, *encoder.field) + 0.5
    gain = torch.tensor([3.0, 0.4]).view(1, 2, 1, 1, 1)
    one, two = (encoder.columns(p[0]).flatten() for p in (patch, patch * gain))
    means = 3 * 3  # three scales of two channels and their ratio
    assert torch.allclose(one[:-means], two[:-means], atol=1e-4)
    assert not torch.allclose(one[-means:], two[-means:], atol=1e-2)


def test_labels_lie_on_the_grid_of_the_mask(scans, quick):
    labels = quick.label(scans[0].volume, scans[0].mask, SPACING, reference=scans[0].reference)
    assert labels.dtype == np.int16
    assert labels.shape == scans[0].mask.shape
    assert (labels[~scans[0].mask] == 0).all()
    assert set(np.unique(labels[scans[0].mask])) <= {1, 2, 3}


def test_orientation_does_not_change_the_labels(scans, quick):
    scan = scans[0]
    flipped = Scan(
        scan.volume[:, ::-1].transpose(0, 2, 1, 3), scan.mask[::-1].transpose(1, 0, 2),
        SPACING, scan.reference[::-1].transpose(1, 0, 2),
        np.array([[0, -3.0, 0, 81], [3.0, 0, 0, 0], [0, 0, 4.0, 0], [0, 0, 0, 1.0]]),
    )  # fmt: skip
    labels = quick.label_scan(flipped)[0]
    back = labels.transpose(1, 0, 2)[::-1]
    assert (back == quick.label_scan(scan)[0]).mean() > 0.999


def test_a_scan_of_other_spacing_is_labelled_on_its_own_grid(scans, quick):
    volume, liver, spleen, _ = small_liver(0)
    double = [np.repeat(a, 2, axis=-1) for a in (volume, liver, spleen)]
    labels = quick.label(double[0], double[1], (3.0, 3.0, 2.0), reference=double[2])
    assert labels.shape == double[1].shape
    assert ((labels > 0) == double[1]).all()
    plain = quick.label(volume, liver, SPACING, reference=spleen)
    assert (labels[:, :, ::2] == plain)[liver].mean() > 0.9


def test_the_true_tissues_are_found_and_ordered_by_the_first_channel(scans, quick):
    truths = [small_liver(number)[3] for number in range(4)]
    maps = [quick.label_scan(scan)[0] for scan in scans]
    table = recovery(maps, truths, [scan.mask for scan in scans])
    assert table["ari"].iloc[0] > 0.6
    assert (np.diff(quick.card["profile"][:, 0]) >= 0).all()
    assert quick.card["prevalence"].sum() == pytest.approx(1, abs=1e-6)


def test_labels_do_not_depend_on_the_threads_of_the_environment_or_on_workers(scans):
    options = {"n_types": 3, "seed": 5, "steps": 6, "n_places": 400}
    found = []
    before = torch.get_num_threads()
    for threads, workers in ((1, 1), (2, 2)):
        torch.set_num_threads(threads)
        vocabulary = fit_vocabulary(scans, workers=workers, **options)
        assert torch.get_num_threads() == threads
        found.append((vocabulary.hash, [vocabulary.label_scan(scan)[0] for scan in scans]))
    torch.set_num_threads(before)
    assert found[0][0] == found[1][0]
    assert all(np.array_equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(scans, tmp_path):
    options = {"n_types": 3, "steps": 3, "n_places": 300}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit_vocabulary(scans, seed=seed, **options).save(tmp_path / name)
    first, again, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_a_saved_vocabulary_labels_as_before_and_saves_the_same_bytes(scans, quick, tmp_path):
    quick.save(tmp_path / "v.safetensors")
    loaded = Vocabulary.load(tmp_path / "v.safetensors")
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "v.safetensors").read_bytes() == (
        tmp_path / "again.safetensors"
    ).read_bytes()
    assert loaded.hash == quick.hash
    assert np.array_equal(loaded.label_scan(scans[1])[0], quick.label_scan(scans[1])[0])
    assert "TV02" in loaded._repr_html_()


def test_the_labels_are_the_same_for_one_and_two_threads(scans, quick, monkeypatch):
    monkeypatch.setattr(over_voxels, "__kwdefaults__", {**over_voxels.__kwdefaults__, "tile": 500})
    one, two = (quick.label_scan(scans[0], threads=threads)[0] for threads in (1, 2))
    assert np.array_equal(one, two)


def test_tissue_unlike_any_seen_is_counted_and_can_be_left_out(scans, quick):
    volume, liver, spleen, _ = small_liver(1)
    plain = quick.label_scan(scans[1])[1]["UNKNOWN"]
    volume = volume.copy()
    strange = np.zeros_like(liver)
    strange[8:16, 4:12, 3:9] = True
    volume[0, strange] *= 8
    scan = Scan(volume, liver, SPACING, spleen)
    labels, numbers = quick.label_scan(scan)
    zeros = quick.label_scan(scan, unknown="exclude")[0]
    assert plain < 0.02
    assert numbers["UNKNOWN"] > 0.8 * strange.sum() / liver.sum()
    assert ((labels > 0) == liver).all()
    assert (zeros[strange] == 0).mean() > 0.9
    known = zeros > 0
    assert np.array_equal(zeros[known], labels[known])


def test_types_merge_into_nested_groups(quick):
    table = quick.hierarchy
    assert table["n_groups"].tolist() == [2, 1]
    assert table["merged"].str.count("TV").iloc[-1] == 3
    close = np.array(quick.card["distances"], float)
    np.fill_diagonal(close, np.inf)
    pair = sorted(f"TV{number + 1:02d}" for number in np.unravel_index(close.argmin(), (3, 3)))
    assert sorted(table["merged"].iloc[0].split(" with ")) == pair


def test_the_command_line_shows_types_and_how_they_merge(quick, tmp_path, capsys):
    quick.save(tmp_path / "v.safetensors")
    assert main(["vocabulary", "show", str(tmp_path / "v.safetensors")]) == 0
    shown = capsys.readouterr().out
    assert "nearest_type" in shown
    assert quick.hierarchy["merged"].iloc[0] in shown


def test_the_number_of_types_is_chosen_within_the_range(scans):
    options = {"seed": 5, "steps": 30, "n_places": 1200}
    vocabulary = fit_vocabulary(scans, n_types="auto", type_range=(2, 5), **options)
    choice = vocabulary.settings["choice"]
    assert [row["n_types"] for row in choice] == [2, 3, 4, 5]
    assert vocabulary.n_types == len(vocabulary.parameters) in (2, 3, 4, 5)
    with pytest.raises(UsageError, match="type_range"):
        fit_vocabulary(scans, n_types="auto", type_range=(5, 3), seed=1)


def test_a_file_of_the_first_format_is_read_and_knows_nothing_unknown(scans, quick, tmp_path):
    quick.save(tmp_path / "v")
    with safe_open(tmp_path / "v", framework="numpy") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        header = json.loads(stored.metadata()["livertrack"])
    for name in ("limit", "variance", "levels", "heights"):
        del tensors[f"card.{name}"]
    metadata = {"livertrack": json.dumps({**header, "format": 1})}
    save_file(tensors, tmp_path / "old", metadata=metadata)
    old = Vocabulary.load(tmp_path / "old")
    labels, numbers = old.label_scan(scans[0])
    assert np.array_equal(labels, quick.label_scan(scans[0])[0])
    assert numbers["UNKNOWN"] == 0
    assert len(old.hierarchy) == 2


def test_a_damaged_or_foreign_file_is_a_clear_error(quick, tmp_path):
    quick.save(tmp_path / "v.safetensors")
    content = (tmp_path / "v.safetensors").read_bytes()
    (tmp_path / "short").write_bytes(content[: len(content) // 2])
    (tmp_path / "text").write_text("hello")
    save_file({"x": np.zeros(2, np.float32)}, tmp_path / "foreign")
    for name, reason in (
        ("short", "not a readable"), ("text", "not a readable"), ("foreign", "no livertrack"),
        ("absent", "no such file"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=reason):
            Vocabulary.load(tmp_path / name)


@pytest.mark.parametrize("method", ["kmeans", "dcn"])
def test_the_comparison_methods_label_every_voxel(scans, method):
    vocabulary = fit_vocabulary(scans, n_types=3, seed=1, method=method, steps=10, n_places=600)
    labels = vocabulary.label_scan(scans[0])[0]
    assert ((labels > 0) == scans[0].mask).all()


def test_the_joint_method_beats_k_means_on_patches():
    from phantoms import cohort

    made = cohort(7, 4, shape=(48, 48, 15), patch_mm=40.0)
    scans = [Scan(p.volume, p.mask, p.spacing, p.reference) for p in made]
    options = {"n_types": 9, "seed": 1, "n_places": 4500, "bias_field": "none"}
    maps = {}
    for method, steps in (("joint", 80), ("kmeans", 1)):
        vocabulary = fit_vocabulary(scans[:3], method=method, steps=steps, **options)
        maps[method] = [vocabulary.label_scan(scans[3])[0]]
    table = recovery(maps, [made[3].truth], [made[3].mask]).set_index("method")
    assert table.loc["joint", "ari"] > 1.5 * table.loc["kmeans", "ari"]


def test_a_reference_vocabulary_refuses_a_scan_without_reference(scans, quick):
    with pytest.raises(ImageError, match="no reference tissue"):
        quick.label(scans[0].volume, scans[0].mask, SPACING)


def test_without_reference_the_body_gives_the_scale(scans):
    tuples = [(scan.volume, scan.mask, SPACING) for scan in scans]
    vocabulary = fit_vocabulary(tuples, n_types=3, seed=1, steps=5, n_places=400)
    assert vocabulary.preparation.standardise == "tail"
    gained = vocabulary.label(7 * scans[0].volume, scans[0].mask, SPACING)
    plain = vocabulary.label(scans[0].volume, scans[0].mask, SPACING)
    assert (gained == plain)[scans[0].mask].mean() > 0.99


def test_noise_in_air_is_no_body_to_scale_by():
    volume, liver, _, _ = small_liver(0)
    rng = np.random.default_rng(1)
    air = np.abs(rng.normal(0, 0.09, volume.shape)) * volume[:, liver].mean()
    volume = np.where(liver, volume, air).astype(np.float32)
    values, source = scale_factors(volume, liver, None, "tail")
    assert source == "liver"
    assert np.allclose(values, np.percentile(volume[:, liver], 75, axis=1))


def test_senseless_arguments_are_named(scans, quick):
    with pytest.raises(UsageError, match="method"):
        fit_vocabulary(scans, seed=1, method="magic")
    with pytest.raises(UsageError, match="n_types"):
        fit_vocabulary(scans, seed=1, n_types=1)
    with pytest.raises(DataError, match="no scans"):
        fit_vocabulary([], seed=1)
    with pytest.raises(DataError, match="1 channels, the vocabulary needs 2"):
        quick.label(scans[0].volume[:1], scans[0].mask, SPACING)
