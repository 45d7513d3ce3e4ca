"""The known models as tables, one a kind and place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nearfield.catalog.card import KINDS, Card
from nearfield.evaluate.needs import dollars
from nearfield.types.numbers import UNKNOWN, count, plural

_TITLES = {
    "dense": "One vector a text",
    "sparse": "Sparse vectors over a vocabulary",
    "multi-vector": "One vector a token",
    "several": "Dense, sparse and multi-vector in one pass",
    "image-text": "Images and texts in one space",
    "cross-encoder": "A score for a query and a document together",
}


def list_tables(known: Iterable[Card], cached: Collection[str]) -> Iterator[RenderableType]:
    """A heading and a table for each kind of model there is, those behind an API on their own;
    `cached` are names.
    """
    cards = list(known)
    width = max((len(card.name) for card in cards), default=0)
    for kind in KINDS:
        for local in (True, False):
            rows = [card for card in cards if card.kind == kind and card.local == local]
            if rows:
                yield Text(
                    f"{_TITLES[kind]}{'' if local else ', behind an API'}", style="bold cyan"
                )
                yield _table(rows, cached, local=local, width=width)
    there = f"; ● {count(len(cached))} in the cache" if cached else ""
    yield Text(
        f"{plural(len(cards), 'model')}{there}. nearfield models show NAME tells all of one.",
        style="dim",
    )


def parameters(number: int | None) -> str:
    """A number of parameters as the field writes it: 22.7 M, 7.11 B."""
    if number is None:
        return UNKNOWN
    return f"{number / 1e9:.3g} B" if number >= 1e9 else f"{number / 1e6:.3g} M"


def languages(spoken: tuple[str, ...]) -> str:
    """The languages in few characters: en; en, zh; 73; 18+ where more are claimed than listed."""
    listed = [language for language in spoken if language != "*"]
    if not spoken:
        return UNKNOWN
    short = ", ".join(listed) if len(listed) < 3 else count(len(listed))
    return f"{short}+" if "*" in spoken else short


def _table(rows: list[Card], cached: Collection[str], *, local: bool, width: int) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", width=1)
    table.add_column("name", min_width=width, no_wrap=True)
    for title, least in (("weights" if local else "price", 7), ("dims", 6), ("tokens", 7)):
        table.add_column(title, justify="right", min_width=least, no_wrap=True)
    table.add_column("speaks", min_width=6, no_wrap=True)
    table.add_column("licence" if local else "provider", min_width=15, no_wrap=True)
    for card in rows:
        contract, terms = card.contract, card.contract.terms
        price = (
            UNKNOWN
            if terms.price_per_million_tokens is None
            else dollars(terms.price_per_million_tokens)
        )
        table.add_row(
            "●" if card.name in cached else "",
            card.name,
            parameters(card.parameters) if local else price,
            count(contract.dim),
            count(contract.max_tokens),
            languages(terms.languages),
            (terms.licence or UNKNOWN) if card.api is None else card.api.provider,
        )
    return table
