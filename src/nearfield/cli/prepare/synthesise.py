"""`nearfield synthesise`: queries for documents that nobody has asked for yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, empty_table, numbers, out, progress_bar
from nearfield.cli.opened import Data, model_names, open_model

if TYPE_CHECKING:
    from nearfield.train.synthesis.synthesise import Synthetic


Style = Annotated[
    list[str] | None,
    typer.Option(
        help="Of templates: title, heading, first-sentence, key-phrases, question or crop; of a "
        "model in your words, as 'a nurse in a hurry'. Repeatable."
    ),
]
Language = Annotated[
    list[str] | None, typer.Option(help="What a model writes in, as German. Repeatable.")
]
Examples = Annotated[int, typer.Option(help="Real queries of train that a model is shown.", min=0)]
Top = Annotated[int, typer.Option(help="Among how many results the document must be.", min=1)]
Price = Annotated[
    str | None,
    typer.Option(
        metavar="READ,WRITTEN",
        help="What a model behind an API costs: dollars for a million tokens that it reads, and "
        "that it writes.",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GATE",
        help="Leave out a gate: distinct, held-out, answerable, round-trip or like-real. "
        "Repeatable.",
    ),
]


def synthesise(
    source: Data,
    to: Annotated[
        Path,
        typer.Option(
            help="A .jsonl file for the pairs alone, or a folder for the collection with the "
            "queries in its train split; never replaced."
        ),
    ],
    writer: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="WRITER",
            help="templates, which takes queries from the documents without a model; the folder of "
            "a causal or sequence-to-sequence model, or its name in the cache's models; or a model "
            "behind an API: openai:MODEL, URL#MODEL.",
        ),
    ] = "templates",
    per_document: Annotated[int, typer.Option(help="Queries for each document.", min=1)] = 3,
    style: Style = None,
    language: Language = None,
    examples: Examples = 3,
    price: Price = None,
    documents: Annotated[
        int, typer.Option(help="Write for so many documents, drawn; 0 for all.", min=0)
    ] = 0,
    retriever: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="What must find a query's document again.",
            autocompletion=model_names,
        ),
    ] = "bm25",
    top: Top = 10,
    overlap: Annotated[
        float,
        typer.Option(
            help="The share of a query's words, by their rarity, that its document must have.",
            min=0,
            max=1,
        ),
    ] = 0.5,
    without: Without = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    json: Json = False,
) -> None:
    """Write queries for documents, keep those that pass the gates, and say what each gate did.

    `nearfield tune --on` learns from the file or the folder. With the folder it measures on the
    real queries that the data has in dev and test; their documents get no queries.

    Examples:

        nearfield synthesise handbook --to queries.jsonl
        nearfield synthesise my-data --to my-synthetic --style question --style title
        nearfield synthesise my-data --to my-synthetic --with ./smollm2 --documents 500
        nearfield synthesise my-data --to queries.jsonl --with openai:gpt-5-mini --price 0.25,2
            --max-spend 5
    """
    from nearfield.train.synthesis.synthesise import Selection
    from nearfield.train.synthesis.synthesise import synthesise as write
    from nearfield.train.synthesis.writer import Order

    encoder = None if retriever == "bm25" else open_model(retriever)
    order = Order(per_document, tuple(style or ()), tuple(language or ()), seed=seed)
    selection = Selection(documents, examples, top, overlap, tuple(without or ()))
    with progress_bar(f"writing with {writer}") as progress:
        made = write(
            source,
            to,
            writer=writer,
            order=order,
            selection=selection,
            retriever=encoder,
            price=None if price is None else price_of(price),
            progress=progress,
        )
    if json:
        emit_json(made)
    else:
        _show(made)


def price_of(text: str) -> tuple[float, float]:
    """The two prices that --price states. Raises InputError for anything else."""
    from nearfield.errors import InputError

    found = numbers(text, "--price", float, example="0.25,2")
    if len(found) != 2 or not all(0 <= each < float("inf") for each in found):
        raise InputError(f"--price has {text!r}; wanted two prices of 0 or more, as 0.25,2")
    return found[0], found[1]


def _show(made: Synthetic) -> None:
    from nearfield.types.numbers import p_value, plural, score

    for note in made.notes:
        out.say(note)
    if made.held_out:
        out.say(f"{plural(made.held_out, 'document')} judged by held-out splits got no query")
    if made.unanswered:
        out.say(f"for {plural(made.unanswered, 'document')} none was written")
    if made.fewer:
        out.say(f"for {plural(made.fewer, 'document')} fewer than ordered were written")
    table = empty_table(["gate"], ["came", "kept"])
    for passed in made.gates:
        table.add_row(passed.gate, f"{passed.came:,}", f"{passed.kept:,}")
    out.print(table)
    for name, each in (("written", made.before), ("kept", made.after)):
        if each is not None:
            out.say(
                f"{name}, beside {plural(each.real, 'real query')}: length differs by "
                f"D = {score(each.distance)}, {p_value(each.p)}; {each.questions:.0%} are questions"
            )
    styles = ", ".join(f"{count:,} {style}" for style, count in made.styles.items())
    out.say(f"{made.path}: {plural(made.kept, 'query')} for {made.documents:,} documents: {styles}")
