"""One seed in the plan; a stream of its own for every named use of it."""

import zlib

import numpy as np


def spawn(seed: int, *names: str | int) -> np.random.SeedSequence:
    """Seed sequence of a named use of ``seed``.

    The same seed and names give the same stream whatever ran before, in whatever order and
    with any number of workers.
    """
    keys = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.SeedSequence([seed, *keys])


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Random generator of a named use of ``seed`` (see `spawn`)."""
    return np.random.default_rng(spawn(seed, *names))
