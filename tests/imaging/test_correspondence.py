"""Registration against known shifts, turns and deformations, and against SimpleITK."""

import numpy as np
import pytest
from scipy import ndimage

from livertrack.errors import UsageError
from livertrack.imaging._alignment import Smooth
from livertrack.imaging.correspondence import _homogeneous, carry, register
from livertrack.imaging.scan import Scan
from livertrack.simulate import simulate_subject
from livertrack.simulate.scan import ScanSettings

SHAPE, SPACING = (56, 48, 30), (4.0, 4.0, 5.0)
AFFINE = np.diag([-4.0, -4.0, 5.0, 1.0])
AFFINE[:3, 3] = [100, 90, -60]


def _field(voxels, inverse=lambda world: world):
    """A lobed liver with vessels, as functions of the world position of the baseline."""
    x, y, z = inverse(_homogeneous(AFFINE, voxels)).T
    body = ((x + 10) / 75) ** 2 + ((y + 5) / 60) ** 2 + ((z - 12) / 48) ** 2
    lobe = ((x + 55) / 35) ** 2 + ((y - 20) / 40) ** 2 + ((z - 25) / 30) ** 2
    mask = (body < 1) | (lobe < 1)
    vessels = sum(
        np.exp(-(((y - a + 0.4 * x) / 5) ** 2 + ((z - b - 0.3 * x) / 6) ** 2) / 2)
        for a, b in ((-15, 8), (10, 22), (25, -6))
    )
    return mask, 100 - 40 * vessels + 6 * np.sin(x / 9) * np.cos(y / 8) + 0.1 * z


def _scan(inverse=lambda world: world, gain=1.0, **arguments):
    voxels = np.argwhere(np.ones(SHAPE, bool))
    mask, values = _field(voxels, inverse)
    return Scan((gain * values).reshape(SHAPE), mask.reshape(SHAPE), SPACING, affine=AFFINE,
                **arguments)  # fmt: skip


def _places(scan):
    return _homogeneous(np.asarray(scan.affine), np.argwhere(scan.mask))


def _error(found, scan, truth):
    return float(np.sqrt(((found(_places(scan)) - truth(_places(scan))) ** 2).sum(axis=1)).mean())


@pytest.fixture(scope="module")
def still():
    return _scan()


@pytest.mark.parametrize("method", ["rigid", "affine", "deformable"])
def test_a_scan_lies_on_itself(still, method):
    found = register(still, still, method=method)
    assert _error(found, still, lambda p: p) < 0.02
    assert found.quality["dice"] == pytest.approx(1.0)
    assert found.quality["correlation"] == pytest.approx(1.0, abs=1e-3)
    assert found.quality["jacobian_low"] == pytest.approx(1.0, abs=5e-3)
    assert found.quality["jacobian_folded"] == 0


@pytest.mark.parametrize("shift", [(8.0, 0.0, 0.0), (-6.0, 5.0, -11.0)])
def test_a_known_shift_is_recovered_within_a_tenth_of_a_voxel(still, shift):
    moved = _scan(lambda world: world - np.array(shift), gain=1.7)
    found = register(still, moved, method="rigid")
    assert _error(found, still, lambda p: p + np.array(shift)) < 0.4
    assert found.quality["dice"] > 0.97 > found.quality["dice_before"]
    assert found.quality["shift_mm"] == pytest.approx(np.linalg.norm(shift), abs=0.4)


def _turn():
    angle = np.deg2rad(9.0)
    matrix = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    return matrix, np.array([4.0, -3.0, 6.0])


def test_a_known_turn_is_recovered(still):
    matrix, offset = _turn()
    moved = _scan(lambda world: (world - offset) @ matrix)
    found = register(still, moved, method="rigid")
    assert _error(found, still, lambda p: p @ matrix.T + offset) < 0.5
    np.testing.assert_allclose(found.matrix @ found.matrix.T, np.eye(3), atol=1e-12)


def test_an_affine_map_recovers_a_stretch(still):
    stretch = np.diag([1.08, 0.94, 1.05])
    moved = _scan(lambda world: world @ np.linalg.inv(stretch))
    found = register(still, moved, method="affine")
    rigid = register(still, moved, method="rigid")
    assert _error(found, still, lambda p: p @ stretch) < 0.6
    assert _error(rigid, still, lambda p: p @ stretch) > 1.5
    assert found.quality["jacobian_low"] == pytest.approx(np.linalg.det(stretch), rel=0.02)


def _bend(world):
    x, y, z = world.T
    return 4.0 * np.stack([np.sin(y / 35), np.cos(z / 30), np.sin(x / 40)], axis=1)


def test_a_deformation_is_followed_better_than_by_a_rigid_map(still):
    moved = _scan(lambda world: world - _bend(world))

    def truth(p):
        q = p.copy()
        for _ in range(30):
            q = p + _bend(q)
        return q

    rigid, bent = (register(still, moved, method=m) for m in ("rigid", "deformable"))
    assert _error(bent, still, truth) < 0.5 * _error(rigid, still, truth)
    assert _error(bent, still, truth) < 1.3
    assert bent.quality["jacobian_folded"] == 0
    assert 0.5 < bent.quality["jacobian_low"] < 1 < bent.quality["jacobian_high"] < 1.7


def test_masks_alone_are_enough():
    shift = np.array([9.0, -7.0, 6.0])
    plain = [
        Scan(np.zeros(SHAPE), _scan(inverse).mask, SPACING, affine=AFFINE)
        for inverse in (lambda w: w, lambda w: w - shift)
    ]
    found = register(*plain, method="rigid")
    assert _error(found, plain[0], lambda p: p + shift) < 1.0
    assert np.isnan(found.quality["correlation"])


def test_the_result_does_not_depend_on_gain_and_is_repeatable(still):
    moved = _scan(lambda world: world - np.array([5.0, 4.0, -6.0]))
    bright = Scan(3.0 * moved.volume, moved.mask, SPACING, affine=AFFINE)
    once, again, other = (register(still, m) for m in (moved, moved, bright))
    np.testing.assert_array_equal(once.offset, again.offset)
    np.testing.assert_allclose(once.offset, other.offset, atol=1e-3)


def test_different_grids_meet_in_the_world_frame(still):
    # the same liver on a grid with flipped and permuted axes and finer slices
    affine = np.array([[0, 5.0, 0, -150], [-4.5, 0, 0, 110], [0, 0, 4.0, -55], [0, 0, 0, 1.0]])
    shape = (48, 56, 34)
    voxels = np.argwhere(np.ones(shape, bool))
    back = np.linalg.inv(AFFINE)
    mask, values = _field(_homogeneous(back, _homogeneous(affine, voxels)))
    other = Scan(values.reshape(shape), mask.reshape(shape), (4.5, 5.0, 4.0), affine=affine)
    found = register(still, other)
    assert _error(found, still, lambda p: p) < 0.6
    assert found.quality["dice"] > 0.95


def test_nearest_neighbour_carries_labels_by_hand():
    mask = np.zeros((6, 4, 3), bool)
    mask[1:4, 1:3, 1] = True
    scan = Scan(np.zeros(mask.shape), mask, (2.0, 2.0, 2.0))
    labels = np.zeros(mask.shape, np.int16)
    labels[2, 1:3, 1], labels[3, 1:3, 1], labels[4, 1:3, 1] = 1, 2, 3
    found = register(scan, scan)
    moved = type(found)(np.eye(3), np.array([2.0, 0.0, 0.0]), None, {})
    carried, in_view = carry(labels, scan, scan, moved)
    assert carried.tolist() == [1, 1, 2, 2, 3, 3]
    assert in_view.all()
    far = type(found)(np.eye(3), np.array([6.0, 0.0, 0.0]), None, {})
    carried, in_view = carry(labels, scan, scan, far)
    assert carried.tolist() == [3, 3, 0, 0, 0, 0]
    assert in_view.tolist() == [True, True, True, True, False, False]


def test_b_splines_reproduce_a_constant_and_their_derivative_is_smooth():
    field = Smooth(np.zeros(3), 10.0, np.full((3, 6, 5, 5), 2.5))
    points = np.random.default_rng(0).uniform([0, 0, 0], [29, 19, 19], (50, 3))
    np.testing.assert_allclose(field(points), 2.5, rtol=1e-12)
    assert field(np.zeros((0, 3))).shape == (0, 3)


def test_an_unknown_method_is_an_error(still):
    with pytest.raises(UsageError, match="rigid, affine or deformable"):
        register(still, still, method="elastic")


@pytest.fixture(scope="module")
def breaths():
    """One simulated liver, unchanged, in two breath-holds, and the true correspondence."""
    subject = simulate_subject(
        11, 1, shape=(72, 56, 28), spacing=(4.0, 4.0, 4.6), visits={"Baseline": 0, "Again": 0},
        settings=ScanSettings(breathing_mm=8.0),
    )  # fmt: skip
    one, two = (subject.scans[name] for name in ("Baseline", "Again"))
    scans = [Scan(s.volume, s.mask == 5, s.spacing, affine=s.affine) for s in (one, two)]
    step = np.array(one.spacing)
    start = np.argwhere(scans[0].mask) * step
    shape = one.mask.shape
    leave, arrive = one.motion.displacement(shape), two.motion.displacement(shape)

    def at(field, points):
        index = (points / step).T
        return np.stack(
            [ndimage.map_coordinates(f, index, order=1, mode="nearest") for f in field], 1
        )

    end = start
    for _ in range(30):
        end = start + at(leave, start) - at(arrive, end)
    return scans, _homogeneous(one.affine, end / step)


@pytest.mark.parametrize(
    ("method", "limit"), [("rigid", 3.0), ("affine", 2.8), ("deformable", 2.4)]
)
def test_breathing_is_undone_in_simulated_livers(breaths, method, limit):
    scans, end = breaths
    found = register(*scans, method=method)
    assert _error(found, scans[0], lambda _: end) < limit
    assert found.quality["dice"] > 0.9


def test_rigid_is_at_least_as_good_as_simpleitk(breaths):
    sitk = pytest.importorskip("SimpleITK")
    scans, end = breaths
    images = []
    for scan in scans:
        inside = ndimage.distance_transform_edt(scan.mask, sampling=scan.spacing)
        outside = ndimage.distance_transform_edt(~scan.mask, sampling=scan.spacing)
        image = sitk.GetImageFromArray(np.clip(inside - outside, -15, 15).T.astype(np.float32))
        image.SetSpacing(scan.spacing)
        images.append(image)
    step = np.array(scans[0].spacing)
    centres = [np.argwhere(scan.mask).mean(axis=0) * step for scan in scans]
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centres[0].tolist())
    transform.SetTranslation((centres[1] - centres[0]).tolist())
    way = sitk.ImageRegistrationMethod()
    way.SetNumberOfThreads(1)
    way.SetMetricAsMeanSquares()
    way.SetMetricSamplingStrategy(way.NONE)
    way.SetInterpolator(sitk.sitkLinear)
    way.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 60)
    way.SetOptimizerScalesFromPhysicalShift()
    way.SetShrinkFactorsPerLevel([2])
    way.SetSmoothingSigmasPerLevel([0.0])
    way.SetInitialTransform(transform, inPlace=True)
    way.Execute(*images)
    voxels = np.argwhere(scans[0].mask)
    moved = np.array([transform.TransformPoint(p.tolist()) for p in voxels * step]) / step
    theirs = _homogeneous(np.asarray(scans[0].affine), moved) - end
    ours = _error(register(*scans, method="rigid"), scans[0], lambda _: end)
    assert ours <= 1.05 * float(np.sqrt((theirs**2).sum(axis=1)).mean())
