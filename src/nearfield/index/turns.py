"""Work shared out to threads, for kernels that release the interpreter's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_turns(
    work: Callable[[Iterator[Item]], Result], items: Iterable[Item], *, threads: int
) -> list[Result]:
    """`work` on each of `threads` threads, one of them the caller's; each takes the next item when
    it is done with its last.

    Items are handed out in their order, each once. Returns one result a thread; an error of any of
    them is raised.
    """
    if threads <= 1:
        return [work(iter(items))]
    turns = _Turns(items)
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work, turns) for _ in range(threads - 1)]
        return [work(turns), *(other.result() for other in others)]


class _Turns(Iterator[Item]):
    """An iterator that several threads may take from."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __next__(self) -> Item:
        with self._lock:
            return next(self._items)
