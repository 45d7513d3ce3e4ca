"""What somebody needs of a model, and which models meet it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from nearfield.catalog.card import KINDS, Card, cards
from nearfield.errors import InputError, nearest
from nearfield.types.licence import allows_commercial_use
from nearfield.types.numbers import count, size

COMMERCIAL = "commercial"
_BYTES = 4  # a weight in float32


@dataclass(frozen=True)
class Needs:
    """Each need None, empty or "any" where it is no matter.

    `languages` are ISO 639 codes, and "code" for program text. `licence` is "commercial" or a
    licence by its name. `memory` is what the weights may take, in bytes; `length` the tokens of a
    long text; `budget` dollars, for `tokens` tokens. `place` is "local", "api" or "any". Raises
    InputError for a language or a licence that no model of the catalog has.
    """

    languages: tuple[str, ...] = ()
    licence: str | None = None
    memory: int | None = None
    length: int | None = None
    budget: float | None = None
    tokens: int | None = None
    kinds: tuple[str, ...] = ("dense",)
    place: str = "any"

    def __post_init__(self) -> None:
        for language in self.languages:
            _check_language(language)
        _check_licence(self.licence)


@dataclass(frozen=True)
class Filter:
    """Which models a list takes; None, and no languages, take all. Unlike Needs, what is not known
    of a model is against it.

    Raises InputError for a kind that there is not, and as Needs does.
    """

    kind: str | None = None
    languages: tuple[str, ...] = ()
    licence: str | None = None
    max_price: float | None = None  # dollars a million tokens
    max_parameters: int | None = None
    dim: int | None = None
    local: bool | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise InputError(
                f"there is no kind {self.kind!r}; wanted one of "
                f"{', '.join(KINDS)}.{nearest(self.kind, KINDS)}"
            )
        for language in self.languages:
            _check_language(language)
        _check_licence(self.licence)

    def takes(self, card: Card) -> bool:
        """Whether `card` passes."""
        terms, contract = card.contract.terms, card.contract
        licensed = self.licence is None or (
            card.local and _licence(card, Needs(licence=self.licence))[0][0] == "for"
        )
        each = 0.0 if card.local else terms.price_per_million_tokens
        return (
            self.kind in (None, card.kind)
            and set(self.languages) <= set(terms.languages)
            and licensed
            and (self.max_price is None or (each is not None and each <= self.max_price))
            and (
                self.max_parameters is None
                or (card.parameters is not None and card.parameters <= self.max_parameters)
            )
            and (self.dim is None or self.dim in (contract.dim, *contract.matryoshka_dims))
            and self.local in (None, card.local)
        )


def _check_language(language: str) -> None:
    if language not in _spoken():
        close = nearest(language.lower(), _spoken())
        raise InputError(
            f"no model of the catalog lists a language {language!r}; wanted an ISO 639 code of "
            "two letters such as en or de (three where "
            f"there are none of two), or code for program text.{close}"
        )


def _check_licence(licence: str | None) -> None:
    if licence is not None and licence.lower() not in _licences():
        known, close = ", ".join(_licences()), nearest(licence.lower(), _licences())
        raise InputError(
            f"no model of the catalog has a licence {licence!r}; wanted one of {known}.{close}"
        )


@functools.cache
def _spoken() -> tuple[str, ...]:
    """The languages that models of the catalog list."""
    return tuple(
        sorted(
            {language for each in cards().values() for language in each.contract.terms.languages}
            - {"*"}
        )
    )


@functools.cache
def _licences() -> tuple[str, ...]:
    """Those that can be asked for, in lower case."""
    found = {
        licence.lower()
        for each in cards().values()
        if (licence := each.contract.terms.licence) is not None
    }
    return (COMMERCIAL, *sorted(found))


@dataclass(frozen=True)
class Fit:
    """How a model meets needs: `against` maps what it fails (a field of Needs) to how; `for_it` and
    `but` are said of it in words.
    """

    against: dict[str, str]
    for_it: tuple[str, ...] = ()
    but: tuple[str, ...] = ()


def weights_bytes(card: Card) -> int | None:
    """Bytes of the weights in float32, activations not counted; None for a model behind an API or
    of unknown size.
    """
    return None if card.parameters is None else card.parameters * _BYTES


def price(card: Card, tokens: int) -> float | None:
    """Dollars for `tokens` tokens at the API's price; None for a local model, whose price is the
    machine's time.
    """
    each = card.contract.terms.price_per_million_tokens
    return None if each is None else each * tokens / 1e6


def fit(card: Card, needs: Needs) -> Fit:
    """How `card` meets `needs`, each need on its own."""
    against: dict[str, str] = {}
    for_it: list[str] = []
    but: list[str] = []
    if needs.kinds and card.kind not in needs.kinds:
        against["kinds"] = f"its embeddings are of the kind {card.kind}"
    if needs.place != "any" and card.local != (needs.place == "local"):
        against["place"] = "runs locally" if card.local else f"runs behind {_provider(card)}'s API"
    for check in (_languages, _licence, _memory, _length, _budget):
        for name, words in check(card, needs):
            if name == "for":
                for_it.append(words)
            elif name == "but":
                but.append(words)
            else:
                against[name] = words
    return Fit(against, tuple(for_it), tuple(but))


def _languages(card: Card, needs: Needs) -> list[tuple[str, str]]:
    spoken = card.contract.terms.languages
    lacking = [language for language in needs.languages if language not in spoken]
    if not needs.languages:
        return []
    if not lacking:
        return [("for", f"knows {', '.join(needs.languages)}")]
    if not spoken:
        return [("but", "its makers do not say which languages it knows")]
    if "*" in spoken:
        return [
            (
                "but",
                f"its makers claim more languages than they list; {', '.join(lacking)} is "
                "not listed",
            )
        ]
    return [("languages", f"does not know {', '.join(lacking)}")]


def _licence(card: Card, needs: Needs) -> list[tuple[str, str]]:
    licence = card.contract.terms.licence
    if needs.licence is None:
        return []
    if not card.local:
        return [("but", f"{_provider(card)}'s terms of service apply")]
    if needs.licence.lower() != COMMERCIAL:
        same = licence is not None and licence.lower() == needs.licence.lower()
        return [
            (
                "for" if same else "licence",
                licence if same and licence else f"its licence is {licence or 'not known'}",
            )
        ]
    allowed = allows_commercial_use(licence)
    if allowed:
        return [("for", f"{licence} allows commercial use")]
    return [
        (
            "licence",
            f"{licence} forbids commercial use"
            if allowed is False
            else f"its licence is {licence or 'not known'}",
        )
    ]


def _memory(card: Card, needs: Needs) -> list[tuple[str, str]]:
    taken = weights_bytes(card)
    if needs.memory is None:
        return []
    if not card.local:
        return [("for", "takes no memory of yours")]
    if taken is None:
        return [("but", "its size is not known")]
    words = f"weights take {size(taken)} in float32"
    return [("for" if taken <= needs.memory else "memory", words)]


def _length(card: Card, needs: Needs) -> list[tuple[str, str]]:
    if needs.length is None:
        return []
    reads = card.contract.max_tokens
    return [("for" if reads >= needs.length else "length", f"reads {count(reads)} tokens")]


def _budget(card: Card, needs: Needs) -> list[tuple[str, str]]:
    each = card.contract.terms.price_per_million_tokens
    if needs.budget is None and needs.tokens is None:
        return []
    if card.local:
        return [("for", "costs no money a token")]
    if each is None:
        return [("but", "its price is not known")]
    if needs.tokens is None:
        assert needs.budget is not None, "one of the two is there"
        return [("for", f"{dollars(needs.budget)} buy {count(needs.budget / each * 1e6)} tokens")]
    cost = each * needs.tokens / 1e6
    words = f"{count(needs.tokens)} tokens cost {dollars(cost)}"
    return [("for" if needs.budget is None or cost <= needs.budget else "budget", words)]


def dollars(amount: float) -> str:
    """An amount of US dollars: $5.00, $0.012."""
    return f"${amount:,.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.2g}"


def _provider(card: Card) -> str:
    assert card.api is not None, "only a model behind an API has a provider"
    return card.api.provider
