"""`nearfield data`: look at data, convert it, split it, have it checked."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import Json, emit_json, err, out, progress_bar
from nearfield.cli.opened import Data
from nearfield.cli.shell.columns import takes_data
from nearfield.errors import InputError

if TYPE_CHECKING:
    from nearfield.data.collection import Collection
    from nearfield.data.pairs import Pairs
    from nearfield.data.readers.rows import Table

data = typer.Typer(
    no_args_is_help=True, help="Show, import, split, check and export collections and pairs."
)

AsPairs = Annotated[
    bool, typer.Option("--pairs", help="As pairs, also where the rows have no scores.")
]
Target = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER", help="Where to write; a folder that nearfield wrote is replaced."
    ),
]


@data.command()
@takes_data
def show(source: Data, json: Json = False) -> None:
    """Show what is in data, and of a table how it was read: what each column was taken for, its
    encoding and separator, what is ignored, and how to say otherwise.

    Examples:

        nearfield data show stdlib
        nearfield data show faq.csv --query Frage --document Antwort
        nearfield data show beir/scifact --json
    """
    from nearfield.data.columns import UnknownColumnsError
    from nearfield.data.open import open_data, recognise
    from nearfield.data.readers.pointers import pointers
    from nearfield.data.readers.rows import described
    from nearfield.data.sources.linked import LINKED
    from nearfield.types.data_options import NONE

    found = recognise(source)
    tables = found.tables_read()
    try:
        read = [described(rows) for rows in tables]
    except UnknownColumnsError as error:
        if not json:
            uses = dict.fromkeys(error.names, "")
            for use, name in (error.known | error.proposal).items():
                uses[name] = use
            _render_columns(uses)
            folder = Path(found.place).parent
            try:
                linked = LINKED.recognise(folder, NONE) is not None
            except InputError:  # it points at them, and says what to state
                linked = True
            if linked:
                out.say(f"it points at other tables by ids: nearfield data show {folder}")
        raise
    opened = open_data(source)
    facts = _facts(opened)
    task = _task(opened, source)
    if task is not None:
        facts["task"] = task
    if json:
        emit_json(facts | {"tables": read})
        return
    for table in read:
        _render_table(table)
    if found.read_as:
        out.say(found.read_as)
    for rows in tables:
        for pointer in pointers([rows]):
            out.say(
                f"{pointer.column} holds values of {pointer.key}: --query COLUMN --document "
                f"{pointer.column} takes the rows that it points at"
            )
    _render(facts)


@data.command("import")
@takes_data
def import_(
    source: Data,
    target: Target,
    pairs: AsPairs = False,
    json: Json = False,
) -> None:
    """Convert data into a folder of Arrow files that every command opens at once.

    Examples:

        nearfield data import beir/scifact my-data
        nearfield data import questions.csv my-data --json
        nearfield data import triplets.jsonl my-pairs --pairs
    """
    from nearfield.data.open import open_data, open_pairs

    _check_free(target)
    found = open_pairs(source) if pairs else open_data(source)
    found.save(target)
    _written(found, target, json=json)


@data.command()
@takes_data
def split(
    source: Data,
    target: Target,
    fractions: Annotated[
        str | None,
        typer.Option(
            help="Splits and their shares of the judged queries.",
            show_default="train=0.7,dev=0.1,test=0.2",
        ),
    ] = None,
    dev: Annotated[
        float | None,
        typer.Option(help="Keep the splits and only carve this share of train out as dev."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed gives other splits.", show_default="0")
    ] = None,
    json: Json = False,
) -> None:
    """Put queries into splits so that no judged document, no group and no query's wording, or
    nearly the same, is in two of them.

    The splits are those that `nearfield tune` cuts, and belong to DATA from then on: every command
    uses them by default. Where some were cut before, these are written, unless --fractions or
    --seed ask for others, which are FOLDER's alone.

    Examples:

        nearfield data split questions.csv my-data
        nearfield data split questions.csv my-data --fractions train=0.7,dev=0.1,test=0.2 --seed 1
        nearfield data split beir/scifact my-data --dev 0.1
    """
    from nearfield.data.doctor.examine import examine
    from nearfield.data.new_split import split as split_data

    _check_free(target)
    shares = None if fractions is None else _fractions(fractions)
    collection = split_data(source, shares, dev=dev, seed=seed)
    collection.save(target)
    _written(collection, target, json=json)
    for finding in examine(collection, only=("small-splits",)):
        err.say(f"warning: {finding.example}; {finding.fix}", style="yellow")


@data.command()
@takes_data
def check(
    source: Data,
    model: Annotated[
        str | None,
        typer.Option(help="Check what depends on a model, too: lost tokens, a missing prompt."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="A check whose errors are known and accepted. Repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Look for what would spoil training or measuring on the data; exit code 2 where there is an
    error that is not allowed.

    Examples:

        nearfield data check my-data
        nearfield data check my-data --model minilm
        nearfield data check my-data --allow duplicate-documents --json
    """
    from nearfield.data.doctor.examine import refuse
    from nearfield.data.open import open_data
    from nearfield.evaluate.examine import examine
    from nearfield.report.table import findings_table

    refuse((), allow=allow or ())  # an unknown name is an error before any work
    found = open_data(source)
    with progress_bar("checking") as progress:
        findings = examine(found, model=model, progress=progress)
    if json:
        emit_json({"name": found.name, "fingerprint": found.fingerprint, "findings": findings})
    else:
        out.print(findings_table(findings))
    refuse(findings, allow=allow or ())


@data.command()
@takes_data
def export(
    source: Data,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A folder for a collection, a .jsonl file for pairs; never replaced.",
        ),
    ],
    pairs: AsPairs = False,
    json: Json = False,
) -> None:
    """Write a collection as a BEIR folder, or pairs as JSON lines, for other tools.

    Examples:

        nearfield data export stdlib stdlib-beir
        nearfield data export scored-pairs.parquet pairs.jsonl
    """
    from nearfield.data.collection import Collection
    from nearfield.data.export import write_beir, write_pairs
    from nearfield.data.open import open_data, open_pairs
    from nearfield.store.atomic import check_new

    check_new(target)
    found = open_pairs(source) if pairs else open_data(source)
    if isinstance(found, Collection):
        write_beir(found, target)
    elif target.suffix.lower() == ".jsonl":
        write_pairs(found, target)
    else:
        raise InputError(
            "pairs are written as JSON lines; give a name that ends in .jsonl, as "
            f"{target.name}.jsonl",
            path=target,
        )
    _written(found, target, json=json)


def _task(found: Collection | Pairs, source: str) -> str | None:
    """What `evaluate` measures on data that is no collection with queries; None for nothing."""
    from nearfield.data.collection import Collection
    from nearfield.errors import NearfieldError

    if isinstance(found, Collection) and len(found.queries):
        return None
    from nearfield.evaluate.open_task import open_task  # which takes two seconds

    with warnings.catch_warnings(), contextlib.suppress(NearfieldError):
        warnings.simplefilter("ignore")  # the doctor's, which are for who measures
        return open_task(source if isinstance(found, Collection) else found).name
    return None


def _render_table(table: Table) -> None:
    """How a table was read, and what its columns were taken for."""
    read = ", ".join(f"{name} {value}" for name, value in table.read_as.items())
    rows = f"{table.rows:,} rows"
    if table.repeated:
        rows += f", {table.repeated:,} of them repeat another and count once"
    out.say("; ".join(filter(None, (str(table.place), read, rows))))
    _render_columns(table.columns)
    names = ["query", "document", "negative", "label", "score", "id", "group", "split"]
    options = [f"--{name} COLUMN" for name in names]
    if "separator" in table.read_as:
        options += ["--separator VALUE", "--encoding VALUE"]
    out.print(f"to say otherwise: {' '.join(options)}", style="dim", highlight=False)


def _render_columns(uses: Mapping[str, str]) -> None:
    """Each column and what it counts as; those that count as nothing together at the end."""
    from rich.table import Table as Grid

    grid = Grid(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, use in uses.items():
        if use:
            grid.add_row(use, name)
    ignored = [name for name, use in uses.items() if not use]
    if ignored:
        grid.add_row("ignored", _cut(", ".join(ignored), 600))
    out.print(grid)


def _facts(found: Collection | Pairs) -> dict[str, Any]:
    """What `show` says, as plain values."""
    from nearfield.data.collection import Collection
    from nearfield.types.figures import worded

    if not isinstance(found, Collection):
        return {
            "kind": "pairs",
            "name": found.name,
            "pairs": len(found),
            "scored": found.scored,
            "fingerprint": found.fingerprint,
            "example": found.table.slice(0, 1).to_pylist()[0],
        }
    facts: dict[str, Any] = {"kind": "collection", "name": found.name}
    for what in ("documents", "queries", "judgements"):
        facts[what] = len(getattr(found, what))
    # "" is the group of documents that are in none
    facts["groups"] = len(set(found.documents["group"].to_pylist()) - {""})
    if found.cut:
        facts["cut"] = found.cut
    facts["splits"] = _split_sizes(found)
    facts["fingerprint"] = found.fingerprint
    facts["example"] = {
        "document": _cut(worded(found.document_texts[0]), 2000),
        "query": found.query_texts[0] if facts["queries"] else None,
    }
    return facts


def _split_sizes(collection: Collection) -> dict[str, dict[str, int]]:
    from collections import Counter

    from nearfield.data.kept_split import query_counts

    judgements = Counter(collection.judgements["split"].to_pylist())
    counts = query_counts(collection)
    return {name: {"queries": counts[name], "judgements": judgements[name]} for name in counts}


def _render(facts: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from nearfield.report.axes import clipped
    from nearfield.types.item import is_image_url

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if name == "splits":
            for split_name, sizes in value.items():
                table.add_row(
                    f"split {split_name}",
                    f"{sizes['queries']:,} judged queries, {sizes['judgements']:,} judgements",
                )
        elif name != "example":
            # isinstance would take the bool `scored` for a number
            table.add_row(name, Text(f"{value:,}" if type(value) is int else str(value)))
    for name, value in facts["example"].items():
        if value not in (None, []):
            shown = "an image" if is_image_url(value) else clipped(str(value), 300)
            table.add_row(f"first {name}", Text(shown))
    out.print(table)


def _fractions(text: str) -> dict[str, float]:
    fractions: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            fractions[name.strip()] = float(share)
        except ValueError as error:
            raise InputError(
                f"--fractions has {part.strip()!r}; wanted NAME=SHARE, as in "
                "train=0.8,dev=0.1,test=0.1"
            ) from error
    return fractions


def _check_free(target: Path) -> None:
    ours = any((target / name).is_file() for name in ("collection.json", "pairs.json"))
    if target.exists() and not ours and (target.is_file() or any(target.iterdir())):
        raise InputError(
            "is there already and is not a folder that nearfield wrote; give another place",
            path=target,
        )


def _written(found: Collection | Pairs, target: Path, *, json: bool) -> None:
    facts = _facts(found)
    if json:
        emit_json(facts | {"written": str(target)})
    else:
        _render(facts)
        out.say(f"written: {target}")


def _cut(text: str, most: int) -> str:
    """At most `most` characters of a text, its line breaks as they are."""
    if len(text) <= most:
        return text
    return f"{text[: most - 1]}…"
