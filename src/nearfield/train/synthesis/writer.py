"""What writes queries for documents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple, Self

from nearfield.types.forecast import Forecast

Queries = list[tuple[str, str]]
"""The style of each query and its text."""
Keep = Callable[[Mapping[int, Queries]], None]
"""Takes what was written for some documents, by their places."""


class Document(NamedTuple):
    """What a query is written for."""

    title: str
    text: str

    @property
    def whole(self) -> str:
        """Title and text, as they are encoded."""
        return f"{self.title} {self.text}".strip()

    @property
    def key(self) -> str:
        """The hash that its queries are kept under."""
        return blake2b("\0".join(self).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Order:
    """What is to be written: `per_document` queries, each in one of `styles` and `languages` in
    turn, where they are given. `examples` are real queries, each with its document.
    """

    per_document: int = 3
    styles: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    examples: tuple[tuple[str, str], ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Means:
    """What a writer may need: texts of the `corpus`, and the `price` of a million tokens read and
    of a million written, in US dollars, None where it is not stated.
    """

    corpus: Sequence[str]
    price: tuple[float, float] | None = None


class Writer(ABC):
    """Writes queries as ordered. `facts` are all that they depend on beside the document; None
    where they are sooner written again than kept. `block` documents are given at a time.
    """

    block: ClassVar[int] = 256

    def __init__(self, name: str, facts: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.facts = facts

    @classmethod
    @abstractmethod
    def open(cls, name: str, order: Order, means: Means) -> Self | None:
        """The writer of this name, None where it is none of this kind. Raises InputError for an
        order that it cannot follow.
        """

    def forecast(self, documents: Iterable[Document]) -> Forecast | None:
        """The most that writing for the documents may cost; None where nobody is paid."""
        return None

    @abstractmethod
    def write(self, documents: Sequence[Document], keep: Keep) -> None:
        """Have `keep` take the queries of each document, all at once or as they come. A document
        that none can be written for has none.
        """
