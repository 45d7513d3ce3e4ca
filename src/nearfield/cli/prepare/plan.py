"""`nearfield plan`: what models take at a size that is not there yet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, out, progress_bar
from nearfield.cli.evaluate import Models, On

if TYPE_CHECKING:
    from nearfield.types.evaluation.plan import Planned


def plan(
    models: Models,
    on: On,
    documents: Annotated[str, typer.Option(help="How many documents, as 10M or 250k.")],
    queries: Annotated[float, typer.Option(help="Queries in a second.")] = 1.0,
    hour: Annotated[
        float, typer.Option(help="What an hour of a machine like this one costs, in dollars.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """What models take for more documents than there are: bytes by storage type, the time and the
    price of embedding everything (again), machines for the queries; local models and those behind
    an API side by side.

    Local models are measured on some documents and queries of the data. Models behind an API are
    not asked: what they take is by their card and by estimated tokens. Bytes are those of the
    vectors, 4 per dimension in float32; an index adds to them.

    Examples:

        nearfield plan minilm potion-base-8m --on my-data --documents 10M
        nearfield plan minilm openai:text-embedding-3-small --on my-data --documents 10M
            --queries 50 --hour 0.4
    """
    from nearfield.evaluate.analysis.plan import plan as planned
    from nearfield.types.evaluation.plan import Load
    from nearfield.types.quantity import read_count

    found = planned(models, on, Load(read_count(documents), queries, hour), bars=progress_bar)
    if json:
        emit_json(found)
        return
    _show(found)


def _show(found: list[Planned]) -> None:
    from nearfield.report.table import Column, Fitted, column_of
    from nearfield.types.numbers import UNKNOWN, duration, size, speed

    storages = list(dict.fromkeys(storage for each in found for storage in each.bytes))

    def dollars(value: float | None) -> str:
        return UNKNOWN if value is None else f"${value:,.2f}"

    def hours(each: Planned) -> str:
        return UNKNOWN if each.hours is None else duration(3600 * each.hours)

    def bytes_of(storage: str) -> Column:
        # NaN, shown as –, where the model's kind has no such storage
        sizes = [each.bytes.get(storage, math.nan) for each in found]
        return column_of(sizes, storage, size, 6)

    columns = [
        column_of(found, "model", lambda each: each.model, 9, right=False, folds=True),
        column_of(found, "dim", lambda each: str(each.dim), 3),
        *map(bytes_of, storages),
        column_of(found, "docs/s", lambda each: speed(each.documents_per_second), 4),
        column_of(found, "query ms", lambda each: speed(each.query_milliseconds), 5),
        column_of(found, "embed all", hours, 8),
        column_of(found, "for", lambda each: dollars(each.dollars), 8),
        column_of(found, "machines", lambda each: str(each.machines or UNKNOWN), 7),
        column_of(found, "a month", lambda each: dollars(each.dollars_a_month), 7),
    ]
    out.print(Fitted("", tuple(columns), best_first=False))
    out.say("Vectors alone; machines and hours are of this one, queries one at a time.")
