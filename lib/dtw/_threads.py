"""How many threads a call may use, and what they share."""

import functools

import numba
from threadpoolctl import ThreadpoolController


def check_threads(num_threads):
    if num_threads is None:
        return numba.config.NUMBA_NUM_THREADS  # every CPU, or fewer where the environment says so
    if isinstance(num_threads, bool) or not isinstance(num_threads, int) or num_threads < 1:
        raise ValueError(f"num_threads={num_threads!r} must be None (every CPU) or an int, at least 1")
    return num_threads


@functools.cache
def blas():
    """Find the linear algebra libraries; that takes longer than a small matrix of distances, hence only once."""
    return ThreadpoolController().select(user_api="blas")
