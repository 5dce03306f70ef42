"""Layers of Motion: what spatio-temporal networks learn about human movement, layer by layer."""

import os

if threads := os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]:
    # Numba's OpenMP layer sets the number of threads for PyTorch as well, and would overrule what was asked for.
    os.environ.setdefault("NUMBA_NUM_THREADS", threads)
