"""Tune a model on pairs, read the verdict, and search with what came out.

python examples/tune_and_search.py PAIRS RUN_FOLDER [MODEL]

PAIRS is a file of rows with a query and a positive.
"""

import sys
from pathlib import Path

from nearfield import Recipe, load, open_collection, tune
from nearfield.indexes.index import exact_index


def main(pairs: str, run: str, model: str = "minilm") -> None:
    collection = open_collection(pairs)
    recipe = Recipe.of(
        {"schedule": {"epochs": 1, "evaluations": 2}, "objective": {"temperature": 0.05}}
    )
    verdict = tune(model, collection, to=run, recipe=recipe)
    print(
        f"{verdict.outcome}: {verdict.difference.mean:+.3f} {verdict.measure} on "
        f"{verdict.queries} queries, p = {verdict.p:.4f}"
    )

    tuned = load(Path(run) / "model")
    documents = tuned.encode(collection.document_texts, "document")
    query = tuned.encode([collection.query_texts[0]], "query")
    found = exact_index(documents).search(query, 3)
    for document, score in found.named(["asked"], collection.document_ids).of(0):
        print(f"{score:.3f} {document}")


if __name__ == "__main__":
    main(*sys.argv[1:])
