"""What comes next, made on another thread while this one works."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], *, depth: int = 1) -> Generator[T]:
    """The items in order, each made by another thread up to `depth` items before it is wanted.

    What making one raises is raised where it is wanted. Closing this iterator ends the thread.
    """
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue()
    free = threading.Semaphore(depth)
    closed = threading.Event()

    def make() -> None:
        source = iter(items)
        while True:
            free.acquire()
            if closed.is_set():
                return
            try:
                made.put((next(source), None))
            except BaseException as error:  # StopIteration too: it says that there are no more
                made.put((None, error))
                return

    thread = threading.Thread(target=make, name="nearfield-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            free.release()
            yield item  # type: ignore[misc]  # an item that is None is one of T
    finally:
        closed.set()
        free.release()
        thread.join()
