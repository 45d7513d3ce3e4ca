"""Units of work on threads, the memory that they share, and the sums of what they make."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from nearfield.kernels.matrix import aligned
from nearfield.types.arrays import Floats

Item = TypeVar("Item")
Made = TypeVar("Made")


def on_threads(threads: int, work: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
    """`work` of each item, on up to `threads` threads; in order."""
    if threads == 1 or len(items) == 1:
        return [work(item) for item in items]
    # the pool stays, as each forward and backward pass asks for it several times
    return list(_pool(threads).map(work, items))


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="layers")


class Rooms:
    """Memory that is given back and taken again: what nobody used yet costs time."""

    def __init__(self) -> None:
        self._free: list[Floats] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> Floats:
        """At least `size` floats, not set: the smallest that were given back and are not far too
        many, or new ones.
        """
        with self._lock:
            sizes = [len(room) for room in self._free]
            fitting = [at for at, has in enumerate(sizes) if size <= has <= 2 * size]
            if fitting:
                return self._free.pop(min(fitting, key=sizes.__getitem__))
        # an eighth more than asked for: the next step may need a little more
        return aligned(size + size // 8)

    def give_back(self, *rooms: Floats) -> None:
        """Let others take these."""
        with self._lock:
            self._free += rooms


class Sum:
    """The gradients of some units: by the weights, in a room taken when the first unit comes, and
    by the distances.
    """

    def __init__(self, distances: Floats | None) -> None:
        self.room: Floats | None = None
        self.distances = None if distances is None else np.zeros_like(distances)


class Turns:
    """`work(sums[at], unit)` for each unit of `groups[at]`, those of a group one after the other
    and in their order.

    Each thread that calls `run` takes the next unit of the group with the most left that no other
    thread is at. One group more than there are threads is enough to leave no thread without work
    before the last units.
    """

    def __init__(
        self, work: Callable[[Sum, int], None], sums: list[Sum], groups: list[list[int]]
    ) -> None:
        self._work = work
        self._sums = sums
        self._left = [unit[::-1] for unit in groups]
        self._free = set(range(len(groups)))
        self._lock = threading.Lock()

    def run(self, _thread: int) -> None:
        """Take units until none is left that is free."""
        taken = self._take()
        while taken is not None:
            group, unit = taken
            self._work(self._sums[group], unit)
            with self._lock:
                self._free.add(group)
            taken = self._take()

    def _take(self) -> tuple[int, int] | None:
        with self._lock:
            open_groups = [at for at in sorted(self._free) if self._left[at]]
            if not open_groups:
                return None
            # Which thread takes which group changes no sum: a group's units go into it in their own
            # order.
            group = max(open_groups, key=lambda at: len(self._left[at]))
            self._free.remove(group)
            return group, self._left[group].pop()
