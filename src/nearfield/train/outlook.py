"""How far a whole run is, in one figure that every stage moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nearfield.types.progress import Progress

TRAINED = 3  # times the work of a text that is encoded: forward, and back by states and by weights


class Outlook:
    """Tells `watched` how much of a run's work is done: `work` holds what each stage is expected to take, in texts to encode.

    What a stage did not do, as it was done before or was not needed, is no more of the work when it ends.
    """

    def __init__(self, work: Mapping[str, float], watched: Progress) -> None:
        self._work, self._watched = dict(work), watched
        self._ended = 0.0

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """Progress of a stage, in its own unit, which moves that of the run. What its first call says was done before it."""
        whole, first, reached = self._work.get(title, 0.0), -1, 0.0

        def show(done: int, total: int, note: str = "") -> None:
            nonlocal first, reached
            if total and first < 0:
                first = done
                self._work[title] = whole * (total - first) / total
            if total > first >= 0:
                reached = max(reached, min(1.0, (done - first) / (total - first)))
            count = f" {done:,}/{total:,}" if total else ""
            self._tell(self._ended + self._work.get(title, 0.0) * reached, f"{title}{count}{'  ' if note else ''}{note}")

        self._tell(self._ended, title)
        yield show
        self._work[title] = self._work.get(title, 0.0) * reached
        self._ended += self._work[title]
        self._tell(self._ended, title)

    def _tell(self, done: float, note: str) -> None:
        self._watched(round(done), max(1, round(done), round(sum(self._work.values()))), note)
