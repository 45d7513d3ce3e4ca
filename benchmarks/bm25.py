"""BM25 beside bm25s (with numba where it is installed) and tantivy: building, queries a second,
memory, and whether the scores agree.

    python benchmarks/bm25.py [--documents 55000] [--queries 500] [--rounds 5] [--corpus FILE.jsonl]
        [--peers-python PYTHON]
                              [--save] [--json]

Documents and queries are those of the collection `stdlib`, repeated with other words between until
there are enough, or the `text` of each line of `--corpus`. All sides search for 10 documents a
query, in turn. tantivy cuts words, stems and scores by its own rules (its lengths are rounded to a
byte), so its scores are not compared. `--peers-python` is a Python with bm25s, numba, PyStemmer and
tantivy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from interleave import Child, SideError, interleaved, ratios, timed
from results import circumstances, save

from nearfield import open_collection
from nearfield.retrieval.bm25 import bm25, bytes_per_document

HERE = Path(__file__).parent
K = 10


def main() -> None:
    arguments = _arguments()
    documents, queries = _texts(arguments)
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.json"
        texts.write_text(json.dumps({"documents": documents, "queries": queries}), encoding="utf-8")
        result = (
            circumstances()
            | {"documents": len(documents), "queries": len(queries)}
            | _measured(documents, queries, texts, arguments)
        )
    if arguments.save:
        print(save("bm25", result))
    print(json.dumps(result, indent=1) if arguments.json else _table(result["sides"]))


def _measured(
    documents: list[str], queries: list[str], texts: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    started = time.perf_counter()
    index = bm25(documents)
    facts: dict[str, Any] = {
        "nearfield": {"build_seconds": round(time.perf_counter() - started, 2)}
    }
    facts["nearfield"]["bytes_per_document"] = round(bytes_per_document(index), 1)
    own = index.find(queries, K).scores
    sides: dict[str, Callable[[], float]] = {
        "nearfield": timed(lambda: index.find(queries, K)),
        "nearfield, one at a time": timed(lambda: [index.find([query], K) for query in queries]),
    }
    children = []
    for peer in ("bm25s", "bm25s numba", "tantivy") if arguments.peers_python else ():
        child = Child([arguments.peers_python, str(HERE / "bm25_peer.py"), peer, str(texts)])
        try:
            facts[peer] = child.ask(do="build")
            scores = child.ask(do="search", scores=True).get("scores")
        except SideError as error:
            sys.stderr.write(f"{peer} is left out: {error}\n")
            facts.pop(peer, None)
            continue
        if scores is not None:
            facts[peer]["greatest_score_difference"] = _difference(own, scores)
        children.append(child)
        sides[peer] = lambda child=child: float(child.ask(do="search")["seconds"])
    seconds = interleaved(sides, arguments.rounds)
    for child in children:
        child.close()
    against = ratios(seconds, "bm25s numba" if "bm25s numba" in seconds else "nearfield")
    for name, each in seconds.items():
        speed = {"queries_per_second": round(len(queries) / statistics.median(each), 1)}
        facts[name] = facts.get(name, {}) | speed | against[name]
    return {"sides": facts}


def _table(sides: dict[str, dict[str, Any]]) -> str:
    lines = []
    for name, facts in sides.items():
        rest = "".join(
            f"  {key} {facts[key]}"
            for key in ("build_seconds", "greatest_score_difference")
            if key in facts
        )
        speed = (
            "{queries_per_second:10,.1f} queries/s {ratio:7.2f}x [{least:.2f}, {greatest:.2f}]"
        ).format(**facts)
        lines.append(f"{name:26} {speed}{rest}")
    return "\n".join(lines)


def _difference(own: np.ndarray, theirs: list[list[float]]) -> float:
    """The greatest difference of a score at the same rank; a rank that holds no result counts as a
    score of 0.
    """
    return float(np.abs(np.where(np.isfinite(own), own, 0) - np.array(theirs, np.float32)).max())


def _texts(arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    collection = open_collection("stdlib")
    queries = [
        collection.query_texts[int(at)]
        for at in np.linspace(0, len(collection.query_texts) - 1, arguments.queries)
    ]
    if arguments.corpus is not None:
        with open(arguments.corpus, encoding="utf-8") as lines:
            return [json.loads(line)["text"] for line in lines][: arguments.documents], queries
    texts = list(collection.document_texts)
    generator = np.random.default_rng(0)
    words = " ".join(texts).split()
    # pieces of as many words as documents have, from anywhere
    while len(texts) < arguments.documents:
        at, length = int(generator.integers(0, len(words) - 200)), int(generator.integers(20, 200))
        texts.append(" ".join(words[at : at + length]))
    return texts[: arguments.documents], queries


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=55_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--corpus", metavar="FILE")
    parser.add_argument("--peers-python", metavar="PYTHON")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--save", action="store_true", help="write the result under benchmarks/results"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
