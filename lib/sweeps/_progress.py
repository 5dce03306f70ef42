"""One line for a whole sweep, however many runs it has in progress."""

import threading

from tqdm.auto import tqdm


class Progress:
    """A bar of runs that have ended, with the failed ones counted and the cell that each of the others has reached."""

    def __init__(self, name: str, *, total: int, skipped: int, show: bool):
        self._bar = tqdm(total=total, initial=skipped, desc=name, unit="run", disable=not show)
        self._reached, self._num_failed = {}, 0
        self._lock = threading.Lock()  # cells are reported from other threads

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def cell(self, label: str, done: int, total: int) -> None:
        """Note that the run called `label` has done so many of its cells."""
        with self._lock:
            self._reached[label] = f"{label} {done}/{total}"
            self._show()

    def end(self, label: str, *, failed: bool) -> None:
        """Note that the run called `label` has ended."""
        with self._lock:
            self._reached.pop(label, None)
            self._num_failed += failed
            self._show()
            self._bar.update()

    def _show(self) -> None:
        failed = [f"{self._num_failed} failed"] if self._num_failed else []
        self._bar.set_postfix_str(", ".join([*failed, *self._reached.values()]), refresh=True)
