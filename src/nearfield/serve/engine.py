"""Many requests through one model: a bounded queue, and batches that mix requests."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nearfield.serve.limits import Limits
from nearfield.serve.refusal import BUSY, LATE, UNAVAILABLE, Refusal

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH_TOKENS = 4096  # of one turn: two cores run them in a fifth of a second with a small model
PIECE_TOKENS = 512  # of one request before it is the next one's turn
_FORGETS = 0.7  # how much of the measured speed is that of the turns before the last


@dataclass(eq=False)  # two requests of the same texts are two
class Work(Generic[Item, Result]):
    """A request: its items, what is known of their results, and which still wait for their turn."""

    items: Sequence[Item]
    costs: Sequence[int]
    deadline: float
    future: Future[list[Result]] = field(default_factory=Future)
    results: dict[int, Result] = field(default_factory=dict)
    waiting: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.waiting.extend(range(len(self.items)))

    def take(self, tokens: int) -> list[int]:
        """The next items of at most so many tokens; one at least."""
        # one that costs more than `tokens` would wait for ever otherwise
        taken = [self.waiting.popleft()]
        tokens -= self.costs[taken[0]]
        while self.waiting and self.costs[self.waiting[0]] <= tokens:
            taken.append(self.waiting.popleft())
            tokens -= self.costs[taken[-1]]
        return taken

    def fail(self, error: Exception) -> None:
        """End the request with `error`, unless it has ended."""
        self.waiting.clear()
        with contextlib.suppress(InvalidStateError):  # cancelled
            self.future.set_exception(error)

    def put(self, results: dict[int, Result]) -> None:
        """Note results, and end the request with the last of them."""
        self.results.update(results)
        if len(self.results) == len(self.items):
            with contextlib.suppress(InvalidStateError):
                self.future.set_result([self.results[at] for at in range(len(self.items))])


class Engine(Generic[Item, Result]):
    """One thread that takes the items of all waiting requests in turns to `run`.

    `run` gives the result of each item, in order. A turn takes some items of each request, so that
    a small one need not wait for the whole of a large one before it. `cost` estimates an item's
    tokens.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result]],
        cost: Callable[[Item], int],
        limits: Limits,
    ) -> None:
        self._run = run
        self._cost = cost
        self._limits = limits
        self._works: deque[Work[Item, Result]] = deque()
        # its lock is reentrant: `_taken` ends late requests while it is held, and the callback that
        # runs then takes it again
        self._changed = threading.Condition()
        self._closing = False
        self._running = 0  # tokens of the turn that is being made
        self._speed = 0.0  # tokens per second, 0 before the first turn of PIECE_TOKENS
        # daemon, so that a process that ends without `close` does not wait for it
        self._thread = threading.Thread(target=self._turns, name="engine", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Estimated tokens that were accepted and are not yet answered."""
        with self._changed:
            return self._waiting()

    def submit(self, items: Sequence[Item]) -> Future[list[Result]]:
        """The results of the items, in order, when they are there; cancelling the future gives up
        those that still wait.

        Raises Refusal, at once, where more waits than can be answered in time, and while closing.
        """
        costs = [self._cost(item) for item in items]
        work = Work[Item, Result](items, costs, time.monotonic() + self._limits.seconds)
        if not items:
            work.put({})
            return work.future
        with self._changed:
            if self._closing:
                raise Refusal(UNAVAILABLE, "the server is shutting down", retry_after=1)
            self._refuse_too_much(sum(costs))
            self._works.append(work)
            self._changed.notify()

        def given_up(future: Future[list[Result]]) -> None:
            with self._changed:  # nobody waits behind it any more, and it counts as nobody's
                if future.cancelled():
                    work.waiting.clear()

        work.future.add_done_callback(given_up)
        return work.future

    def close(self) -> None:
        """Answer what was accepted, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _waiting(self) -> int:
        """As `waiting`, for one who holds the lock."""
        return self._running + sum(work.costs[at] for work in self._works for at in work.waiting)

    def _refuse_too_much(self, cost: int) -> None:
        """Raise Refusal where `cost` tokens more are too many. Where nothing waits, any request is
        taken, however large: it could not be answered sooner.
        """
        before = self._waiting()
        seconds = (before + cost) / self._speed if self._speed else 0.0
        full = before + cost > self._limits.queue_tokens
        if before and (full or seconds > self._limits.seconds):
            message = f"too many requests: about {before:,} tokens wait; try again later"
            raise Refusal(BUSY, message, retry_after=max(1, math.ceil(seconds)))

    def _turns(self) -> None:
        while True:
            with self._changed:
                taken = self._taken()
                while not taken:
                    if self._closing:
                        return
                    self._changed.wait()
                    taken = self._taken()
                self._running = sum(work.costs[at] for work, at in taken)
            started = time.perf_counter()
            # without the lock, so that requests come and leave during the turn
            self._make(taken)
            with self._changed:
                # a small turn, such as the first one of a cold model, says nothing of many texts
                if self._running >= PIECE_TOKENS:
                    speed = self._running / max(1e-6, time.perf_counter() - started)
                    before = self._speed or speed
                    self._speed = _FORGETS * before + (1 - _FORGETS) * speed
                self._running = 0

    def _taken(self) -> list[tuple[Work[Item, Result], int]]:
        """The items of the next turn. Requests that are late are dropped."""
        now = time.monotonic()
        for work in self._works:
            if work.deadline < now:
                message = f"not answered within {self._limits.seconds:g} seconds"
                work.fail(Refusal(LATE, message))
        taken: list[tuple[Work[Item, Result], int]] = []
        left = BATCH_TOKENS
        # round and round, a piece of each request at a time, until the turn is full
        # what is late or was cancelled drops out here: nothing of it waits
        round_ = deque(work for work in self._works if work.waiting)
        while round_ and left > 0:
            work = round_.popleft()
            piece = work.take(min(left, PIECE_TOKENS))
            taken += [(work, at) for at in piece]
            left -= sum(work.costs[at] for at in piece)
            if work.waiting:
                round_.append(work)
        self._works = round_  # whose first is whose turn it would have been
        return taken

    def _make(self, taken: list[tuple[Work[Item, Result], int]]) -> None:
        """Run the items, and give each request its results. Where a batch fails, each request is
        run alone, so that none fails for another's text.
        """
        places: dict[Work[Item, Result], list[int]] = {}
        for work, at in taken:
            places.setdefault(work, []).append(at)
        try:
            made = list(self._run([work.items[at] for work, at in taken]))
        except Exception as error:
            if len(places) == 1:
                taken[0][0].fail(error)
                return
            for work, own in places.items():
                self._make([(work, at) for at in own])
            return
        results: dict[Work[Item, Result], dict[int, Result]] = {work: {} for work in places}
        for (work, at), result in zip(taken, made, strict=True):
            results[work][at] = result
        for work, its_results in results.items():
            work.put(its_results)
