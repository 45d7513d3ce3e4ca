"""What comes next, made on another thread while this one works."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
_END: Any = object()


def ahead(items: Iterable[T], *, depth: int = 1) -> Generator[T]:
    """The items in order, each made by another thread up to `depth` items before it is wanted.

    What making one raises is raised where it is wanted. Closing this iterator ends the thread.
    """
    source = iter(items)
    # one thread: the items are made in their order, and one at a time
    pool = ThreadPoolExecutor(1, thread_name_prefix="nearfield-ahead")
    try:
        made = deque(pool.submit(next, source, _END) for _ in range(depth))
        while (item := made.popleft().result()) is not _END:
            made.append(pool.submit(next, source, _END))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
