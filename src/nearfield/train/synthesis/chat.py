"""Queries by a model behind an API that answers chats as OpenAI's does."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Self

from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.answer import Got
from nearfield.encoders.remote.chats import Chats
from nearfield.encoders.remote.client import Wanted
from nearfield.train.synthesis.prompts import VERSION, for_all, style_of
from nearfield.train.synthesis.writer import Document, Keep, Means, Order, Queries, Writer
from nearfield.types.forecast import Forecast

log = logging.getLogger(__name__)
ATTEMPTS = 3  # answers of a document, each of which may be paid, before it is left without
QUERY_TOKENS, MORE_TOKENS = 64, 32  # that one query, and the JSON around all, may take
LONGEST = 500  # characters of a query
_FENCED = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


class Chat(Writer):
    """Each request asks for all queries of a document, as JSON. What comes is kept before the next
    is asked for, so that a run that was stopped pays for none twice; each request is in the ledger
    (see `encoders.remote.ledger`).

    A document whose request is refused, or is answered three times with what is no JSON, has no
    queries, and one whose answer holds fewer than were asked for has these.
    """

    block: ClassVar[int] = 32  # within which what is spent is held against the budget

    def __init__(self, address: Address, order: Order, price: tuple[float, float] | None) -> None:
        self.chats = Chats(address, price)
        self.client = self.chats.client
        self.order = order
        facts = {"files": address.files, "order": asdict(order), "version": VERSION}
        super().__init__(self.client.name, facts)

    @classmethod
    def open(cls, name: str, order: Order, means: Means) -> Self | None:
        address = Address.parse(name)
        if address is None:
            return None
        return cls(address, order, means.price)

    def forecast(self, documents: Iterable[Document]) -> Forecast | None:
        """As if each were answered once, with as much as it may be."""
        whole = self.client.forecast([], 0)
        rest = iter(documents)
        while some := list(islice(rest, 1024)):
            tokens = self._wanted(some).tokens
            whole += self.client.forecast(tokens, len(tokens), self._most)
        log.info("%s", whole)
        return whole

    def write(self, documents: Sequence[Document], keep: Keep) -> None:
        left = list(range(len(documents)))
        wanted = self._wanted(documents)

        def received(got: Got) -> None:
            for place, queries in zip(got.places, got.values, strict=True):
                keep({place: queries})

        for _ in range(ATTEMPTS):
            bad = self.client.gather(wanted, [[place] for place in left], received)
            for place in bad.refused:
                keep({place: []})
            left = sorted(bad.wrong)
            if not left:
                return
            log.info("%s: of an answer, what was asked for %s", self.name, bad.wrong[left[0]])
        # without queries, but done with: the same run later does not pay for them again
        keep({place: [] for place in left})

    @property
    def _most(self) -> int:
        return QUERY_TOKENS * self.order.per_document + MORE_TOKENS

    def _wanted(self, documents: Sequence[Document]) -> Wanted:
        chats = [for_all(document, self.order) for document in documents]
        check = partial(read_queries, order=self.order)
        return self.chats.wanted("synthesise", chats, check, self._most)


def read_queries(content: Any, *, order: Order) -> tuple[Queries, str]:
    """The queries in an answer's text, each with its style, and what is wrong with it, "" for
    nothing. What is no text, is empty or far too long is left out, and more than were ordered are.
    """
    if not isinstance(content, str):
        return [], "is no text"
    # models put JSON in a fence, or a sentence before it and another behind it
    fenced = _FENCED.search(content)
    text = fenced[1] if fenced else content[max(0, content.find("{")) :]
    try:
        found, _ = json.JSONDecoder().raw_decode(text.strip())
        listed = found["queries"]
    except (ValueError, KeyError, TypeError, RecursionError):
        listed = None
    if not isinstance(listed, list):
        return [], "is not the JSON that was asked for"
    queries = []
    for number, each in enumerate(listed[: order.per_document]):
        if not isinstance(each, str):
            continue
        query = " ".join(each.split())
        query = query.encode("utf-8", "replace").decode()  # JSON may name half a character
        if query and len(query) <= LONGEST:
            queries.append((style_of(order, number) or "chat", query))
    if not queries:
        return [], "holds no query"
    return queries, ""
