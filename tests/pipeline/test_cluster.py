"""Scans on the workers of a Dask scheduler: the same files as on this machine."""

import numpy as np
import pytest
from joblib import Parallel, delayed

from livertrack.errors import MissingToolError
from livertrack.imaging import Scan, fit_vocabulary, signatures
from livertrack.pipeline.cluster import scheduler


@pytest.fixture(scope="module")
def address():
    distributed = pytest.importorskip("dask.distributed", reason="needs the extra 'cluster'")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None,
        host="127.0.0.1", protocol="tcp",
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


def _scans():
    rng = np.random.default_rng(5)
    found = []
    for number in range(4):
        mask = np.zeros((16, 16, 8), bool)
        mask[3:13, 3:13, 2:6] = True
        volume = (1 + 0.1 * rng.standard_normal((2, *mask.shape))).astype(np.float32)
        volume[:, :8] *= 1.5
        found.append(
            Scan(volume, mask, (3.0, 3.0, 4.0), ~mask, subject=f"S{number}", visit="Baseline")
        )
    return found


def test_label_maps_of_a_cluster_are_those_of_this_machine(address, tmp_path):
    scans = _scans()
    given = {"n_types": 2, "seed": 1, "steps": 2, "n_places": 200, "bias_field": "none"}
    words = fit_vocabulary(scans, **given)
    rules = {"min_voxels": 1, "shells": 0, "probabilities": True}
    signatures(scans, words, out=tmp_path / "here", **rules)
    with scheduler(address):
        again = fit_vocabulary(scans, **given)
        signatures(scans, words, out=tmp_path / "there", **rules)
    assert again.hash == words.hash
    here, there = (sorted((tmp_path / n / "maps").iterdir()) for n in ("here", "there"))
    assert [path.name for path in here] == [path.name for path in there]
    assert [path.read_bytes() for path in here] == [path.read_bytes() for path in there]


def test_loops_leave_the_cluster_with_the_block(address):
    from dask.distributed import get_client

    with scheduler(address):
        assert Parallel()(delayed(lambda: get_client().scheduler.address)() for _ in range(2))
    with pytest.raises(ValueError, match="No"):
        get_client()


def test_without_a_scheduler_nothing_changes():
    with scheduler(None):
        assert Parallel()(delayed(abs)(n) for n in (-1, 2)) == [1, 2]


def test_a_scheduler_that_is_not_there_is_named_with_exit_code_4():
    pytest.importorskip("dask.distributed", reason="needs the extra 'cluster'")
    absent = scheduler("tcp://127.0.0.1:1", wait_s=0.5)
    with (
        pytest.raises(MissingToolError, match="no Dask scheduler answers") as raised,
        absent,
    ):
        pass
    assert raised.value.exit_code == 4
