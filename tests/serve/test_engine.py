"""The queue: turns, refusals, deadlines, and what happens to a request that leaves or fails."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.serve.engine import BATCH_TOKENS, PIECE_TOKENS, Engine
from nearfield.serve.limits import Limits
from nearfield.serve.models import ServedModel
from nearfield.serve.refusal import BUSY, LATE, UNAVAILABLE, Refusal


class Slow:
    """Doubles numbers, a turn at a time, each when it is let."""

    def __init__(self) -> None:
        self.turns: list[list[int]] = []
        self.started, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, items: list[int]) -> list[int]:
        self.turns.append(items)
        self.started.release()
        assert self.go.acquire(timeout=20)
        if any(item < 0 for item in items):
            raise ValueError("negative")
        return [2 * item for item in items]


@contextmanager
def held(limits: Limits = Limits(), cost: int = 100) -> Iterator[tuple[Engine[int, int], Slow]]:  # noqa: B008
    """An engine whose first turn, of the item 0, is being made."""
    slow = Slow()
    engine = Engine(slow, lambda _: cost, limits)
    engine.submit([0])
    assert slow.started.acquire(timeout=20)
    try:
        yield engine, slow
    finally:
        slow.go.release(1000)
        engine.close()


def done(future: Future[list[int]]) -> list[int]:
    return future.result(timeout=20)


def test_small_requests_do_not_wait_for_the_whole_of_a_large_one() -> None:
    with held() as (engine, slow):
        large = engine.submit(list(range(1000, 1100)))
        small = engine.submit([1, 2])
        slow.go.release(2)  # the first turn and the next
        assert done(small) == [2, 4]
        assert not large.done()
        slow.go.release(100)
        assert done(large) == list(range(2000, 2200, 2))
        turn = slow.turns[1]
        assert turn[: PIECE_TOKENS // 100] == list(range(1000, 1005))
        assert {1, 2} <= set(turn)
        assert len(turn) * 100 >= BATCH_TOKENS


def test_what_cannot_wait_is_refused_at_once_and_takes_nothing() -> None:
    with held(Limits(queue_tokens=1000)) as (engine, slow):
        waiting = engine.submit(list(range(9)))
        with pytest.raises(Refusal) as caught:
            engine.submit([1])
        assert caught.value.status == BUSY
        assert caught.value.retry_after is not None
        assert caught.value.retry_after >= 1
        slow.go.release(100)
        assert done(waiting) == list(range(0, 18, 2))
        # alone, a request of any size is taken
        assert done(engine.submit(list(range(50)))) == list(range(0, 100, 2))


def test_a_request_that_leaves_gives_up_its_turn() -> None:
    with held() as (engine, slow):
        left, stayed = engine.submit([7, 8]), engine.submit([9])
        assert left.cancel()
        slow.go.release(2)
        assert done(stayed) == [18]
        assert slow.turns == [[0], [9]]


def test_a_late_request_is_ended() -> None:
    with held() as (engine, slow):
        engine._limits = Limits(seconds=0.0)
        late = engine.submit([1])
        slow.go.release(1)
        with pytest.raises(Refusal) as caught:
            done(late)
        assert caught.value.status == LATE
        assert slow.turns == [[0]]


def test_a_text_that_fails_fails_its_own_request_alone() -> None:
    with held() as (engine, slow):
        good, bad = engine.submit([1, 2]), engine.submit([3, -1])
        slow.go.release(100)
        assert done(good) == [2, 4]
        with pytest.raises(ValueError, match="negative"):
            done(bad)
        assert engine.submit([]).result(timeout=20) == []


def test_closing_answers_what_was_accepted_and_refuses_the_rest() -> None:
    with held() as (engine, slow):
        accepted = [engine.submit([number]) for number in range(50)]
        closing = threading.Thread(target=engine.close)
        closing.start()
        while not engine._closing:
            pass
        with pytest.raises(Refusal) as caught:
            engine.submit([1])
        assert caught.value.status == UNAVAILABLE
        slow.go.release(1000)
        closing.join(20)
        assert [done(future) for future in accepted] == [[2 * number] for number in range(50)]


@given(st.lists(st.lists(st.integers(0, 9), max_size=30), max_size=12), st.integers(1, 5000))
def test_every_request_gets_its_own_results_in_order(requests: list[list[int]], cost: int) -> None:
    engine = Engine(lambda items: [2 * item for item in items], lambda _: cost, Limits(10**9))
    futures = [engine.submit(request) for request in requests]
    assert [done(future) for future in futures] == [[2 * item for item in r] for r in requests]
    assert engine.waiting == 0
    engine.close()


def test_a_small_and_slow_first_turn_does_not_refuse_what_follows() -> None:
    """As of a cold model: a hundred tokens in half a second are no measure of thousands."""
    with held(Limits(seconds=5.0)) as (engine, slow):
        time.sleep(0.5)
        slow.go.release()
        small = engine.submit([1])
        assert slow.started.acquire(timeout=20)
        large = engine.submit(list(range(30)))
        slow.go.release(100)
        assert done(small) == [2]
        assert done(large) == [2 * item for item in range(30)]


class Ring:
    """What a full collection alone lets go of."""

    def __init__(self) -> None:
        self.own = self


def test_an_open_model_holds_no_collection_up_and_a_closed_one_is_let_go_of() -> None:
    made: list[Any] = [Ring()]
    ring = weakref.ref(made[0])
    model = ServedModel("ring=somewhere", Limits(), encoder=lambda _: made.pop())
    model.encoder()
    assert not any(each is ring() for each in gc.get_objects())
    model.close()
    gc.collect()
    assert ring() is None
