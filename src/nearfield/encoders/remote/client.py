"""One model of a vendor: what is asked for, checked and accounted for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.answer import Got, read_vectors, shared
from nearfield.encoders.remote.budget import BUDGET
from nearfield.encoders.remote.caller import Caller, Refused
from nearfield.encoders.remote.counting import Counter, counter_of
from nearfield.encoders.remote.ledger import ANSWERED, LOST, WRONG, Entry, note
from nearfield.encoders.vendors.vendor import Limits, Reply
from nearfield.errors import ModelError, VendorError, first_line
from nearfield.types.forecast import Forecast

HOPELESS = 4  # items that are refused alone, and nothing else was taken: it is the request
MARGIN = 1.5  # by which estimated tokens may be too few for the vendor's limit
_OTHER_SHAPE = (AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Rates:
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
    """What is asked for. `tokens` are expected of each item; `request` makes the path and the body
    that ask for some of them, by their places, and `read` what an answer says of each by its place
    in the request.

    Each is `width` numbers (None: any number of them), of unit length where `unit`. `in_order`: an
    answer has no numbers for its items, so that one of another length is useless. `named` are what
    errors call the items, `lost` their tokens that were cut, `prompt` those of the prompt of each.
    """

    work: str
    tokens: Sequence[int]
    request: Callable[[Sequence[int]], tuple[str, dict[str, Any]]]
    read: Callable[[Any], Mapping[int, Any]]
    width: int | None
    unit: bool = False
    in_order: bool = False
    named: Sequence[int] = ()
    lost: Sequence[int] = ()
    prompt: int = 0

    def item(self, place: int) -> str:
        """What errors call an item."""
        return f"item {self.named[place] if self.named else place}"

    def beside(self, place: int) -> tuple[int, int]:
        """The tokens of an item that were cut, and those of its prompt."""
        return self.lost[place] if self.lost else 0, self.prompt


class Client:
    """A model at an address. It spends from the budget in whose context it was made."""

    def __init__(self, address: Address, *, price: Rates, limits: Limits) -> None:
        self.address, self.price, self.limits = address, price, limits
        self.vendor = address.open()
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
        self.budget.afford([self.forecast(wanted.tokens, len(parts))])
        state = _State()

        def received(got: Got) -> None:
            if got.places:
                keep(got)
            state.bad += Got(refused=got.refused, wrong=got.wrong)

        self.caller.all(lambda part: self._answer(wanted, part, state), parts, received)
        for kind, faults in ((VendorError, state.bad.wrong), (ModelError, state.bad.refused)):
            if faults:
                place = min(faults)
                more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
                said = f"{wanted.item(place)} {faults[place]}{more}"
                raise kind(f"{self.caller.name}: {said}")

    def _answer(self, wanted: Wanted, part: Sequence[int], state: _State) -> Got:
        """What the vendor says of the items of a part, which is halved where it is refused."""
        counted = [wanted.tokens[place] for place in part]
        path, body = wanted.request(part)
        started = time.monotonic()

        def account(tokens: int, outcome: str, reply: Reply | None, *, guessed: bool) -> None:
            price = self.price.of(tokens, outcome != LOST)
            self.budget.pay(price)
            which = (self.address.vendor, self.address.model, wanted.work, len(part))
            seconds = round(time.monotonic() - started, 3)
            request = reply.request if reply is not None else ""
            note(Entry(*which, tokens, price, seconds, request, outcome, guessed))

        def lost() -> None:
            account(0, LOST, None, guessed=True)

        try:
            reply = self.caller.ask(path, body, sum(counted), lost)
        except Refused as error:
            return self._halved(wanted, part, state, str(error))
        state.taken = True
        billed = self._billed(reply)
        total = sum(counted) if billed is None else billed
        got = self._checked(wanted, part, reply)
        account(total, WRONG if got.wrong else ANSWERED, reply, guessed=billed is None)
        shares = dict(zip(part, shared(total, counted), strict=True))
        got.tokens = [shares[place] for place in got.places]
        return got

    def _halved(self, wanted: Wanted, part: Sequence[int], state: _State, said: str) -> Got:
        """What the vendor says of each half of a part that it refused as a whole."""
        if len(part) > 1:
            half = len(part) // 2
            first = self._answer(wanted, part[:half], state)
            return first + self._answer(wanted, part[half:], state)
        state.refused += 1
        if state.refused >= HOPELESS and not state.taken:
            raise VendorError(f"{self.caller.name} refuses each item: {said}")
        return Got(refused={part[0]: f"is refused: {said}"})

    def _billed(self, reply: Reply) -> int | None:
        try:
            return self.vendor.tokens(reply.body)
        except _OTHER_SHAPE:
            return None

    def _checked(self, wanted: Wanted, part: Sequence[int], reply: Reply) -> Got:
        """The items that an answer holds, each of which must be what was wanted."""
        try:
            found = wanted.read(reply.body)
            stray = set(found) - set(range(len(part)))
            if stray or (wanted.in_order and len(found) != len(part)):
                raise ValueError(f"{len(found)} answers for {len(part)} items")
        except _OTHER_SHAPE as error:
            said = f"is in an answer of another shape: {first_line(error)}"
            got = Got(wrong=dict.fromkeys(part, said))
        else:
            got = read_vectors(found, part, wanted.width, unit=wanted.unit)
        if reply.request:
            of = f" (request {reply.request})"
            got.wrong = {place: said + of for place, said in got.wrong.items()}
        return got


@dataclass
class _State:
    """Of one fetch, over its threads: whether an answer came at all, items refused alone, and what
    could not be used.
    """

    taken: bool = False
    refused: int = 0
    bad: Got = field(default_factory=Got)
