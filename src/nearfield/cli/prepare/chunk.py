"""`nearfield chunk`: long documents cut into chunks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, out
from nearfield.cli.opened import Data

if TYPE_CHECKING:
    from nearfield.data.chunk.chunks import Starts


def chunk(
    source: Data,
    to: Annotated[
        Path,
        typer.Option(
            help="A .jsonl file for the chunks alone, or a folder for chunks, queries and "
            "judgements; never replaced."
        ),
    ],
    by: Annotated[
        str,
        typer.Option(help="Where to cut: recursive, sentences, tokens, headings or code."),
    ] = "recursive",
    size: Annotated[int, typer.Option(help="The most tokens of a chunk.")] = 200,
    overlap: Annotated[
        int, typer.Option(help="The most tokens that a chunk repeats of the one before it.")
    ] = 0,
    model: Annotated[
        str | None,
        typer.Option(help="Count the tokens of this model.", show_default="words are counted"),
    ] = None,
    json: Json = False,
) -> None:
    """Cut the documents of a collection into chunks that a model reads whole, each with its
    document, its place in that one's text, and the headings over it.

    Examples:

        nearfield chunk handbook --to chunks.jsonl --by headings
        nearfield chunk my-data --to chunks.jsonl --by sentences --size 200 --overlap 20
        nearfield chunk my-data --to my-chunks --by tokens --model minilm --size 254
    """
    from nearfield.data.chunk import SPLITTERS
    from nearfield.data.chunk.chunks import check_sizes, chunks, words
    from nearfield.data.chunk.collection import write_chunks, write_judged_chunks
    from nearfield.data.open import open_collection
    from nearfield.store.atomic import check_new

    check_sizes(size, overlap)
    SPLITTERS[by]  # an unknown name is an error before any work
    check_new(to)
    collection = open_collection(source)
    starts = words if model is None else _tokens(model)
    write = write_chunks if to.suffix.lower() == ".jsonl" else write_judged_chunks
    cut = partial(chunks, by=by, size=size, overlap=overlap, starts=starts)
    count = write(collection, cut, to)
    documents = len(collection.documents)
    if json:
        emit_json({"documents": documents, "chunks": count, "written": str(to)})
    else:
        out.say(f"{documents:,} documents in {count:,} chunks")
        out.say(f"written: {to}")


def _tokens(model: str) -> Starts:
    from nearfield.batch.open_tokenizer import open_tokenizer
    from nearfield.data.chunk.chunks import tokens_of
    from nearfield.models.find import model_path

    return tokens_of(open_tokenizer(model_path(model))[0])
