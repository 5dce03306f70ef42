"""One run in a process of its own, seen from both sides.

papermill changes the folder and the environment of the whole process, so runs side by side need a process each. It gets
its orders as one line of JSON on standard input and answers in lines of JSON on standard output. The input stays open:
when it ends, because the run shall stop or because the process that ordered it is no more, the run stops as by Ctrl-C.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lib import execution, pages, paths, runs

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
PATIENCE = 10.0  # seconds that a stopping run has to write its record before it is asked again
ATTEMPTS = 3


class Process:
    """A run of `page` with the parameters `given`, started at once; `threads` is its share of the machine's cores."""

    def __init__(self, page: Path, given: Mapping[str, str], out: Path, *, threads: int):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `result`
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from lib.sweeps import _process; _process.main()"],
            cwd=paths.ROOT,
            env=os.environ | limits(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C in a terminal goes to all its processes; this one is told by its input
        )
        orders = json.dumps({"page": str(page.resolve()), "given": dict(given), "out": str(out.resolve())})
        self._send(orders.encode() + b"\n")

    def stop(self) -> None:
        """Let the run end as if by Ctrl-C; `result` still waits for that."""
        self._process.stdin.close()

    def result(self, on_cell: Callable[[int, int], None]) -> runs.Run | execution.PageFailed:
        """Wait for the run, or for the error that ended it; `on_cell` is told meanwhile how far it has come."""
        said = {}
        with self._process, self._errors:
            for line in self._process.stdout:
                said = json.loads(line)
                if "cell" in said:
                    on_cell(said["cell"], said["of"])
            code = self._process.wait()
            self._errors.seek(0)
            errors = self._errors.read().decode(errors="replace").strip()
        if "run" in said:
            folder = Path(said["run"])
            return runs.Run(folder, json.loads((folder / runs.RECORD).read_text(encoding="utf-8")))
        failure = execution.PageFailed(said.get("failed") or _unexplained(code, errors))
        for note in said.get("notes", []):
            failure.add_note(note)
        return failure

    def _send(self, line: bytes) -> None:
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it could not even start; `result` says why


def limits(threads: int) -> dict[str, str]:
    """Return variables that hold libraries to so many threads, or to fewer where the environment says so.

    Two threads that share a core wait for each other: small networks train a hundred times slower then.
    """
    general = os.environ.get("OMP_NUM_THREADS", "")  # what libraries of linear algebra heed, too
    given = {name: os.environ.get(name, "" if name.startswith("NUMBA") else general) for name in THREADS}
    return {name: str(min(threads, int(value)) if value.isdecimal() else threads) for name, value in given.items()}


def num_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _unexplained(code: int, errors: str) -> str:
    if code < 0:
        how = f"by signal {-code} ({signal.strsignal(-code)}); when memory ran out, use fewer jobs"
    else:
        how = f"with code {code}"
    return f"the run's process left no result and ended {how}\n{errors}".strip()


def main() -> None:
    """Run what standard input orders, on behalf of a `Process`."""
    # Only answers go to the standard output, whatever the page's kernel and its programs write to theirs.
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)

    def say(**answer) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    try:
        orders = json.loads(sys.stdin.readline())
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
        run = runs.run(
            orders["page"],
            orders["given"],
            out=Path(orders["out"]),
            on_cell=lambda done, total: say(cell=done, of=total),
        )
        say(run=str(run.folder))
    except (execution.PageFailed, pages.PageError) as error:
        say(failed=str(error), notes=getattr(error, "__notes__", []))
    except KeyboardInterrupt as error:
        say(failed="stopped", notes=getattr(error, "__notes__", []))


def _stop_at_end_of_input() -> None:
    while os.read(0, 1024):
        pass
    for _ in range(ATTEMPTS):  # Python loses one that comes in a finaliser
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)
