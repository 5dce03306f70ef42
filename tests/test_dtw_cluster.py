"""Distances from a real scheduler and workers on loopback, some of them killed."""

import signal
import threading

import numpy as np
import pytest
from cluster_cases import Cluster
from store_cases import CHOICES, PATIENCE, num_files, wait_until, walks


@pytest.fixture(scope="module")
def internals():
    from lib.dtw import _chunks, _cluster

    return {"chunks": _chunks, "cluster": _cluster}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    with cluster.stack:
        cluster.start_worker()
        cluster.start_worker()
        yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    from distributed import Client

    wait_until(cluster.file.exists)
    with Client(scheduler_file=str(cluster.file), timeout=PATIENCE) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        yield client


def test_a_cluster_gives_the_same_bits(dtw, expected, client):
    sequences = walks()
    found = dtw.pairwise(sequences, client=client, **CHOICES)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, expected)
    against = dtw.pairwise(sequences[:3], sequences[:70], client=client, **CHOICES)
    np.testing.assert_allclose(against, expected[:3, :70], rtol=1e-5)


def test_a_killed_worker_costs_nothing(dtw, expected, cluster, client, tmp_path):
    left = []

    def kill():
        wait_until(lambda: num_files(tmp_path / "store") >= 5)
        cluster.workers[0].kill()
        cluster.workers[0].wait()
        left.append(81 - num_files(tmp_path / "store"))

    killer = threading.Thread(target=kill)
    killer.start()
    found = dtw.pairwise(walks(), store=tmp_path / "store", client=client, **CHOICES)
    killer.join()
    assert cluster.workers[0].returncode == -signal.SIGKILL
    assert left[0] > 20, "it was all but finished"
    np.testing.assert_array_equal(found[:], expected)


def test_when_all_workers_die_the_sequences_are_sent_again(
    dtw, internals, expected, cluster, client, tmp_path, monkeypatch
):
    sent, send = [], internals["cluster"]._send
    monkeypatch.setattr(internals["cluster"], "_send", lambda *arguments: sent.append(1) or send(*arguments))

    def replace():
        wait_until(lambda: num_files(tmp_path / "store") >= 5)
        cluster.workers[1].kill()
        cluster.start_worker()

    killer = threading.Thread(target=replace)
    killer.start()
    found = dtw.pairwise(walks(), store=tmp_path / "store", client=client, **CHOICES)
    killer.join()
    assert len(sent) == 2
    np.testing.assert_array_equal(found[:], expected)


def test_a_finished_store_sends_nothing(dtw, internals, client, tmp_path, monkeypatch):
    before = dtw.pairwise(walks(70), store=tmp_path)[:]
    monkeypatch.setattr(internals["cluster"], "_send", None)
    np.testing.assert_array_equal(dtw.pairwise(walks(70), store=tmp_path, client=client)[:], before)


def test_an_error_of_a_worker_reaches_the_caller(internals, client):
    with pytest.raises(TypeError, match="exactly one argument"):
        list(internals["cluster"].results(client, len, [walks(3)], internals["chunks"].Cut((3, 3), 64, True), [(0, 0)]))


def test_what_is_no_client_is_refused(dtw):
    with pytest.raises(ValueError, match=r"client='tcp://host:8786' must be a dask\.distributed\.Client"):
        dtw.pairwise(walks(3), client="tcp://host:8786")
