"""`nearfield models suggest`: which known models to try first, and why."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import emit_json, out

if TYPE_CHECKING:
    from nearfield.evaluate.needs import Fit
    from nearfield.evaluate.shortlist import Shortlist

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
    languages: Annotated[
        str | None,
        typer.Option("--languages", help="Codes with commas: en,de. `code` is program text."),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", help="`commercial`, or a licence by its name, such as MIT."),
    ] = None,
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
    local: Annotated[
        bool | None,
        typer.Option("--local/--api", help="Only local models, or only those behind an API."),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", min=1, help="How many models the shortlist holds.")
    ] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Shortlist the known models that meet your needs, with the reasons, and say why the others are
    out.

    On a terminal, it asks for what no option states. A need that is `any` rules nothing out.

    Examples:

        nearfield models suggest
        nearfield models suggest --languages en,de --licence commercial --memory 3GB --length 2000
        nearfield models suggest --languages en --tokens 50M --budget 5 --json
    """
    from nearfield.catalog.card import cards
    from nearfield.evaluate.shortlist import shortlist
    from nearfield.report.shortlist import shortlist_page

    said = {
        "languages": languages,
        "licence": licence,
        "memory": memory,
        "length": length,
        "tokens": tokens,
        "budget": budget,
    }
    if not json and on_a_terminal():
        said |= {
            name: typer.prompt(QUESTIONS[name], default=ANY)
            for name, text in said.items()
            if text is None
        }
    place = ANY if local is None else "local" if local else "api"
    found = shortlist(cards().values(), _needs(said, kinds=kind, place=place))
    if json:
        emit_json(_plain(found, most=most))
        return
    for part in shortlist_page(found, most=most):
        out.print(part)


def codes(languages: str | None) -> tuple[str, ...]:
    """The language codes in a list of them with commas between; none where there is no list."""
    return tuple(part.strip().lower() for part in (languages or "").split(",") if part.strip())


def on_a_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and out.is_terminal


def _needs(said: Mapping[str, str | None], *, kinds: str, place: str) -> Any:
    """The needs in the words of the options. Raises InputError for a word that is none."""
    from nearfield.catalog.card import KINDS
    from nearfield.errors import InputError, nearest
    from nearfield.evaluate.needs import Needs
    from nearfield.types.quantity import read_amount, read_count, read_size

    words = {name: (text or "").strip() for name, text in said.items()}
    wanted = {name: None if text.lower() in (ANY, "") else text for name, text in words.items()}
    asked = () if kinds.lower() == ANY else tuple(part.strip() for part in kinds.split(","))
    for part in asked:
        if part not in KINDS:
            raise InputError(
                f"there is no kind {part!r}; wanted some of {', '.join(KINDS)}, or "
                f"any.{nearest(part, KINDS)}"
            )
    return Needs(
        languages=codes(wanted["languages"]),
        licence=wanted["licence"],
        memory=None if wanted["memory"] is None else read_size(wanted["memory"]),
        length=None if wanted["length"] is None else read_count(wanted["length"]),
        budget=None if wanted["budget"] is None else read_amount(wanted["budget"]),
        tokens=None if wanted["tokens"] is None else read_count(wanted["tokens"]),
        kinds=asked,
        place=place,
    )


def _plain(found: Shortlist, *, most: int) -> dict[str, Any]:
    from nearfield.evaluate.needs import price, weights_bytes
    from nearfield.report.shortlist import basis

    def reasons(fit: Fit) -> dict[str, Any]:
        return {"for": fit.for_it, "but": fit.but}

    rows = [
        {
            "name": item.card.name,
            "mean": item.mean,
            "p": item.p,
            "level": item.level,
            "tasks_published": item.have,
        }
        | {
            "weights_bytes": weights_bytes(item.card),
            "cost": price(item.card, found.needs.tokens or 1_000_000),
        }
        | reasons(item.fit)
        for item in found.candidates
    ]
    return {
        "needs": found.needs,
        "basis": basis(found),
        "tasks": found.common,
        "shortlist": rows[:most],
        "further": rows[most:],
        "out": {name: fit.against for name, fit in found.out.items()},
    }
