"""`nearfield models lexical`: BM25 or TF-IDF fitted on documents, as a folder that is opened like
any model's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, out


def lexical(
    on: Annotated[
        str,
        typer.Argument(metavar="DATA", help=f"The documents that words are counted in: {FORMATS}."),
    ],
    to: Annotated[Path, typer.Option(help="The folder to write.")],
    weighting: Annotated[str, typer.Option(help="bm25 or tfidf.")] = "bm25",
    language: Annotated[
        str,
        typer.Option(help="A Snowball stemmer, as english or german; none for words as they are."),
    ] = "english",
    k1: Annotated[
        float, typer.Option(help="BM25's, from 0: how much a repeated word still adds.")
    ] = 1.5,
    b: Annotated[
        float, typer.Option(help="BM25's, 0 to 1: how much long texts are held back.")
    ] = 0.75,
    json: Json = False,
) -> None:
    """Fit a bag of words on a collection's documents, for encode, search and evaluate to use as any
    other model.

    Its vectors are sparse: a query's and a document's dot product is their BM25 score, or the
    cosine of their TF-IDF vectors. Texts that are encoded later are weighted by these documents;
    words that none of them has are left out and counted.

    Examples:

        nearfield models lexical my-data --to models/bm25
        nearfield models lexical my-data --to models/tfidf --weighting tfidf --language german
    """
    from nearfield.data.open import open_collection
    from nearfield.encoders.lexical import BagOfWords, Lexical
    from nearfield.store.atomic import check_replaceable

    bag = BagOfWords(weighting, k1, b, None if language == "none" else language)
    check_replaceable(to, marker="lexical.json", what="a bag of words")
    data = open_collection(on)
    fitted = Lexical.fit(data.document_texts, bag)
    fitted.save(to)
    if json:
        facts = {
            "weighting": weighting,
            "documents": len(data.document_ids),
            "terms": len(fitted.terms),
        }
        emit_json({"folder": to} | facts | {"mean_length": fitted.mean_length})
        return
    size = (
        f"{len(fitted.terms):,} terms of {len(data.document_ids):,} documents, "
        f"{fitted.mean_length:,.1f} words each on average"
    )
    out.say(f"{to}: {weighting}, {size}")
