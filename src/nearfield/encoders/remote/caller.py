"""Asking a vendor: within its rates, again after what passes, several requests at a time."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, TypeVar

from nearfield.encoders.vendors.vendor import Reply, Unanswered, Vendor, message
from nearfield.errors import InputError, VendorError

log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")
ATTEMPTS = 7  # of one request; the six waits between them add up to 16 to 32 s
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds
PATIENCE = 600.0  # seconds that a vendor may ask to wait
AT_ONCE = 4  # requests under way
# 520, 522 and 524 are Cloudflare's for a server behind it that fails or does not answer in time,
# 529 means overloaded
PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
REFUSED = frozenset({400, 413, 422})  # it is what was asked, and half of it may be taken
_NO_MONEY = "insufficient_quota"  # OpenAI's 429 that no waiting helps


class Refused(Exception):
    """A request that is refused for what it holds; the message is the vendor's."""


class Caller:
    """Asks one vendor; safe to use from several threads."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        limits = vendor.limits
        self.requests = _rate("NEARFIELD_RPM", limits.requests_per_minute)
        self.tokens = _rate("NEARFIELD_TPM", limits.tokens_per_minute)
        self._free = 0.0  # when the next request may go, of the monotonic clock
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @property
    def name(self) -> str:
        """What errors call the vendor."""
        usual = self.vendor.address == self.vendor.url
        if usual:
            return self.vendor.title
        return f"{self.vendor.title} at {self.vendor.address}"

    def ask(self, path: str, body: dict[str, Any], tokens: int, lost: Callable[[], None]) -> Reply:
        """The answer, with status 200; `lost` is called where a request was sent that none came
        to.

        Raises Refused for what is in the request, VendorError for all else that does not pass.
        """
        for attempt in range(1, ATTEMPTS + 1):
            self._take_turn(tokens)
            reply: Reply | None = None
            try:
                reply = self.vendor.send(path, body)
            except Unanswered as error:
                lost()
                said = f"no answer ({error})"
            else:
                if reply.status == 200:
                    return reply
                said = f"HTTP {reply.status}: {message(reply.body)}"
            said = self.vendor.without_key(said)
            if reply is not None and reply.status in REFUSED:
                raise Refused(self.vendor.without_key(message(reply.body)))
            hopeless = False
            if reply is not None:
                hopeless = reply.status not in PASSING or _NO_MONEY in said
            if hopeless or attempt == ATTEMPTS:
                request = f", request {reply.request}" if reply and reply.request else ""
                tried = f" (tried {attempt} times)" if attempt > 1 else ""
                raise VendorError(f"{self.name}{request}: {said}{tried}{self._hint(reply)}")
            self._wait(attempt, reply, said)
        raise AssertionError("the last attempt returns or raises")

    def _hint(self, reply: Reply | None) -> str:
        if reply is None or reply.status not in (401, 403):
            return ""
        return f"; the key is the one in {' or '.join(self.vendor.key_variables)}"

    def _take_turn(self, tokens: int) -> None:
        """Wait until the rates let a request of so many tokens go."""
        with self._lock:
            # a turn is taken under the lock and waited for outside of it, so that turns are given
            # in order
            start = max(time.monotonic(), self._free)
            # the rate that is used up first says when the next one may go
            self._free = start + 60 * max(1 / self.requests, tokens / self.tokens)
        self._sleep(start - time.monotonic())

    def _wait(self, attempt: int, reply: Reply | None, said: str) -> None:
        """Wait before the next attempt; where the vendor says how long, all requests do."""
        asked = None if reply is None else retry_after(reply.headers.get("retry-after"))
        # half of the wait is left to chance, so that those that failed together do not return so
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        pause = random.uniform(longest / 2, longest)
        if asked is not None:
            if asked > PATIENCE:
                raise VendorError(f"{self.name}: {said}; it asks to wait {asked:,.0f} s")
            pause = asked + random.uniform(0, FIRST_WAIT)
            with self._lock:
                self._free = max(self._free, time.monotonic() + asked)
        log.info("%s: %s; again in %.1f s", self.name, said, pause)
        self._sleep(pause)

    def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._stop.wait(seconds)
        if self._stop.is_set():
            raise VendorError(f"{self.name}: stopped")

    def all(self, work: Callable[[T], R], parts: Iterable[T], keep: Callable[[R], None]) -> None:
        """Have `keep` take what `work` gives of each part, as it comes from a few threads.

        After an error no further part is begun. What is under way is waited for and kept, as it may
        be paid for, and then the error is raised.
        """
        todo = iter(parts)
        failed = None
        under_way: set[Future[R]] = set()
        # an earlier call may have been stopped
        self._stop.clear()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask") as pool:
            try:
                while True:
                    if failed is None:
                        some = islice(todo, AT_ONCE - len(under_way))
                        under_way |= {pool.submit(work, part) for part in some}
                    if not under_way:
                        break
                    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    for each in done:
                        under_way.discard(each)
                        failed = failed or each.exception()
                        if each.exception() is None:
                            keep(each.result())
            except BaseException:
                self._stop.set()  # whoever waits to try again gives up
                for each in wait(under_way).done:
                    with suppress(BaseException):  # the first is raised
                        keep(each.result())
                raise
        if failed is not None:
            raise failed


def retry_after(stated: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, which may state a date; None for none."""
    if not stated:
        return None
    try:
        seconds = float(stated)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(stated).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if seconds < float("inf") else None


def _rate(variable: str, usual: float | None) -> float:
    """The rate per minute that the environment states, else the vendor's usual one."""
    stated = os.environ.get(variable)
    if not stated:
        return usual or float("inf")
    try:
        rate = float(stated)
    except ValueError:
        rate = -1.0
    if not rate > 0:  # NaN is not, either
        raise InputError(f"{variable} is {stated!r}; wanted a number per minute")
    return rate
