"""One small simulated trial, shared by the tests that only read it."""

from pathlib import Path

import pytest

from livertrack.simulate import SimulatedTrial, simulate_trial

TINY = {"shape": (24, 18, 12), "spacing": (12.0, 12.0, 10.7)}


@pytest.fixture(scope="session")
def small_trial(tmp_path_factory: pytest.TempPathFactory) -> SimulatedTrial:
    folder: Path = tmp_path_factory.mktemp("simulated") / "study"
    return simulate_trial(folder, n_per_arm=5, seed=11, dropout=0.2, missed_scans=0.1, **TINY)
