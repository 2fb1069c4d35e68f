"""The number of types, their hierarchy and their limits, on points whose answer is visible."""

import numpy as np
import pytest

from livertrack.imaging._calibration import calibration
from livertrack.imaging._choice import choose_types
from livertrack.imaging._clusters import kmeans, levels, merge


def clouds(k: int, n: int = 1200, spread: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Points about ``k`` corners in eight dimensions, in six scans, and their clouds."""
    rng = np.random.default_rng(k)
    own = rng.integers(0, k, n)
    corners = 2 * np.eye(8)[:k]
    return (corners[own] + spread * rng.standard_normal((n, 8))).astype(np.float32), own


@pytest.mark.parametrize("k", [3, 5])
def test_as_many_types_are_chosen_as_there_are_clouds(k):
    points, _ = clouds(k)
    chosen, rows = choose_types(points, np.arange(len(points)) % 6, range(2, 8), seed=1)
    assert chosen == k
    assert [row["n_types"] for row in rows] == [2, 3, 4, 5, 6, 7]
    best = max(rows, key=lambda row: row["stability"])
    assert best["n_types"] == k


def test_the_choice_depends_on_the_seed_alone():
    points, _ = clouds(4, 600, spread=0.8)
    scan = np.arange(len(points)) % 6
    assert choose_types(points, scan, (2, 3, 4), seed=3) == choose_types(
        points, scan, (2, 3, 4), seed=3
    )


def test_near_types_merge_first_and_levels_are_nested():
    centres = np.array([[0.0], [10.0], [1.0], [13.0]], np.float32)
    table, heights = levels(centres, np.array([5, 5, 5, 5]))
    assert table.tolist() == [[1, 2, 1, 3], [1, 2, 1, 2], [1, 1, 1, 1]]
    assert heights.tolist() == pytest.approx([1, 3, 11])
    for n_types, row in ((3, table[0]), (2, table[1])):
        groups = merge(centres, np.array([5, 5, 5, 5]), n_types)
        same = groups[:, None] == groups[None]
        assert np.array_equal(same, row[:, None] == row[None])


def test_limits_keep_999_in_1000_of_the_views_of_each_cluster():
    points, _ = clouds(3, 3000)
    views = np.stack([points, points + 0.05], axis=1).astype(np.float32)
    centres, own = kmeans(points, 3, seed=1, name="x")
    groups = np.array([1, 2, 3], np.int16)
    found = calibration(views, centres, groups, groups[own])
    every = views.transpose(1, 0, 2).reshape(-1, 8)
    squared = ((every[:, None] - centres[None]) ** 2).sum(-1)
    beyond = squared.min(1) > found["limit"][squared.argmin(1)]
    assert 0.0002 < beyond.mean() < 0.003
    assert found["variance"][0] == pytest.approx(squared.min(1).mean() / 8, rel=1e-4)
