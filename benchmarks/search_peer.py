"""The peers' side of search.py, run by the Python that has them: it searches when it is asked and
says how long it took.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from interleave import serve


class Side:
    """faiss IndexFlatIP or usearch's exact search over the vectors of a file, on as many threads as
    there are processors.
    """

    def __init__(self, library: str, vectors: str, queries: str, rows: int) -> None:
        self._library, self._k = library, 10
        self._vectors = np.ascontiguousarray(np.load(vectors, mmap_mode="r")[:rows])
        self._queries = np.ascontiguousarray(np.load(queries))
        if library == "faiss":
            import faiss

            self._index = faiss.IndexFlatIP(self._vectors.shape[1])
            self._index.add(self._vectors)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The seconds and the positions found for queries first..last-1."""
        asked = self._queries[request["first"] : request["last"]]
        started = time.perf_counter()
        if self._library == "faiss":
            found = self._index.search(asked, self._k)[1]
        else:
            from usearch.index import MetricKind, search

            found = np.atleast_2d(
                search(self._vectors, asked, self._k, MetricKind.IP, exact=True).keys
            )
        return {"seconds": time.perf_counter() - started, "found": found.tolist()}


if __name__ == "__main__":
    library, vectors, queries, rows = sys.argv[1:]
    serve(Side(library, vectors, queries, int(rows)).answer)
