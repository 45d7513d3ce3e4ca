"""`nearfield ledger`: what was asked of vendors and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, empty_table, out

if TYPE_CHECKING:
    from nearfield.encoders.remote.ledger import Account


def ledger(
    since: Annotated[
        str,
        typer.Option(metavar="DAY", help="Only what was asked on this day or later: 2026-11-30."),
    ] = "",
    json: Json = False,
) -> None:
    """Show what models behind an API were asked for and what that cost, by model.

    Each answer is a line of `api-ledger.jsonl` in the cache folder, with its time, texts, tokens,
    price and the vendor's number of the request. A request that got no whole answer is counted as
    lost: its vendor may have billed it nevertheless.

    Examples:

        nearfield ledger
        nearfield ledger --since 2026-11-01 --json
    """
    from nearfield.encoders.remote.ledger import accounts, ledger_path

    found = accounts(since)
    if json:
        emit_json({"file": ledger_path(), "models": found})
        return
    if not found:
        out.say(f"nothing was asked since {since}" if since else "nothing was asked")
        return
    _show(found)
    total = sum(account.price or 0.0 for account in found)
    out.say(f"${total:.6g} in all; each request: {ledger_path()}")


def _show(found: list[Account]) -> None:
    table = empty_table(["model"], ["requests", "lost", "items", "tokens", "price"])
    for each in found:
        tokens = f"≈{each.tokens:,}" if each.estimated else f"{each.tokens:,}"
        price = "unknown" if each.price is None else f"${each.price:.6g}"
        counts = (f"{each.requests:,}", f"{each.lost:,}", f"{each.items:,}")
        table.add_row(each.model, *counts, tokens, price)
    out.print(table)
