"""A real scheduler and workers of dask on loopback."""

import contextlib
import subprocess
import sys

from store_cases import environment


class Cluster:
    """A scheduler and workers on loopback, ended whatever happens."""

    def __init__(self, folder):
        self.folder, self.file, self.stack, self.workers = folder, folder / "scheduler.json", contextlib.ExitStack(), []
        self.start("scheduler", "--port", "0", "--idle-timeout", "600")

    def start(self, role, *arguments):
        """Start one process; it is killed when the stack closes."""
        command = [sys.executable, "-m", "dask", role, "--host", "127.0.0.1", "--no-dashboard", *arguments]
        with open(self.folder / f"{role}{len(self.workers)}.log", "wb") as log:
            process = subprocess.Popen(
                [*command, "--scheduler-file", self.file], env=environment(), cwd=self.folder, stdout=log, stderr=log
            )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def start_worker(self, nanny="--no-nanny"):
        self.workers.append(
            self.start("worker", nanny, "--nthreads", "1", "--memory-limit", "1GB", "--local-directory", self.folder)
        )
