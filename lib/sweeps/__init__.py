"""A page at every point of a grid: one run after another, side by side on this machine, or on a dask cluster."""

from lib.sweeps._cluster import connect
from lib.sweeps._grid import parse, sweep

__all__ = ["connect", "parse", "sweep"]
