"""`nearfield models suggest`: which known models to try first, and why."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import emit_json, items, out
from nearfield.cli.models.catalog import JSON, LANGUAGES, LICENCE, LOCAL

if TYPE_CHECKING:
    from nearfield.catalog.needs import Needs
    from nearfield.catalog.suggest import Candidate, Suggestions

ANY = "any"
QUESTIONS = {
    "languages": "Languages, as ISO 639 codes such as en,de (code for program text)",
    "licence": "Licence (commercial, or one by its name)",
    "memory": "Memory for the weights, such as 2GB",
    "length": "Tokens of a long text, such as 2000",
    "tokens": "Tokens to embed in all, such as 50M",
    "budget": "Dollars for that",
}


def suggest(
    languages: Annotated[str | None, LANGUAGES] = None,
    licence: Annotated[str | None, LICENCE] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="What the weights may take in float32, such as 2GB."),
    ] = None,
    length: Annotated[
        str | None,
        typer.Option("--length", help="Tokens of a long text; a model that reads fewer is out."),
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option("--tokens", help="Tokens to embed in all, such as 50M, for the price."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Dollars for these tokens.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--kind", help="Kinds with commas, as `nearfield models list` has them, or any."
        ),
    ] = "dense",
    local: Annotated[bool | None, LOCAL] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="How many models to suggest.")] = 5,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Suggest the known models that meet your needs, with the reasons, and say why the others are
    out.

    On a terminal, it asks for what no option states. A need that is `any` rules nothing out.

    Examples:

        nearfield models suggest
        nearfield models suggest --languages en,de --licence commercial --memory 3GB --length 2000
        nearfield models suggest --languages en --tokens 50M --budget 5 --json
    """
    from nearfield.catalog.card import cards
    from nearfield.catalog.suggest import suggest as suggested
    from nearfield.report.suggestions import suggestions_page

    said = {
        "languages": languages,
        "licence": licence,
        "memory": memory,
        "length": length,
        "tokens": tokens,
        "budget": budget,
    }
    if not json and on_a_terminal():
        for name, text in said.items():
            if text is None:
                said[name] = typer.prompt(QUESTIONS[name], default=ANY)
    found = suggested(cards().values(), _needs(said, kind, local))
    if json:
        emit_json(_plain(found, most=most))
        return
    for part in suggestions_page(found, most=most):
        out.print(part)


def _needs(said: Mapping[str, str | None], kind: str, local: bool | None) -> Needs:
    """The needs in the words of the options; empty ones and `any` rule nothing out."""
    from nearfield.catalog.needs import Needs
    from nearfield.types.quantity import read_amount, read_count, read_size

    wanted = {}
    for name, text in said.items():
        words = (text or "").strip()
        if words.lower() not in ("", ANY):
            wanted[name] = words
    readers: dict[str, Callable[[str], Any]] = {
        "memory": read_size,
        "length": read_count,
        "tokens": read_count,
        "budget": read_amount,
    }
    return Needs(
        languages=tuple(items(wanted.get("languages", ""))),
        licence=wanted.get("licence"),
        kinds=() if kind.lower() == ANY else tuple(items(kind)),
        local=local,
        **{name: read(wanted[name]) for name, read in readers.items() if name in wanted},
    )


def on_a_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and out.is_terminal


def _plain(found: Suggestions, *, most: int) -> dict[str, Any]:
    from nearfield.report.suggestions import basis

    # costs are those of a million tokens where no number is stated
    tokens = found.needs.tokens or 1_000_000
    rows = [_row(item, tokens) for item in found.candidates]
    return {
        "needs": found.needs,
        "basis": basis(found),
        "tasks": found.common,
        "shortlist": rows[:most],
        "further": rows[most:],
        "out": {name: fit.against for name, fit in found.out.items()},
    }


def _row(item: Candidate, tokens: int) -> dict[str, Any]:
    from nearfield.catalog.needs import price, weights_bytes

    return {
        "name": item.card.name,
        "mean": item.mean,
        "p": item.p,
        "level": item.level,
        "tasks_published": item.have,
        "weights_bytes": weights_bytes(item.card),
        "cost": price(item.card, tokens),
        "for": item.fit.for_it,
        "but": item.fit.but,
    }
