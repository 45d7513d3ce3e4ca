"""What somebody needs of a model, and which models meet it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nearfield.catalog.card import IMAGE_TEXT, KINDS, Card, cards
from nearfield.errors import InputError, nearest
from nearfield.types.licence import allows_commercial_use
from nearfield.types.numbers import count, size

COMMERCIAL = "commercial"
_BYTES = 4  # per weight in float32


@dataclass(frozen=True)
class Needs:
    """Each need is None or empty where any model will do.

    `languages` are ISO 639 codes, and "code" for program text. `licence` is "commercial" or a
    licence by its name. `memory` is what the weights may take, in bytes; `length` the tokens of a
    long text; `budget` dollars, for `tokens` tokens; `price` dollars per million tokens. `dim` is
    the vectors' whole dim or a Matryoshka one. `local` says whether it runs here or behind an API.
    Raises InputError for a kind that is unknown, and a language or licence that no model of the
    catalog has.
    """

    languages: tuple[str, ...] = ()
    licence: str | None = None
    memory: int | None = None
    length: int | None = None
    budget: float | None = None
    tokens: int | None = None
    kinds: tuple[str, ...] = ()
    local: bool | None = None
    price: float | None = None
    parameters: int | None = None
    dim: int | None = None

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise InputError(
                    f"there is no kind {kind!r}; wanted some of {', '.join(KINDS)}."
                    f"{nearest(kind, KINDS)}"
                )
        for language in self.languages:
            if language not in _spoken():
                raise InputError(
                    f"no model of the catalog lists a language {language!r}; wanted an ISO 639 "
                    "code of two letters such as en or de (three where there are none of two), or "
                    f"code for program text.{nearest(language.lower(), _spoken())}"
                )
        if self.licence is not None and self.licence.lower() not in _licences():
            raise InputError(
                f"no model of the catalog has a licence {self.licence!r}; wanted one of "
                f"{', '.join(_licences())}.{nearest(self.licence.lower(), _licences())}"
            )


@dataclass(frozen=True)
class Answer:
    """Whether a model meets a need, None where that is not known, and why in words."""

    met: bool | None
    why: str = ""


@dataclass(frozen=True)
class Fit:
    """How a model meets each need that was stated."""

    answers: dict[str, Answer]

    @property
    def against(self) -> dict[str, str]:
        """What the model fails, by the name of the need."""
        return {name: each.why for name, each in self.answers.items() if each.met is False}

    @property
    def certain(self) -> bool:
        """Whether it is known to meet every need."""
        return all(each.met for each in self.answers.values())

    @property
    def for_it(self) -> tuple[str, ...]:
        """What speaks for the model."""
        return tuple(each.why for each in self.answers.values() if each.met and each.why)

    @property
    def but(self) -> tuple[str, ...]:
        """What is not known of it."""
        return tuple(each.why for each in self.answers.values() if each.met is None)


def fit(card: Card, needs: Needs) -> Fit:
    """How `card` meets `needs`, each need on its own."""
    asked = vars(needs)
    if needs.budget is not None or needs.tokens is not None:  # what so many dollars buy, or cost
        asked = asked | {"budget": (needs.budget, needs.tokens)}
    answers = {}
    for name, check in _CHECKS.items():
        if asked[name] not in (None, ()):
            answers[name] = check(card, asked[name])
    return Fit(answers)


def weights_bytes(card: Card) -> int | None:
    """Bytes of the weights in float32, activations not counted; None for a model behind an API or
    of unknown size.
    """
    if card.parameters is None:
        return None
    return card.parameters * _BYTES


def price(card: Card, tokens: int) -> float | None:
    """Dollars for `tokens` tokens at the API's price; None for a local model, whose price is the
    machine's time.
    """
    each = card.contract.terms.price_per_million_tokens
    return None if each is None else each * tokens / 1e6


def dollars(amount: float) -> str:
    """An amount of US dollars: $5.00, $0.012."""
    if amount >= 0.1 or amount == 0:
        return f"${amount:,.2f}"
    return f"${amount:.2g}"


def _kinds(card: Card, kinds: tuple[str, ...]) -> Answer:
    images = card.takes_images and IMAGE_TEXT in kinds
    if images or card.kind in kinds:
        return Answer(True)
    return Answer(False, f"its embeddings are of the kind {card.kind}")


def _local(card: Card, local: bool) -> Answer:
    if card.local == local:
        return Answer(True)
    return Answer(False, "runs locally" if card.local else f"runs behind {_provider(card)}'s API")


def _languages(card: Card, wanted: tuple[str, ...]) -> Answer:
    spoken = card.contract.terms.languages
    lacking = ", ".join(language for language in wanted if language not in spoken)
    if not lacking:
        return Answer(True, f"knows {', '.join(wanted)}")
    if not spoken:
        return Answer(None, "its makers do not say which languages it knows")
    if "*" in spoken:
        return Answer(
            None, f"its makers claim more languages than they list; {lacking} is not listed"
        )
    return Answer(False, f"does not know {lacking}")


def _licence(card: Card, wanted: str) -> Answer:
    if not card.local:
        return Answer(None, f"{_provider(card)}'s terms of service apply")
    licence = card.contract.terms.licence
    known = licence or "not known"
    if wanted.lower() != COMMERCIAL:
        if known.lower() == wanted.lower():
            return Answer(True, known)
        return Answer(False, f"its licence is {known}")
    allowed = allows_commercial_use(licence)
    if allowed:
        return Answer(True, f"{licence} allows commercial use")
    if allowed is False:
        return Answer(False, f"{licence} forbids commercial use")
    return Answer(False, f"its licence is {known}")


def _memory(card: Card, most: int) -> Answer:
    if not card.local:
        return Answer(True, "takes no memory of yours")
    taken = weights_bytes(card)
    if taken is None:
        return Answer(None, "its size is not known")
    return Answer(taken <= most, f"weights take {size(taken)} in float32")


def _length(card: Card, least: int) -> Answer:
    reads = card.contract.max_tokens
    return Answer(reads >= least, f"reads {count(reads)} tokens")


def _budget(card: Card, asked: tuple[float | None, int | None]) -> Answer:
    budget, tokens = asked
    if card.local:
        return Answer(True, "no per-token cost")
    each = card.contract.terms.price_per_million_tokens
    if each is None:
        return Answer(None, "its price is not known")
    if tokens is None:
        assert budget is not None, "one of the two is there"
        bought = count(budget / each * 1e6)
        return Answer(True, f"{dollars(budget)} buy {bought} tokens")
    cost = each * tokens / 1e6
    within = budget is None or cost <= budget
    return Answer(within, f"{count(tokens)} tokens cost {dollars(cost)}")


def _price(card: Card, most: float) -> Answer:
    each = 0.0 if card.local else card.contract.terms.price_per_million_tokens
    if each is None:
        return Answer(None, "its price is not known")
    return Answer(each <= most, f"costs {dollars(each)} per million tokens")


def _parameters(card: Card, most: int) -> Answer:
    if card.parameters is None:
        return Answer(None, "its size is not known")
    return Answer(card.parameters <= most, f"has {count(card.parameters)} parameters")


def _dim(card: Card, dim: int) -> Answer:
    dims = (card.contract.dim, *card.contract.matryoshka_dims)
    return Answer(dim in dims, f"has dims {', '.join(map(count, dims))}")


_CHECKS: dict[str, Callable[[Card, Any], Answer]] = {
    "kinds": _kinds,
    "local": _local,
    "languages": _languages,
    "licence": _licence,
    "memory": _memory,
    "length": _length,
    "budget": _budget,
    "price": _price,
    "parameters": _parameters,
    "dim": _dim,
}


def _provider(card: Card) -> str:
    assert card.api is not None, "only a model behind an API has a provider"
    return card.api.provider


@functools.cache
def _spoken() -> tuple[str, ...]:
    """The languages that models of the catalog list."""
    spoken: set[str] = set()
    for each in cards().values():
        spoken.update(each.contract.terms.languages)
    return tuple(sorted(spoken - {"*"}))


@functools.cache
def _licences() -> tuple[str, ...]:
    """Those that can be asked for, in lower case."""
    stated = {(each.contract.terms.licence or "").lower() for each in cards().values()}
    return (COMMERCIAL, *sorted(stated - {""}))
