"""One model of a vendor: what is asked for, checked and accounted for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.answer import Check, Got, read_values, shared
from nearfield.encoders.remote.budget import BUDGET
from nearfield.encoders.remote.caller import Caller, Refused
from nearfield.encoders.remote.counting import Counter, counter_of
from nearfield.encoders.remote.ledger import ANSWERED, LOST, WRONG, Entry, note
from nearfield.encoders.vendors.vendor import Limits, Reply
from nearfield.errors import ModelError, VendorError, first_line
from nearfield.types.forecast import Forecast

HOPELESS = 4  # items that are refused alone, and nothing else was taken: it is the request
MARGIN = 1.5  # by which estimated tokens may be too few for the vendor's limit
# what reading an answer raises whose shape is not the one that the vendor documents
_OTHER_SHAPE = (AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Rates:
    """US dollars: `per_million` tokens, those that a model writes at `per_million_written`, and
    `per_thousand` requests; None where not known.
    """

    per_million: float | None = None
    per_thousand: float | None = None
    per_million_written: float | None = None

    def of(self, tokens: int, requests: int, written: int = 0) -> float | None:
        """The price of so many tokens, of which the model wrote so many, and requests; None where
        none is known.
        """
        if self.per_million is None and self.per_thousand is None:
            return None
        paid = (tokens - written) * (self.per_million or 0.0) / 1e6
        paid += written * (self.per_million_written or 0.0) / 1e6
        return paid + requests * (self.per_thousand or 0.0) / 1e3


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `tokens` are expected of each item; `request` makes the path and the body
    that ask for some of them, by their places, and `read` what an answer says of each by its place
    in the request.

    `check` looks at what it says. `in_order`: an answer has no numbers for its items, so that one
    of another length is useless. `named` are what errors call the items, `sizes` their bytes where
    those are limited, `lost` their tokens that were cut, `prompt` those of the prompt of each,
    `written` those that a model may write for each.
    """

    work: str
    tokens: Sequence[int]
    request: Callable[[Sequence[int]], tuple[str, dict[str, Any]]]
    read: Callable[[Any], Mapping[int, Any]]
    check: Check
    in_order: bool = False
    named: Sequence[int] = ()
    sizes: Sequence[int] = ()
    lost: Sequence[int] = ()
    prompt: int = 0
    written: int = 0

    def item(self, place: int) -> str:
        """What errors call an item."""
        return f"item {self.named[place] if self.named else place}"

    def beside(self, place: int) -> tuple[int, int]:
        """The tokens of an item that were cut, and those of its prompt."""
        return self.lost[place] if self.lost else 0, self.prompt


class Client:
    """A model at an address. It spends from the budget in whose context it was made. `estimates`:
    the tokens that it is told of are no text's, and nothing counts them as the vendor does.
    """

    def __init__(
        self, address: Address, *, price: Rates, limits: Limits, estimates: bool = False
    ) -> None:
        self.address = address
        self.price = price
        self.limits = limits
        self.vendor = address.open()
        self.caller = Caller(self.vendor)
        # taken here: the threads that ask do not have the context in which the model was opened
        self.budget = BUDGET.get()
        self.estimates = estimates

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
        vendor = self.vendor
        model = self.address.model
        return counter_of(encoding=vendor.encoding, tokenizer=vendor.tokenizer.format(model=model))

    @property
    def counted_by(self) -> str:
        """What counts the tokens, "" where they are estimated."""
        return "" if self.estimates else self.counter.by

    def forecast(self, tokens: Sequence[int], requests: int, written: int = 0) -> Forecast:
        """What asking for items of so many tokens would cost, for each of which at most `written`
        more come.
        """
        more = written * len(tokens)
        total = int(sum(tokens)) + more
        price = self.price.of(total, requests, more)
        return Forecast(self.name, len(tokens), total, price, self.counted_by)

    def parts(self, tokens: Sequence[int], sizes: Sequence[int] = ()) -> Iterator[list[int]]:
        """The places of items with so many tokens, and bytes where those count, cut into requests
        that keep the limits.
        """
        most = self.limits.tokens or float("inf")
        if not self.counted_by:  # the vendor may count more than is estimated
            most /= MARGIN
        largest = self.limits.size or float("inf")
        part: list[int] = []
        held = heavy = 0
        for place, count in enumerate(tokens):
            size = sizes[place] if sizes else 0
            full = len(part) == self.limits.items
            if part and (full or held + count > most or heavy + size > largest):
                yield part
                part = []
                held = heavy = 0
            part.append(place)
            held += count
            heavy += size
        if part:
            yield part

    def fetch(
        self, wanted: Wanted, parts: Sequence[Sequence[int]], keep: Callable[[Got], None]
    ) -> None:
        """Ask for all parts, and have `keep` take each answer as it comes.

        Raises BudgetError before anything is asked; VendorError where an answer could not be had,
        or was wrong; ModelError where items were refused. Whatever was answered is kept by then.
        """
        bad = self.gather(wanted, parts, keep)
        for kind, faults in ((VendorError, bad.wrong), (ModelError, bad.refused)):
            if faults:
                place = min(faults)
                more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
                said = f"{wanted.item(place)} {faults[place]}{more}"
                raise kind(f"{self.caller.name}: {said}")

    def gather(
        self, wanted: Wanted, parts: Sequence[Sequence[int]], keep: Callable[[Got], None]
    ) -> Got:
        """As `fetch`, but items that were refused, or of which the answer was wrong, are given
        back.
        """
        self.budget.afford([self.forecast(wanted.tokens, len(parts), wanted.written)])
        state = _State()

        def received(got: Got) -> None:
            if got.places:
                keep(got)
            state.bad += Got(refused=got.refused, wrong=got.wrong)

        self.caller.all(lambda part: self._answer(wanted, part, state), parts, received)
        return state.bad

    def _answer(self, wanted: Wanted, part: Sequence[int], state: _State) -> Got:
        """What the vendor says of the items of a part, which is halved where it is refused."""
        # what answering may take, by which the bill is shared out and the rates are kept
        counted = [wanted.tokens[place] + wanted.written for place in part]
        started = time.monotonic()

        def account(tokens: int, outcome: str, reply: Reply | None, *, guessed: bool) -> None:
            written = wanted.written * len(part) if guessed else self._written(reply)
            price = self.price.of(tokens, outcome != LOST, min(written, tokens))
            self.budget.pay(price)
            which = (self.address.vendor, self.address.model, wanted.work, len(part))
            seconds = round(time.monotonic() - started, 3)
            request = reply.request if reply is not None else ""
            note(Entry(*which, tokens, price, seconds, request, outcome, guessed))

        def lost() -> None:
            account(0, LOST, None, guessed=True)
            # it may have been billed, which nobody will say: it counts against the limit, and has
            # to be affordable once more before it is asked again
            again = self.forecast([wanted.tokens[at] for at in part], 1, wanted.written)
            self.budget.pay(again.price)
            self.budget.afford([again])

        try:
            # `lost` is called within, once for each attempt without an answer
            reply = self.caller.ask(*wanted.request(part), sum(counted), lost)
        except Refused as error:
            return self._halved(wanted, part, state, str(error))
        # what is refused from here on is refused for itself, and not because nothing is taken at
        # all
        state.taken = True
        billed = self._billed(reply)
        total = sum(counted) if billed is None else billed
        got = self._checked(wanted, part, reply)
        account(total, WRONG if got.wrong else ANSWERED, reply, guessed=billed is None)
        shares = dict(zip(part, shared(total, counted), strict=True))
        got.tokens = [shares[place] for place in got.places]
        return got

    def _halved(self, wanted: Wanted, part: Sequence[int], state: _State, said: str) -> Got:
        """What the vendor says of each half of a part that it refused as a whole: one bad item must
        not cost the answers for the others.
        """
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

    def _written(self, reply: Reply | None) -> int:
        if reply is None:
            return 0
        return self.vendor.tokens_written(reply.body)

    def _checked(self, wanted: Wanted, part: Sequence[int], reply: Reply) -> Got:
        """The items that an answer holds, each of which must be what was wanted."""
        try:
            found = wanted.read(reply.body)
            fits = set(found) <= set(range(len(part)))
            if wanted.in_order and len(found) != len(part):
                fits = False  # one that is missing would shift all behind it
            if not fits:
                raise ValueError(f"{len(found)} answers for {len(part)} items")
        except _OTHER_SHAPE as error:
            said = f"is in an answer of another shape: {first_line(error)}"
            got = Got(wrong=dict.fromkeys(part, said))
        else:
            got = read_values(found, part, wanted.check)
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
