"""Fat fraction and R2* against a simulated truth, a second fit, and a second program."""

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat
from scipy.optimize import least_squares

from livertrack.errors import ImageError, UsageError
from livertrack.imaging.fat_water import fat_fraction

#: ppm from water and part of the signal, written down again: Hamilton et al., NMR Biomed 2011
PEAKS = ((-3.80, 0.087), (-3.40, 0.693), (-2.60, 0.128), (-1.94, 0.004), (-0.39, 0.039),
         (0.60, 0.048))  # fmt: skip
#: echo times (s), tesla
PROTOCOLS = {
    "six echoes 1.5 T": (0.0012 + 0.0016 * np.arange(6), 1.5),
    "six echoes 3 T": (0.00115 + 0.00096 * np.arange(6), 3.0),
    "four echoes 1.5 T": (0.001744 + 0.003076 * np.arange(4), 1.5),
}
LEVELS = [(0.0, 30.0), (3.0, 60.0), (10.0, 150.0), (20.0, 40.0), (35.0, 300.0), (50.0, 80.0)]
#: four late echoes see nothing of an R2* of 300
SLOW = [(percent, min(rate, 120.0)) for percent, rate in LEVELS]


def signal(water, fat, phase, field, r2star, times, tesla):
    """Echoes of voxels, the last axis: written apart from the package."""
    oil = sum(
        part * np.exp(2j * np.pi * ppm * 42.577478518 * tesla * times) for ppm, part in PEAKS
    ) / sum(part for _, part in PEAKS)
    turn = np.exp(1j * phase + 2j * np.pi * field * times - r2star * times)
    return (water + fat * oil) * turn


def phantom(times, tesla, *, snr, seed=3, levels=LEVELS):
    """A body with a rim of fat, six pieces of liver, and air: echoes, PDFF, R2*, field, pieces."""
    shape = (48, 44, 4)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.hypot(x / 0.95, y / 0.9)
    body, inner = radius < 1, radius < 0.82
    field = 150 * np.sin(1.6 * x + 0.6 * z) * np.cos(1.1 * y) + 20 * y
    pdff, rate = np.where(inner, 2.0, 95.0), np.where(inner, 35.0, 60.0)
    pieces = np.zeros(shape, int)
    for number, (percent, r2star) in enumerate(levels, start=1):
        at = inner & (np.floor((x + 1) * 3) == number - 1)
        pdff[at], rate[at], pieces[at] = percent, r2star, number
    density = np.where(body, 1 + 0.3 * x, 0.0)
    phase = 0.5 + 0.8 * x - 0.4 * y
    water, fat = density * (1 - pdff / 100), density * pdff / 100
    clean = np.stack([signal(water, fat, phase, field, rate, np.array(t), tesla) for t in times])
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((2, *clean.shape)) / snr
    return clean + noise[0] + 1j * noise[1], pdff, rate, field, pieces, body


@pytest.fixture(scope="module", params=PROTOCOLS)
def simulated(request):
    times, tesla = PROTOCOLS[request.param]
    levels = LEVELS if len(times) == 6 else SLOW
    echoes, *truth = phantom(times, tesla, snr=40, levels=levels)
    found = fat_fraction(echoes, times, tesla, precession="clockwise", spacing=(4, 4, 8))
    return found, levels, *truth


def test_fat_fraction_is_within_one_point_of_the_truth_in_every_piece(simulated):
    found, levels, pdff, _, _, pieces, _ = simulated
    for number, (percent, _) in enumerate(levels, start=1):
        at = pieces == number
        assert np.median(found.pdff[at]) == pytest.approx(percent, abs=1)
        assert np.mean(found.pdff[at]) == pytest.approx(percent, abs=1)
    assert np.median(np.abs(found.pdff - pdff)[pieces > 0]) < 3


def test_r2star_is_within_five_percent_of_the_truth_in_every_piece(simulated):
    found, levels, _, _, _, pieces, _ = simulated
    for number, (_, rate) in enumerate(levels, start=1):
        assert np.median(found.r2star[pieces == number]) == pytest.approx(rate, rel=0.05)


def test_water_and_fat_are_not_swapped_and_the_field_is_found(simulated):
    found, _, pdff, _, field, _, body = simulated
    assert np.mean(np.abs(found.pdff - pdff)[body] > 40) < 0.001
    period = 1 / np.diff(found.settings["echo_times"]).mean()
    off = (found.field - field + period / 2) % period - period / 2
    assert np.median(np.abs(off[body])) < 2
    assert np.mean(np.abs(off[body]) > 25) < 0.002


def test_iron_does_not_look_like_fat():
    times, tesla = PROTOCOLS["six echoes 3 T"]
    levels = [(0.0, 500.0), (5.0, 500.0), (20.0, 500.0), (0.0, 700.0), (5.0, 700.0), (20.0, 700.0)]
    echoes, _, _, _, pieces, _ = phantom(times, tesla, snr=60, levels=levels)
    found = fat_fraction(echoes, times, tesla, precession="clockwise")
    for number, (percent, rate) in enumerate(levels, start=1):
        at = pieces == number
        assert np.median(found.pdff[at]) == pytest.approx(percent, abs=1)
        assert np.median(found.r2star[at]) == pytest.approx(rate, rel=0.05)


def test_noise_does_not_bias_a_liver_without_fat():
    times, tesla = PROTOCOLS["six echoes 1.5 T"]
    echoes, _, _, _, pieces, _ = phantom(times, tesla, snr=15, levels=[(0.0, 40.0)] * 6)
    found = fat_fraction(echoes, times, tesla, precession="clockwise")
    values = found.pdff[pieces > 0]
    assert abs(values.mean()) < 0.3
    assert (values < 0).mean() == pytest.approx(0.5, abs=0.05)


def test_a_fit_without_noise_is_exact():
    times, tesla = PROTOCOLS["six echoes 1.5 T"]
    echoes, pdff, rate, _, _, body = phantom(times, tesla, snr=1e7)
    found = fat_fraction(echoes, times, tesla, precession="clockwise")
    np.testing.assert_allclose(found.pdff[body], pdff[body], atol=0.01)
    np.testing.assert_allclose(found.r2star[body], rate[body], rtol=1e-3)
    assert found.residual[body].max() < 1e-4
    assert not found.fitted[~body].any()


def test_scipy_finds_no_better_fit_of_single_voxels():
    times, tesla = PROTOCOLS["four echoes 1.5 T"]
    echoes, _, _, _, pieces, _ = phantom(times, tesla, snr=30)
    found = fat_fraction(echoes, times, tesla, precession="clockwise")
    for place in np.argwhere(pieces > 0)[::400]:
        at = tuple(place)
        data = echoes[(slice(None), *at)]

        def gap(p, data=data):
            water, fat, phase, field, rate = p
            off = signal(water, fat, phase, 100 * field, 100 * rate, times, tesla) - data
            return np.concatenate([off.real, off.imag])

        water, fat = found.water[at], found.fat[at]
        phase = np.angle(data[0] / signal(water, fat, 0, found.field[at], 0, times, tesla)[0])
        start = [water, fat, phase, found.field[at] / 100, found.r2star[at] / 100]
        other = least_squares(gap, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
        assert 100 * other.x[1] / (other.x[0] + other.x[1]) == pytest.approx(
            found.pdff[at], abs=0.01
        )
        assert 100 * other.x[4] == pytest.approx(found.r2star[at], abs=0.05)
        misfit = found.residual[at] ** 2 * (np.abs(data) ** 2).sum()
        assert misfit == pytest.approx(2 * other.cost, rel=1e-3)


def test_the_sense_of_precession_is_found_and_said():
    times, tesla = PROTOCOLS["six echoes 1.5 T"]
    echoes, pdff, _, _, pieces, _ = phantom(times, tesla, snr=40)
    found = fat_fraction(echoes.conj(), times, tesla)
    assert found.settings["precession"] == "anticlockwise"
    assert np.median(np.abs(found.pdff - pdff)[pieces > 0]) < 3
    wrong = fat_fraction(echoes.conj(), times, tesla, precession="clockwise")
    assert any("would fit better" in note for note in wrong.notes)


def test_a_mask_limits_the_maps_and_changes_no_value_inside():
    times, tesla = PROTOCOLS["six echoes 3 T"]
    echoes, _, _, _, pieces, _ = phantom(times, tesla, snr=40)
    whole = fat_fraction(echoes, times, tesla, precession="clockwise")
    part = fat_fraction(echoes, times, tesla, precession="clockwise", mask=pieces == 4)
    np.testing.assert_array_equal(part.fitted, pieces == 4)
    np.testing.assert_allclose(part.pdff[pieces == 4], whole.pdff[pieces == 4], atol=1e-3)
    assert (part.pdff[pieces != 4] == 0).all()
    assert part.table.set_index("measure")["n"].eq((pieces == 4).sum()).all()
    assert "median fat fraction 20" in part.text


def test_echoes_at_uneven_times_are_fitted():
    times = np.array([0.0011, 0.0024, 0.0041, 0.0052, 0.0079, 0.0090])
    echoes, pdff, _, _, pieces, body = phantom(times, 1.5, snr=60)
    found = fat_fraction(echoes, times, 1.5, precession="clockwise")
    assert np.median(np.abs(found.pdff - pdff)[pieces > 0]) < 2
    assert np.mean(np.abs(found.pdff - pdff)[body] > 40) < 0.002


def test_maps_are_written_and_read_back(tmp_path):
    import nibabel as nib

    times, tesla = PROTOCOLS["six echoes 1.5 T"]
    echoes, *_ = phantom(times, tesla, snr=40)
    found = fat_fraction(echoes, times, tesla, precession="clockwise")
    files = found.save(tmp_path, np.diag([2, 2, 3, 1.0]), prefix="S1_")
    assert [f.name for f in files][:2] == ["S1_pdff.nii.gz", "S1_r2star.nii.gz"]
    np.testing.assert_array_equal(nib.load(files[0]).get_fdata(dtype=np.float32), found.pdff)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"echo_times": [1.2, 2.8, 4.4]}, "in seconds"),
        ({"echo_times": [0.001, 0.002]}, "at least three"),
        ({"echoes": np.ones((3, 4, 4, 4))}, "must be complex"),
        ({"field_strength": 1500}, "in tesla"),
        ({"mask": np.ones((2, 2, 2), bool)}, "another shape"),
        ({"precession": "left"}, "clockwise or anticlockwise"),
    ],
)
def test_impossible_input_is_refused(change, message):
    given = {
        "echoes": np.ones((3, 4, 4, 4), complex), "echo_times": [0.001, 0.002, 0.003],
        "field_strength": 1.5,
    }  # fmt: skip
    with pytest.raises(UsageError, match=message):
        fat_fraction(**{**given, **change})


def test_echoes_without_signal_are_refused():
    with pytest.raises(ImageError, match="no signal"):
        fat_fraction(np.zeros((3, 4, 4, 4), complex), [0.001, 0.002, 0.003], 1.5)
    with pytest.raises(ImageError, match="not finite"):
        fat_fraction(np.full((3, 4, 4, 4), np.nan + 0j), [0.001, 0.002, 0.003], 1.5)


def test_a_real_liver_agrees_with_a_graph_cut_program(shared_data, reference):
    given = loadmat(
        shared_data / "img_ismrm_fatwater_liver" / "case12.mat", squeeze_me=True,
        struct_as_record=False,
    )["imDataParams"]  # fmt: skip
    echoes = np.moveaxis(given.images, -1, 0)
    found = fat_fraction(echoes, given.TE, float(given.FieldStrength))
    assert found.settings["precession"] == "clockwise"
    other = pd.read_csv(reference / "fat_fraction.csv")
    for row in other.itertuples():
        at = (slice(row.x0, row.x1), slice(row.y0, row.y1), row.slice)
        assert np.median(found.pdff[at]) == pytest.approx(row.pdff, abs=1), row.place
        assert np.median(found.r2star[at]) == pytest.approx(row.r2star, abs=3), row.place
    spleen = found.pdff[60:95, 175:200, :2]
    assert np.median(spleen) < 15  # the other program swaps water and fat there in one slice
