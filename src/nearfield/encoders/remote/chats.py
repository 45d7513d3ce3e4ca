"""A chat model behind an API, asked for one answer per chat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.client import Rates, Wanted
from nearfield.encoders.remote.known import client_of
from nearfield.errors import ModelError

Messages = list[dict[str, str]]


class Chats:
    """The model at `address`; `price` is of a million tokens read and written, the catalog's where
    it is None. Raises ModelError for a vendor without chats.
    """

    def __init__(self, address: Address, price: tuple[float, float] | None = None) -> None:
        self.client = client_of(address, price and Rates(price[0], None, price[1]))
        self.vendor = self.client.vendor
        if not self.vendor.chats:
            raise ModelError(f"{self.client.name}: {self.vendor.title} has no chats here")

    def wanted(
        self,
        what: str,
        chats: Sequence[Messages],
        check: Callable[[Any], tuple[Any, str]],
        written: int,
    ) -> Wanted:
        """An answer of up to `written` tokens to each of the chats, as `check` reads it."""
        texts = ["\n".join(message["content"] for message in chat) for chat in chats]
        tokens = self.client.counter.count(texts)

        def request(part: Sequence[int]) -> tuple[str, dict[str, Any]]:
            return self.vendor.chat(self.client.address.model, chats[part[0]], written)

        return Wanted(what, tokens, request, self.vendor.said, check, written=written)
