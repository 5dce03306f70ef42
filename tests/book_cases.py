"""Pages of a small book, and the command line as a user types it."""

import os
import subprocess
import sys

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

"""
PAGE = """\
# %% [markdown]
# (nb-probe)=
# # Probe

# %%
import sys

import matplotlib.pyplot as plt
import pandas as pd
from tqdm.auto import tqdm

from lib import runs

# %% tags=["parameters"]
count: int = 2  # how many
rate: float = 0.5  # share of the whole
band: int | None = None  # no band when None
layers: list[int] = [1, 2]  # layers shown
name: str = "a b"  # who
flag: bool = True  # whether
seed: int = 3  # random numbers

# %%
for _ in tqdm(range(count), desc="inner bar"):
    pass

# %% tags=["nbval-check-output"]
runs.save_table("scores", pd.DataFrame({"layer": layers, "score": [rate / 3] * len(layers)}))

# %%
#| label: fig-line
#| caption: "A line. 2 points, no unit."
plt.plot([1, count]);

# %%
print(10 // count)
"""
TINY = """\
# %% tags=["parameters"]
count: int = 2  # how many

# %%
10 // count
"""
SAVE = """
# %%
import pandas as pd

from lib import runs

runs.save_table("t", pd.DataFrame({"ten": [10]}))
"""
DRAW = """\
# %% tags=["parameters"]
seed: int = 0  # numbers
wait: float = 0.0  # seconds

# %%
import os, time
import numpy as np
import pandas as pd

from lib import runs

# %%
time.sleep(wait)
values = np.random.default_rng(seed).normal(size=(200, 200))
threads = os.environ.get("OMP_NUM_THREADS")
runs.save_table("t", pd.DataFrame({"trace": [np.trace(np.linalg.inv(values @ values.T))], "threads": [threads]}))
"""
GATED = """\
# %% tags=["parameters"]
seed: int = 0  # numbers

# %%
import os, time
from pathlib import Path

gate = Path(os.environ["GATE"])
if seed > 1:
    gate.with_suffix(f".{seed}").touch()
    while not gate.exists():
        time.sleep(0.05)
"""


def shell(*arguments, cwd=None, **environment):
    """Run ``python -m lib`` as a user does, with warnings of the command itself as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "lib", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
