"""What the catalog knows of a model behind an API: its contract, its price, its limits."""

from __future__ import annotations

from dataclasses import replace

from nearfield.catalog.card import Card
from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.client import Client, Rates
from nearfield.encoders.spec import ModelSpec
from nearfield.encoders.vendors import VENDORS
from nearfield.encoders.vendors.vendor import Limits
from nearfield.errors import ContractError
from nearfield.formats.static_folder import UNLIMITED
from nearfield.similarity import EMBEDDINGS
from nearfield.types.contract import Contract


def images_of(address: Address) -> Limits | None:
    """The limits of a request of images, the card's where it has its own; None where the model
    takes none. What the catalog does not know is left to the vendor to refuse.
    """
    usual = VENDORS[address.vendor].images
    card = address.card
    if usual is None or card is None:
        return None if usual is None else usual.limits
    if not card.takes_images:
        return None
    if card.api is None:
        return usual.limits
    items = card.api.images_per_request or usual.limits.items
    size = card.api.image_bytes_per_request or usual.limits.size
    return replace(usual.limits, items=items, size=size)


def image_price_of(address: Address) -> Rates:
    """As `price_of`, of images."""
    card = address.card
    if VENDORS[address.vendor].free or card is None or card.api is None:
        return price_of(address)
    return Rates(card.api.price_per_million_image_tokens, card.api.price_per_thousand_images)


def contract_of(spec: ModelSpec, card: Card | None) -> Contract:
    """The contract at the dim of the spec, else at the one that the API gives by itself. Of a model
    without a card only that is known, and where it is not stated, the dim stands at 1.

    Raises ContractError for a dim that the model does not have, and for a model that gives no
    dense vectors.
    """
    name = spec.name + spec.after
    if card is None:
        return Contract(name, spec.dim or 1, UNLIMITED, pooling="unpublished")
    contract = card.contract
    api = card.api
    dense = card.kind in EMBEDDINGS and EMBEDDINGS[card.kind].trains_dims
    if not dense and not card.takes_images:
        raise ContractError(f"{name}: is of the kind {card.kind}; wanted a model of dense vectors")
    usual = contract.dim
    if api is not None and api.default_dim is not None:
        usual = api.default_dim
    dim = spec.dim or usual
    has = f"up to {contract.dim}" if contract.matryoshka_dims else f"{usual} only"
    other = dim != usual and not contract.matryoshka_dims
    if other or dim > contract.dim:
        raise ContractError(f"{name}: {dim} dimensions were asked for; it has {has}")
    # of vectors that are asked for cut, only shorter cuts are left
    dims = tuple(each for each in contract.matryoshka_dims if each <= dim)
    known = replace(contract, kind="dense", pooling="unpublished", fusion={})
    return replace(known, name=name, dim=dim, matryoshka_dims=dims)


def price_of(address: Address) -> Rates:
    """Nothing on a server of one's own; what the card says of an API."""
    if VENDORS[address.vendor].free:
        return Rates(0.0)
    card = address.card
    if card is None or card.api is None:
        return Rates()
    return Rates(card.contract.terms.price_per_million_tokens, card.api.price_per_thousand_searches)


def client_of(address: Address, price: Rates | None = None) -> Client:
    """The model at the address, at the catalog's price where no other is stated."""
    return Client(address, price=price or price_of(address), limits=limits_of(address))


def limits_of(address: Address) -> Limits:
    """The vendor's limits, and the card's where it has its own."""
    usual = VENDORS[address.vendor].limits
    card = address.card
    if card is None or card.api is None:
        return usual
    items = card.api.inputs_per_request or usual.items
    return replace(usual, items=items, tokens=card.api.tokens_per_request or usual.tokens)
