"""`nearfield cache`: what is kept on this machine so that nothing is fetched, converted or encoded
twice, and removing it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, empty_table, out

if TYPE_CHECKING:
    from nearfield.vectors.cached import Cached

_KINDS = "models, conversions, merged, tensors, vectors, collections, words, queries"
cache = typer.Typer(
    no_args_is_help=True,
    help=f"Show and clear what is kept: {_KINDS}.",
)

DAY = 86_400  # seconds
ALL = "all"

Kinds = Annotated[
    list[str] | None,
    typer.Argument(metavar="KIND...", help=f"Only: {_KINDS}."),
]


@cache.command()
def show(kinds: Kinds = None, json: Json = False) -> None:
    """Show what the cache holds, how much room each thing takes, and when it was last used.

    Examples:

        nearfield cache show
        nearfield cache show vectors --json
    """
    from nearfield.store.home import home
    from nearfield.vectors.cached import cached

    found = cached(kinds or ())
    if json:
        emit_json({"folder": home(), "bytes": sum(item.size for item in found), "items": found})
        return
    _table(found)
    _total(found, f"in {home()}")


@cache.command()
def clear(
    kinds: Annotated[
        list[str],
        typer.Argument(metavar="KIND...", help=f"{_KINDS}, or all."),
    ],
    model: Annotated[
        str | None, typer.Option(help="Only what is of this model or was made with it.")
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", min=0.0, help="Only what was not used for so many days."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go, and leave it.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove what the cache holds of these kinds; all of it is made or fetched again when it is
    wanted.

    Examples:

        nearfield cache clear vectors --older-than 30
        nearfield cache clear vectors conversions --model minilm
        nearfield cache clear all --dry-run
    """
    import time

    from nearfield.errors import InputError
    from nearfield.vectors.cached import cached

    if ALL in kinds and len(kinds) > 1:
        raise InputError(f"{ALL} is every kind; give it alone")
    found = cached(() if kinds == [ALL] else kinds)
    if model is not None:
        _warn_of_a_slip(model, found)
    chosen = [item for item in found if model in (None, item.model)]
    if older_than is not None:
        before = time.time() - older_than * DAY
        chosen = [item for item in chosen if item.used < before]
    if not dry_run:
        for item in chosen:
            item.remove()
    if json:
        emit_json(
            {"removed": not dry_run, "bytes": sum(item.size for item in chosen), "items": chosen}
        )
        return
    if dry_run:
        _table(chosen)
    _total(chosen, "would be removed" if dry_run else "removed")


def _warn_of_a_slip(model: str, found: list[Cached]) -> None:
    """Say what else there is where nothing of what was found is of the model, whose name may be a
    slip of the pen.
    """
    import warnings

    from nearfield.errors import NearfieldWarning, nearest

    known = sorted({item.model for item in found if item.model})
    if known and model not in known:
        message = (
            f"nothing of these kinds in the cache is of a model {model!r}; it is of "
            f"{', '.join(known)}.{nearest(model, known)}"
        )
        warnings.warn(message, NearfieldWarning, stacklevel=2)


def _table(items: list[Cached]) -> None:
    import datetime

    from rich.text import Text

    from nearfield.types.numbers import size

    if not items:
        return
    table = empty_table(["kind", "model", "what"], ["size"])
    table.add_column("used", no_wrap=True)
    for item in items:
        used = datetime.datetime.fromtimestamp(item.used).date().isoformat()
        table.add_row(item.kind, Text(item.model), Text(item.about), size(item.size), used)
    out.print(table)


def _total(items: list[Cached], done: str) -> None:
    from nearfield.types.numbers import plural, size

    whole = f"{plural(len(items), 'item')}, {size(sum(item.size for item in items))}, {done}"
    out.say(whole)
