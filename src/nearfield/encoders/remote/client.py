"""One model of a vendor: asked for what is not in the cache, checked, kept and accounted for."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.budget import BUDGET
from nearfield.encoders.remote.caller import Caller, Refused
from nearfield.encoders.remote.counting import Counter, counter_of
from nearfield.encoders.remote.ledger import ANSWERED, LOST, WRONG, Entry, note
from nearfield.encoders.remote.vendor import Limits, Reply
from nearfield.errors import ModelError, VendorError, first_line
from nearfield.types.arrays import Floats, Integers
from nearfield.types.forecast import Forecast

HOPELESS = 4  # items that are refused alone, and nothing else was taken: it is the request
MARGIN = 1.5  # by which estimated tokens may be too few for the vendor's limit
UNIT = 1e-2  # how far a vector may be from the unit length that its vendor promises


@dataclass(frozen=True)
class Price:
    """US dollars: `per_million` tokens, and `per_thousand` requests; None where not known."""

    per_million: float | None = None
    per_thousand: float | None = None

    def of(self, tokens: int, requests: int) -> float | None:
        """The price of so many of both; None where neither is known."""
        if self.per_million is None and self.per_thousand is None:
            return None
        paid = tokens * (self.per_million or 0.0) / 1e6
        return paid + requests * (self.per_thousand or 0.0) / 1e3


@dataclass(frozen=True)
class Wanted:
    """What is asked for: `tokens` of each item; `request` makes the path and the body that ask for
    some of them, by their places, and `read` what an answer says of each by its place in the
    request. Each is `width` numbers (None: any number of them), of unit length where `unit`.
    """

    work: str
    tokens: Sequence[int]
    request: Callable[[Sequence[int]], tuple[str, dict[str, Any]]]
    read: Callable[[Any], Mapping[int, Any]]
    width: int | None
    unit: bool = False
    in_order: bool = False
    """Whether an answer has no numbers for its items, so that one of another length is useless."""
    places: Sequence[int] = ()
    """What errors call the items, where that is not their number."""

    def named(self, place: int) -> int:
        """What errors call an item."""
        return self.places[place] if self.places else place


@dataclass
class Got:
    """Items of an answer: `places`, the `values` and billed `tokens` of each; `refused` and `wrong`
    say what is the matter with others.
    """

    places: list[int] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    wrong: dict[int, str] = field(default_factory=dict)

    def __add__(self, other: Got) -> Got:
        return Got(
            self.places + other.places,
            self.values + other.values,
            self.tokens + other.tokens,
            {**self.refused, **other.refused},
            {**self.wrong, **other.wrong},
        )


class Client:
    """A model at an address. It spends from the budget in whose context it was made."""

    def __init__(self, address: Address, *, price: Price, limits: Limits | None = None) -> None:
        self.address, self.price = address, price
        self.vendor = address.open()
        self.limits = limits or self.vendor.limits
        self.caller = Caller(self.vendor)
        self.budget = BUDGET.get()

    @property
    def name(self) -> str:
        """The vendor's name and its name of the model."""
        return f"{self.address.vendor}:{self.address.model}".rstrip(":")

    @property
    def identity(self) -> dict[str, str]:
        """What its answers depend on, as far as anybody can tell: the vendor may change a model."""
        return {"files": self.address.files, "runtime": "api", "precision": "float32"}

    @cached_property
    def counter(self) -> Counter:
        """What counts tokens before they are billed."""
        vendor, model = self.vendor, self.address.model
        return counter_of(encoding=vendor.encoding, tokenizer=vendor.tokenizer.format(model=model))

    def forecast(self, tokens: Sequence[int], requests: int) -> Forecast:
        """What asking for items of so many tokens would cost."""
        total = int(sum(tokens))
        price = self.price.of(total, requests)
        return Forecast(self.name, len(tokens), total, price, self.counter.by)

    def parts(self, tokens: Sequence[int]) -> Iterator[list[int]]:
        """The places of items with so many tokens, cut into requests that keep the limits."""
        most = self.limits.tokens or float("inf")
        if not self.counter.by:
            most /= MARGIN
        part: list[int] = []
        held = 0
        for place, count in enumerate(tokens):
            if part and (len(part) == self.limits.items or held + count > most):
                yield part
                part, held = [], 0
            part.append(place)
            held += count
        if part:
            yield part

    def fetch(
        self, wanted: Wanted, parts: Sequence[Sequence[int]], keep: Callable[[Got], None]
    ) -> None:
        """Ask for all parts, and have `keep` take each answer as it comes.

        Raises BudgetError before anything is asked; VendorError where an answer could not be had,
        or was wrong; ModelError where items were refused. Whatever was answered is kept by then.
        """
        forecast = self.forecast(wanted.tokens, len(parts))
        self.budget.afford([forecast])
        state = _State()

        def received(got: Got) -> None:
            if got.places:
                keep(got)
            state.bad = state.bad + Got(refused=got.refused, wrong=got.wrong)

        self.caller.all(lambda part: self._answer(wanted, part, state), parts, received)
        for kind, faults in ((VendorError, state.bad.wrong), (ModelError, state.bad.refused)):
            if faults:
                first = faults[min(faults)]
                more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
                raise kind(f"{self.caller.name}, {first}{more}")

    def _answer(self, wanted: Wanted, part: Sequence[int], state: _State) -> Got:
        """What the vendor says of the items of a part, which is halved where it is refused."""
        counted = [wanted.tokens[place] for place in part]
        started = time.monotonic()

        def account(tokens: int, outcome: str, request: str = "", *, guessed: bool = True) -> None:
            price = self.price.of(tokens, outcome != LOST)
            self.budget.pay(price)
            seconds = round(time.monotonic() - started, 3)
            which = (self.address.vendor, self.address.model, wanted.work, len(part))
            note(Entry(*which, tokens, price, seconds, request, outcome, guessed))

        path, body = wanted.request(part)
        try:
            reply = self.caller.ask(path, body, sum(counted), lambda: account(0, LOST))
        except Refused as error:
            if len(part) > 1:
                half = len(part) // 2
                first = self._answer(wanted, part[:half], state)
                return first + self._answer(wanted, part[half:], state)
            state.refused += 1
            if state.refused >= HOPELESS and not state.taken:
                raise VendorError(f"{self.caller.name} refuses each item: {error}") from None
            return Got(refused={part[0]: f"item {wanted.named(part[0])} is refused: {error}"})
        state.taken = True
        billed = self._billed(reply)
        total = sum(counted) if billed is None else billed
        got = self._checked(wanted, part, reply)
        account(total, WRONG if got.wrong else ANSWERED, reply.request, guessed=billed is None)
        shares = dict(zip(part, shared(total, counted), strict=True))
        got.tokens = [shares[place] for place in got.places]
        return got

    def _billed(self, reply: Reply) -> int | None:
        try:
            return self.vendor.tokens(reply.body)
        except (AttributeError, LookupError, TypeError, ValueError):
            return None

    def _checked(self, wanted: Wanted, part: Sequence[int], reply: Reply) -> Got:
        """The items that an answer holds, each of which must be what was wanted."""
        got = Got()
        where = f"request {reply.request}: " if reply.request else ""
        try:
            found = wanted.read(reply.body)
            stray = set(found) - set(range(len(part)))
            if stray or (wanted.in_order and len(found) != len(part)):
                raise ValueError(f"{len(found)} answers for {len(part)} items")
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            said = f"{where}the answer for item {wanted.named(part[0])} and on is not as wanted: "
            return Got(wrong={place: said + first_line(error) for place in part})
        for at, place in enumerate(part):
            fault = "is missing from the answer"
            if at in found:
                value, fault = read_vector(found[at], wanted.width, unit=wanted.unit)
            if fault:
                got.wrong[place] = f"{where}item {wanted.named(place)} {fault}"
            else:
                got.places.append(place)
                got.values.append(value)
        return got


@dataclass
class _State:
    """Of one fetch, over its threads: whether an answer came at all, items refused alone, and what
    could not be used.
    """

    taken: bool = False
    refused: int = 0
    bad: Got = field(default_factory=Got)


_NONE = np.empty(0, np.float32)


def read_vector(found: Any, width: int | None, *, unit: bool) -> tuple[Floats, str]:
    """A vector as JSON has it, numbers or the base64 of float32, and what is wrong with it, "" for
    nothing.
    """
    try:
        with np.errstate(over="ignore"):
            if isinstance(found, str):
                vector = np.frombuffer(base64.b64decode(found, validate=True), "<f4")
            else:
                vector = np.atleast_1d(found).astype(np.float32, casting="same_kind")
            vector = vector.astype(np.float32)
    except (TypeError, ValueError):
        return _NONE, "is no vector"
    if vector.ndim != 1 or vector.size != (vector.size or 1 if width is None else width):
        wanted = "" if width is None else f"; wanted {width}"
        return _NONE, f"has {vector.size} dimensions{wanted}"
    if not np.isfinite(vector).all():
        return _NONE, "has NaN or infinite values"
    length = float(np.linalg.norm(vector))
    if width != 1 and length == 0:
        return _NONE, "is zero"
    if unit and abs(length - 1) > UNIT:
        return _NONE, f"has length {length:.4g}; wanted 1"
    return vector, ""


def shared(total: int, weights: Sequence[int]) -> list[int]:
    """`total` shared out in proportion to the weights, in whole numbers that add up to it."""
    ends = np.cumsum(np.asarray(weights, np.float64) + 1e-9)
    rounded: Integers = np.rint(ends * (total / ends[-1])).astype(np.int64)
    shares: list[int] = np.diff(rounded, prepend=0).tolist()
    return shares
