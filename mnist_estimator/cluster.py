"""Connect to a Dask cluster so that a search outlives the loss of a worker."""

import logging
from typing import Any

from distributed import Client, LocalCluster

# After so many seconds without an answer a scheduler counts as not there.
_PATIENCE = 5
# No web page, and no warning that a worker took its time to end.
_QUIET = {"dashboard_address": None, "silence_logs": logging.ERROR}


def connect(address: str = "local") -> Client:
    """Connect to a cluster, and make it the one that joblib's and Dask's functions use.

    joblib's Dask backend places the data of a search on one worker, from which the others fetch
    it once each. If that worker dies, the data is gone and the search with it. This client leaves
    a copy with the scheduler instead, so that only what ran on the worker is done again.

    Parameters
    ----------
    address : str, default="local"
        The scheduler, "tcp://10.0.0.1:8786" for example. "local" starts one on this machine for
        as long as the client is open, with a worker process of one thread for each processor.

    Returns
    -------
    client : distributed.Client
        The connection. Close it, or use it in a `with` statement.

    Raises
    ------
    OSError
        If no scheduler answers there within 5 seconds.
    ValueError
        If `address` is no address.

    Examples
    --------
    >>> from mnist_estimator.cluster import connect
    >>> connect("tcp://127.0.0.1:9")
    Traceback (most recent call last):
        ...
    OSError: No Dask scheduler answers at 'tcp://127.0.0.1:9'. Start one with ...
    """
    if address == "local":
        cluster = LocalCluster(threads_per_worker=1, host="127.0.0.1", **_QUIET)
        client = _KeepingClient(cluster)
        client._own_cluster = cluster
        return client
    try:
        return _KeepingClient(address, timeout=_PATIENCE)
    except OSError as error:
        raise OSError(
            f"No Dask scheduler answers at {address!r}. Start one with `dask scheduler`, and "
            f"`dask worker {address} --nthreads 1 --nworkers -1` on each machine; or use 'local'."
        ) from error


class _KeepingClient(Client):
    """A client whose single scattered objects are tasks, which the scheduler can run again."""

    _own_cluster: LocalCluster | None = None

    def scatter(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Place data on the workers; called by joblib within the event loop."""
        if not kwargs.get("asynchronous"):
            return super().scatter(data, *args, **kwargs)

        async def keep() -> Any:
            return self.submit(_Kept(data), pure=False)

        return keep()

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the connection, and the cluster that it started."""
        result = super().close(*args, **kwargs)
        if self._own_cluster is not None:
            self._own_cluster.close()
        return result


class _Kept:
    """Returns an object; called on a worker, it is the object's way there."""

    def __init__(self, kept: Any) -> None:
        self._kept = kept

    def __call__(self) -> Any:
        return self._kept
