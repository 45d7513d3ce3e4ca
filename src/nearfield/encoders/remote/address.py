"""Where a model that is asked over HTTP is: `openai:text-embedding-3-small`,
`http://host:8000/v1#model`, `tei:http://host:8080`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nearfield.catalog.card import Card, card, catalogued
from nearfield.encoders.vendors import VENDORS
from nearfield.encoders.vendors.vendor import Vendor
from nearfield.errors import InputError
from nearfield.store.inside import possible

_WEB = ("http://", "https://")
_BARE = "compatible"


@dataclass(frozen=True)
class Address:
    """A vendor's name, where it is asked ("" for where it usually is), and its name of the
    model.
    """

    vendor: str
    url: str
    model: str

    @classmethod
    def parse(cls, name: str | Path) -> Address | None:
        """The address in a spec's name; None for the name of a local model. Raises InputError for
        an address without a model, and for a URL with a password or a query.
        """
        name = str(name)
        if possible(name) and Path(name).exists():  # what lies here is meant, whatever its name
            return None
        vendor, colon, rest = name.partition(":")
        # first, or the colon of http: would be taken for a vendor's
        if name.startswith(_WEB):
            vendor = _BARE
            rest = name
        elif not colon or vendor not in VENDORS:
            return cls._catalogued(name)
        url = ""
        model = rest
        if rest.startswith(_WEB):
            url, _, model = rest.partition("#")
            parts = urlsplit(url)
            # the address is in logs, manifests and run folders; it is not repeated in the error
            if parts.username or parts.password or parts.query:
                raise InputError(
                    f"{parts.scheme}://{parts.hostname}: holds a password or a query; wanted the "
                    "address alone, and the key in the environment"
                )
        if not model and not (url and VENDORS[vendor].names_no_model):
            form = f"{url or vendor + ':'}{'#' if url else ''}MODEL"
            raise InputError(f"{name}: names no model; wanted {form}")
        return cls(vendor, url.rstrip("/"), model)

    @classmethod
    def _catalogued(cls, name: str) -> Address | None:
        known = catalogued(name)
        if known is None:
            return None
        api = card(known).api
        for vendor in VENDORS:
            if api is not None and VENDORS[vendor].title == api.provider:
                return cls(vendor, "", api.model)
        return None

    @property
    def card(self) -> Card | None:
        """What the catalog knows of the model, here or as others name it."""
        vendor = VENDORS[self.vendor]
        # Ollama's tag where a model is named without one
        for name in (self.model, self.model.removesuffix(":latest")):
            found = catalogued(vendor.cards.get(name, name)) if name else None
            if found is not None:
                return card(found)
        return None

    @property
    def is_reranker(self) -> bool:
        """Whether the model is known to judge pairs, or is called so."""
        card = self.card
        if card is None:
            return "rerank" in self.model
        return card.kind == "cross-encoder"

    def open(self) -> Vendor:
        """The vendor's API with the key of the environment. Raises InputError where one is needed
        and there is none.
        """
        kind = VENDORS[self.vendor]
        key = _set(kind.key_variables) or None
        if key is None and not kind.free:
            wanted = " or ".join(kind.key_variables)
            raise InputError(f"{kind.title} wants a key; set {wanted} in the environment")
        return kind(self.place, key)

    @property
    def place(self) -> str:
        """The URL that is asked."""
        kind = VENDORS[self.vendor]
        found = self.url or _set(kind.url_variables) or kind.url
        # OLLAMA_HOST is a host and a port as a rule
        if not found.startswith(_WEB):
            found = f"http://{found}"
        return found.rstrip("/")

    @property
    def files(self) -> str:
        """What stands for the hash of a local model's files: which model of whom it is."""
        # with the place: two servers may call different models alike
        return f"{self.vendor}:{self.place}#{self.model}"


def _set(variables: tuple[str, ...]) -> str:
    """The value of the first that is set, "" for none."""
    for name in variables:
        value = os.environ.get(name, "").strip()
        if value:
            return value
    return ""
