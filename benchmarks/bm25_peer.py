"""The peers' side of bm25.py, run by the Python that has them: builds its index and searches it
when it is asked.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interleave import serve

WORD = r"(?u)[^\W_]{2,}"
K = 10


class Side:
    """bm25s, with or without numba, or tantivy, over the texts of a file."""

    def __init__(self, peer: str, texts: str) -> None:
        given = json.loads(Path(texts).read_text(encoding="utf-8"))
        self._documents, self._queries = given["documents"], given["queries"]
        self._build = self._tantivy if peer == "tantivy" else self._bm25s
        self._numba = peer.endswith("numba")
        self._search: Callable[[], Any] = lambda: None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """`build`: seconds and the greatest memory so far; `search`: seconds, and the scores where
        they are asked for.
        """
        started = time.perf_counter()
        if request["do"] == "build":
            self._build()
            seconds = time.perf_counter() - started
            self._search()  # what is compiled when it is first used is not counted
            return {
                "build_seconds": round(seconds, 2),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        found = self._search()
        seconds = time.perf_counter() - started
        return {"seconds": seconds} | ({"scores": found} if request.get("scores") else {})

    def _bm25s(self) -> None:
        import bm25s
        import Stemmer

        stemmer = Stemmer.Stemmer("english")

        def tokens(texts: list[str], ids: bool) -> Any:
            return bm25s.tokenize(
                texts,
                token_pattern=WORD,
                stopwords="en",
                stemmer=stemmer,
                show_progress=False,
                return_ids=ids,
            )

        index = bm25s.BM25(
            k1=1.5, b=0.75, method="lucene", backend="numba" if self._numba else "numpy"
        )
        index.index(tokens(self._documents, True), create_empty_token=False, show_progress=False)

        def search() -> list[list[float]]:
            found = index.retrieve(
                tokens(self._queries, False),
                k=K,
                show_progress=False,
                n_threads=-1 if self._numba else 0,
            )
            return found.scores.tolist()

        self._search = search

    def _tantivy(self) -> None:
        import tantivy

        builder = tantivy.SchemaBuilder()
        builder.add_text_field("text", stored=False, tokenizer_name="en_stem")
        index = tantivy.Index(builder.build())
        writer = index.writer(heap_size=256_000_000)
        for text in self._documents:
            writer.add_document(tantivy.Document(text=text))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        searcher = index.searcher()
        # no operators
        queries = [
            "".join(letter if letter.isalnum() else " " for letter in query.lower())
            for query in self._queries
        ]

        def search() -> None:
            for query in queries:
                searcher.search(index.parse_query(query, ["text"]), K)

        self._search = search


if __name__ == "__main__":
    serve(Side(*sys.argv[1:]).answer)
