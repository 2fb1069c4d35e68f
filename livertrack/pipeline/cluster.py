"""Beyond one machine: the package's loops over scans on the workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import joblib

from livertrack.errors import MissingToolError


@contextmanager
def scheduler(address: str | None, *, wait_s: float = 30.0) -> Iterator[None]:
    """Run the block's ``joblib`` loops on a Dask scheduler; on this machine where it is None.

    Workers must see the study and the results under the same paths, and have livertrack
    installed. Results do not depend on their number.

    Parameters
    ----------
    address : str or None
        For example ``tcp://host:8786``.
    wait_s : float
        Seconds until a scheduler counts as not there.

    Raises
    ------
    MissingToolError
        Dask is not installed, or the scheduler does not answer or has no workers.
    """
    if address is None:
        yield
        return
    try:
        from dask.distributed import Client
    except ImportError as error:
        msg = "a scheduler needs Dask: pip install 'livertrack[cluster]'"
        raise MissingToolError(msg) from error
    try:
        client = Client(address, timeout=wait_s, set_as_default=True)
    except (OSError, ValueError) as error:
        msg = f"no Dask scheduler answers at {address} within {wait_s:g} s"
        raise MissingToolError(msg) from error
    with client:
        if not client.scheduler_info()["workers"]:
            msg = f"the Dask scheduler at {address} has no workers; start some and try again"
            raise MissingToolError(msg)
        with joblib.parallel_config("dask"):
            yield
