"""A page over a grid on a dask cluster: what comes back, what is stopped, and what is refused."""

import json
import re
import sys

import pytest
from book_cases import DRAW, GATED, TINY, shell
from cluster_cases import Cluster
from store_cases import wait_until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    with cluster.stack:
        cluster.start_worker("--nanny")
        wait_until(cluster.file.exists)
        yield json.loads(cluster.file.read_text())["address"]


def test_a_cluster_runs_a_sweep_and_sends_whole_runs_back(write_page, tmp_path, cluster):
    from lib import runs

    page = write_page(DRAW + "\n# %%\n1 / (seed - 3)\n")
    done = shell("sweep", page, "--grid", "seed=1,3", "--dask", cluster)
    assert done.returncode == 1, done.stderr
    assert re.search(r"^seed=1: 07_probe-\S+\nseed=3: failed\n", done.stdout)
    assert "1 failed" in done.stderr
    assert "ZeroDivisionError in cell" in done.stderr
    found = {run.record["seed"]: run for run in runs.recorded()}
    assert {seed: run.record["status"] for seed, run in found.items()} == {1: "finished", 3: "failed"}
    assert found[1].record["threads"] == "1", "what dask's nanny gives a worker"
    assert f"run folder: {found[3].folder}\n" in done.stderr
    for run in found.values():
        assert {path.name for path in run.folder.iterdir()} == {"07_probe.ipynb", "run.json", "t.csv"}


def test_what_no_longer_matters_is_stopped_on_the_cluster(write_page, tmp_path, cluster):
    from lib import sweeps

    page, gate = write_page(GATED.replace('os.environ["GATE"]', repr(str(tmp_path / "gate")))), tmp_path / "gate"
    ended = "\nimport atexit\n\natexit.register(gate.with_suffix('.ended').touch)\n"
    page.write_text(page.read_text().replace("if seed > 1:", f"{ended}if seed > 1:"))
    with sweeps.connect(cluster) as client:
        points = sweeps.sweep(page, {"seed": ["1", "2"]}, client=client)
        next(points)
        wait_until(gate.with_suffix(".2").exists)
        gate.with_suffix(".ended").unlink()  # of the first run
        points.close()
        wait_until(gate.with_suffix(".ended").exists)


def test_other_code_on_a_worker_is_refused(write_page, cluster, monkeypatch):
    from lib import pages, runs, sweeps

    monkeypatch.setattr(runs, "library", lambda: "newer")
    with (
        sweeps.connect(cluster) as client,
        pytest.raises(
            pages.PageError, match=r"the code of lib at tcp://127\.0\.0\.1:.* install this version of the book"
        ),
    ):
        list(sweeps.sweep(write_page(TINY), {"count": ["1"]}, client=client))


def test_a_cluster_that_does_not_answer_or_cannot_be_asked_is_named(write_page, monkeypatch, capsys):
    from lib.__main__ import main
    from lib.sweeps import _cluster

    command = ["sweep", str(write_page(TINY)), "--grid", "count=1", "--dask", "tcp://127.0.0.1:9"]
    monkeypatch.setattr(_cluster, "TIMEOUT", 0.2)
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("error: no dask scheduler answers at 'tcp://127.0.0.1:9'")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(command) == 2
    assert "--dask needs dask.distributed, which is in an extra: pip install -e '.[cluster]'" in capsys.readouterr().err
    for number in ("0", "-1", "two"):
        with pytest.raises(SystemExit):
            main([*command[:4], "--jobs", number])
        assert f"'{number}' must be a whole number, at least 1" in capsys.readouterr().err
