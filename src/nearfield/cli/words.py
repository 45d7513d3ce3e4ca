"""`nearfield words`: neighbours and analogies of word vectors, and scores on published tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, empty_table, out, progress_bar

if TYPE_CHECKING:
    from nearfield.evaluate.tasks.word_analogies import SectionAccuracy

words = typer.Typer(
    no_args_is_help=True,
    help="Neighbours and analogies of word vectors, and how well they do on published tests.",
)

Vectors = Annotated[
    str,
    typer.Argument(
        metavar="VECTORS",
        help="A word2vec, GloVe or fastText (.vec) file, or a static model's folder.",
    ),
]
Test = Annotated[Path, typer.Option("--on", metavar="FILE", help="The test.")]
First = Annotated[
    int,
    typer.Option(min=1, help="How many of the words count; files have the most frequent first."),
]
Case = Annotated[
    bool,
    typer.Option(
        "--case/--no-case", help="Whether words that differ in case only are different words."
    ),
]
FIRST = 300_000  # as in evaluate.tasks.known_words, which is not imported for a quick start


@words.command()
def nearest(
    vectors: Vectors,
    word: Annotated[list[str], typer.Argument(metavar="WORD...", help="The words that are added.")],
    minus: Annotated[
        list[str] | None, typer.Option(help="A word that is subtracted. Repeatable.")
    ] = None,
    k: Annotated[int, typer.Option(min=1, help="How many words to show.")] = 10,
    json: Json = False,
) -> None:
    """The words nearest to a word, or to a sum and difference of words; higher is closer.

    Examples:

        nearfield words nearest glove.6B.50d.txt physics
        nearfield words nearest glove.6B.50d.txt king woman --minus man
    """
    from nearfield.data.word_vectors import WordVectors
    from nearfield.retrieval.words import nearest_words

    found = nearest_words(WordVectors.open(vectors), word, negative=minus or (), k=k)
    if json:
        emit_json([{"word": text, "cosine": score} for text, score in found])
        return
    for text, score in found:
        out.print(f"{score:.4f}  {text}", highlight=False)


@words.command()
def analogies(
    vectors: Vectors, on: Test, first: First = FIRST, case: Case = False, json: Json = False
) -> None:
    """How many analogies (a is to b as c is to ...) the vectors answer rightly, by section.

    The answer is the word nearest to b - a + c that is none of the three. Questions with an unknown
    word are left out and counted. The figures are gensim's.

    Examples:

        nearfield words analogies glove.6B.50d.txt --on questions-words.txt
        nearfield words analogies GoogleNews-vectors-negative300.bin --on questions-words.txt
            --first 30000
    """
    from nearfield.data.readers.word_tests import read_analogies
    from nearfield.data.word_vectors import WordVectors
    from nearfield.evaluate.tasks.word_analogies import word_analogies

    asked = read_analogies(on)
    with progress_bar("analogies") as progress:
        rows = word_analogies(
            WordVectors.open(vectors), asked, first=first, fold_case=not case, progress=progress
        )
    if json:
        emit_json([{**vars(row), "accuracy": row.accuracy} for row in rows])
    else:
        _show(rows)


@words.command()
def similarity(
    vectors: Vectors, on: Test, first: First = FIRST, case: Case = False, json: Json = False
) -> None:
    """The rank correlation of the words' cosines with how alike people find them.

    Pairs with an unknown word are left out and counted. The figures are gensim's.

    Examples:

        nearfield words similarity glove.6B.50d.txt --on wordsim353.tsv
        nearfield words similarity ./potion-base-8M --on simlex999.txt --json
    """
    from nearfield.data.readers.word_tests import read_word_pairs
    from nearfield.data.word_vectors import WordVectors
    from nearfield.evaluate.tasks.word_similarity import word_similarity

    pairs = read_word_pairs(on)
    found = word_similarity(WordVectors.open(vectors), pairs, first=first, fold_case=not case)
    if json:
        emit_json(found)
        return
    figures = f"Spearman {found.spearman:.4f}, Pearson {found.pearson:.4f}"
    out.print(
        f"{figures} on {found.pairs:,} pairs; {found.unknown:,} left out for an unknown word",
        highlight=False,
    )


def _show(rows: list[SectionAccuracy]) -> None:
    table = empty_table(["section"], ["accuracy", "correct", "asked", "unknown"])
    for row in rows:
        counts = (f"{row.correct:,}", f"{row.asked:,}", f"{row.unknown:,}")
        style = "bold" if row is rows[-1] else None  # the total
        table.add_row(row.section, f"{row.accuracy:.4f}", *counts, style=style)
    out.print(table)
