"""Work shared out to threads, for kernels that release the interpreter's lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nearfield.runtimes.hardware import cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_turns(
    work: Callable[[Iterator[Item]], Result], items: Iterable[Item], *, most: int
) -> list[Result]:
    """`work` on a thread for each core, but on at most `most`, one of them the caller's; each takes
    the next item when it is done with its last.

    Items are handed out in their order, each once. Returns one result per thread; an error of any
    of them is raised.
    """
    threads = min(cores(), most)
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
