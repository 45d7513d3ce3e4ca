"""Items made ahead by another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nearfield.train.data.ahead import ahead


def test_items_come_in_order_and_at_most_depth_ahead() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for at in range(20):
            made.append(at)
            yield at

    seen = []
    for item in ahead(numbers(), depth=2):
        seen.append(item)
        assert len(made) <= item + 3
    assert seen == list(range(20))
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("nearfield-ahead")
    ]


def test_an_error_comes_where_its_item_would() -> None:
    def two() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    items = ahead(two())
    assert next(items) == 1
    with pytest.raises(ValueError, match="the second"):
        next(items)


def test_closing_ends_the_thread() -> None:
    items = ahead(iter(int, 1))
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("nearfield-ahead")
    ]
