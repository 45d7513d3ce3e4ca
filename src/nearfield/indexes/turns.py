"""Work shared out to threads, for kernels that release the interpreter's lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

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
    lock = threading.Lock()
    source = iter(items)
    end = object()

    def turns() -> Iterator[Item]:
        while True:
            with lock:
                item = next(source, end)
            if item is end:
                return
            yield cast(Item, item)

    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work, turns()) for _ in range(threads - 1)]
        results = [work(turns())]
        results += [other.result() for other in others]
        return results
