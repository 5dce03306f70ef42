"""Fixtures; they import lib inside, because the typing hook must come first."""

import signal

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import settings

mpl.use("Agg")
settings.register_profile("book", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("book")


def pytest_collection_modifyitems(items):
    """Skip what is marked ``gpu`` where there is no device; the kernel's arithmetic is tested on the CPU too."""
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device; the same kernel runs on the CPU in this file"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.hookimpl(tryfirst=True)  # before all fixtures, broad ones too
def pytest_runtest_setup():
    """Small networks gain nothing from a second thread; beside other work on its core they wait a hundredfold for it.

    Not once for all tests: Numba's OpenMP layer raises PyTorch's number of threads again.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def interrupts_reach_children():
    """A shell's background job ignores Ctrl-C, and so would every process that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def dtw():
    from lib import dtw

    return dtw


@pytest.fixture(scope="session")
def downloads():
    """Folder of downloaded datasets, or a skip that says how to get one."""
    import os

    root = os.environ.get("SKELETON_DATA")
    if not root:
        pytest.skip("SKELETON_DATA is not set: no downloaded datasets to read")
    return root


@pytest.fixture(scope="session")
def videos(downloads):
    """Folder of downloaded Kinetics clips; the book needs none, so a reader with the skeletons alone is right."""
    from pathlib import Path

    folder = Path(downloads) / "video"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: no Kinetics clips beside the skeletons")
    return folder


@pytest.fixture(scope="session")
def expected(dtw, tmp_path_factory):
    """Distances of `store_cases.walks()`, stored without a stop."""
    from store_cases import CHOICES, walks

    return np.asarray(dtw.pairwise(walks(), store=tmp_path_factory.mktemp("store") / "whole", num_threads=1, **CHOICES))


@pytest.fixture(scope="module")  # not longer: its event loop would be in the way of tests that run notebooks
def browser():
    from browser_cases import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def layers(rng):
    from smoothness_cases import separating_layers

    return separating_layers(rng)


@pytest.fixture(scope="module")
def small_stf():
    from focus_cases import network
    from model_cases import disturbed

    return disturbed(network(), scale=0.05)


@pytest.fixture
def plots():
    from lib import plots

    return plots


@pytest.fixture
def skeleton():
    from lib import skeletons

    return skeletons.get("ntu25")


@pytest.fixture
def closed_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(params=["nw_ucla", "utd_mhad", "msr_action3d", "cmu_mocap", "cmu_subject86"])
def genuine(request, rng, tmp_path):
    """(dataset name, archive path, its files, one victim's name, its clips)."""
    from dataset_cases import READERS, read, write_zip

    archive, make, victim = READERS[request.param]
    files = make(rng)
    path = tmp_path / f"{archive}.zip"
    write_zip(path, files, f"{archive}/")
    return request.param, path, files, victim, read(request.param, tmp_path)


@pytest.fixture
def write_page(tmp_path, monkeypatch):
    """Write a page in a book of its own."""
    from book_cases import HEADER, PAGE

    from lib import paths

    book = tmp_path / "book"
    book.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", book)
    monkeypatch.setenv("LAYERS_BUILD", str(tmp_path / "build"))

    def write(body=PAGE, stem="07_probe"):
        path = book / f"{stem}.py"
        path.write_text(HEADER + body, encoding="utf-8")
        return path

    return write
