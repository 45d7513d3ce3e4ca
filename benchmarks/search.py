"""Search over vectors: exact at each storage type beside a plain read of memory, numpy, faiss and
usearch; shortlists beside exact.

    python benchmarks/search.py [--vectors FILE.npy --queries FILE.npy] [--rows 1000000] [--rounds
        9] [--recall .98]
                                [--peers-python PYTHON] [--growth] [--save] [--json]

One query at a time, and 256 together. All sides run in turn in one round, each for five queries one
after the other, whose mean is taken: the first finds the processor asleep. A ratio is of one round;
the median over rounds is given with the least and the greatest. The read is of the same float32
memory, on as many threads as search takes. Without `--vectors` the vectors are random, for which no
shortlist is short: recall then says nothing. `--peers-python` is a Python with faiss-cpu and
usearch.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from interleave import Child, SideError, interleaved, ratios, timed
from results import circumstances, save

from nearfield.errors import InputError
from nearfield.indexes.exact import Exact
from nearfield.indexes.funnel import Funnel
from nearfield.indexes.recall import narrowest
from nearfield.indexes.scan import numpy_scan
from nearfield.indexes.signs import Signs
from nearfield.indexes.turns import in_turns
from nearfield.runtimes.hardware import cores
from nearfield.similarity.dense import STORAGES, Dense

HERE = Path(__file__).parent
K = 10
JUDGED = 200  # queries that recall is taken over
TOGETHER = 256
IN_A_ROW = 5  # queries, one at a time, of a timing


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        documents, queries = _vectors(arguments, Path(folder))
        result = circumstances() | _measured(documents, queries, arguments, Path(folder))
        if arguments.growth:
            rows = [
                len(documents) >> by for by in range(5, -1, -1) if len(documents) >> by >= 1_000
            ]
            result["growth"] = [
                {"rows": n} | _seconds_of(documents[:n], queries, arguments.rounds) for n in rows
            ]
    if arguments.save:
        print(save("search", result))
    print(json.dumps(result, indent=1) if arguments.json else _shown(result))


def _measured(
    documents: Dense, queries: Dense, arguments: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    turn = _in_turn(len(queries))
    sides: dict[str, Callable[[], float]] = {"read": timed(lambda: _read(documents, folder))}
    stored = {storage: documents.quantise(storage) for storage in STORAGES}
    for storage, vectors in stored.items():
        index = Exact(vectors)
        sides[f"exact {storage}"] = timed(lambda index=index: index.search(next(turn)(queries), K))
    facts, indexes = {}, {}
    sample, judged = queries[JUDGED : 2 * JUDGED], queries[:JUDGED]
    exact = Exact(documents)
    wanted = exact.search(judged, K).documents
    for kind in (Signs, Funnel):
        try:
            indexes[kind.kind] = narrowest(
                kind, documents, k=K, recall=arguments.recall, sample=sample
            )
        except InputError as error:
            facts[kind.kind] = {"failed": str(error)}
            continue
        index = indexes[kind.kind]
        sides[index.kind] = timed(lambda index=index: index.search(next(turn)(queries), K))
        recall = _recall(index.search(judged, K).documents, wanted)
        facts[index.kind] = {
            "recall": recall,
            "oversampling": index.oversampling,
            "bytes_per_document": round(index.bytes_per_document, 1),
        }
    asked = queries.floats()
    sides["numpy float32"] = timed(lambda: numpy_scan(asked[:1], documents, K))
    peers = _peers(arguments, folder)
    for name, peer in peers.items():
        sides[name] = lambda peer=peer: float(peer.ask(first=0, last=1)["seconds"])
        facts[name] = {"recall": _recall(np.array(peer.ask(first=0, last=JUDGED)["found"]), wanted)}
    for side in sides.values():
        side()  # not counted: the first run warms up, and that of the read compiles it
    seconds = interleaved({name: _in_a_row(side) for name, side in sides.items()}, arguments.rounds)
    together = {"exact float32": timed(lambda: exact.search(queries[:TOGETHER], K))}
    together |= {
        name: lambda peer=peer: float(peer.ask(first=0, last=TOGETHER)["seconds"])
        for name, peer in peers.items()
    }
    batch = interleaved(together, max(1, arguments.rounds // 3))
    for peer in peers.values():
        peer.close()
    return {
        "rows": len(documents),
        "dim": documents.dim,
        "vectors": "random" if arguments.vectors is None else Path(arguments.vectors).name,
        "threads": cores(),
        "read_gb_per_second": round(documents.vectors.nbytes / min(seconds["read"]) / 1e9, 2),
        "one query": _table(seconds, facts, stored),
        f"{TOGETHER} queries": {name: _rate(each, documents) for name, each in batch.items()},
    }


def _rate(seconds: list[float], documents: Dense) -> dict[str, float]:
    operations = 2 * documents.vectors.size * TOGETHER
    return {
        "seconds": round(statistics.median(seconds), 4),
        "gflops": round(operations / min(seconds) / 1e9, 1),
    }


def _table(
    seconds: dict[str, list[float]], facts: dict[str, Any], stored: dict[str, Dense]
) -> dict[str, Any]:
    """For each side its milliseconds, its ratio to exact float32, and for exact search the share of
    the read's bandwidth.
    """
    against = ratios(seconds, "exact float32")
    table: dict[str, Any] = {name: facts[name] for name in facts if name not in seconds}
    for name, own in seconds.items():
        table[name] = (
            {"milliseconds": round(1000 * statistics.median(own), 3)}
            | against[name]
            | facts.get(name, {})
        )
    for storage, vectors in stored.items():
        each = [
            read / own
            for read, own in zip(seconds["read"], seconds[f"exact {storage}"], strict=True)
        ]
        size = vectors.vectors.nbytes / stored["float32"].vectors.nbytes
        table[f"exact {storage}"]["share_of_read"] = round(size * statistics.median(each), 3)
    return table


def _shown(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    about = (
        "{rows:,} x {dim}, vectors {vectors}, {threads} threads, memory read at "
        "{read_gb_per_second} GB/s"
    ).format(**result)
    lines = [about] + [
        f"{name:16} {facts['milliseconds']:10.3f} ms {facts['ratio']:7.2f}x "
        f"[{facts['least']:.2f}, {facts['greatest']:.2f}]"
        + "".join(
            f"  {key} {facts[key]}"
            for key in ("share_of_read", "recall", "bytes_per_document")
            if key in facts
        )
        if "ratio" in facts
        else f"{name:16} {facts}"
        for name, facts in result["one query"].items()
    ]
    lines += [
        f"{TOGETHER} queries, {name}: {facts}"
        for name, facts in result[f"{TOGETHER} queries"].items()
    ]
    return "\n".join(lines + [str(row) for row in result.get("growth", ())])


def _seconds_of(documents: Dense, queries: Dense, rounds: int) -> dict[str, float]:
    turn = _in_turn(len(queries))
    exact, signs, funnel = Exact(documents), Signs.of(documents), Funnel.of(documents)
    sides = {
        "exact": timed(lambda: exact.search(next(turn)(queries), K)),
        "binary": timed(lambda: signs.search(next(turn)(queries), K)),
        "funnel": timed(lambda: funnel.search(next(turn)(queries), K)),
    }
    return {
        name: round(1000 * statistics.median(each), 3)
        for name, each in interleaved(sides, rounds, rest=0.02).items()
    }


def _in_a_row(side: Callable[[], float]) -> Callable[[], float]:
    return lambda: sum(side() for _ in range(IN_A_ROW)) / IN_A_ROW


def _in_turn(n: int) -> Iterator[Callable[[Dense], Dense]]:
    """One query after the other, so that no side meets one that lies in the cache."""
    at = 0
    while True:
        yield lambda queries, at=at: queries[at : at + 1]
        at = (at + 1) % n


def _read(documents: Dense, folder: Path) -> None:
    library = folder / "read.so"
    if not library.exists():
        subprocess.run(
            [
                "cc",
                "-O3",
                "-march=native",
                "-ffast-math",
                "-shared",
                "-fPIC",
                str(HERE / "read.c"),
                "-o",
                str(library),
            ],
            check=True,
        )
    read = ctypes.CDLL(str(library)).read_floats
    read.argtypes, read.restype = (ctypes.c_void_p, ctypes.c_ssize_t), ctypes.c_float
    flat = documents.vectors.reshape(-1)

    def work(turns: Iterator[int]) -> None:
        for start in turns:
            part = flat[start : start + (1 << 20)]
            read(part.ctypes.data, len(part))

    in_turns(work, range(0, len(flat), 1 << 20), most=cores())


def _recall(found: np.ndarray, wanted: np.ndarray) -> float:
    shares = [
        len(set(a) & set(b)) / K for a, b in zip(found.tolist(), wanted.tolist(), strict=True)
    ]
    return round(float(np.mean(shares)), 4)


def _peers(arguments: argparse.Namespace, folder: Path) -> dict[str, Child]:
    if arguments.peers_python is None:
        return {}
    files = [str(arguments.vectors or folder / "vectors.npy"), str(folder / "queries.npy")]
    peers = {}
    for library in ("faiss", "usearch"):
        child = Child(
            [
                arguments.peers_python,
                str(HERE / "search_peer.py"),
                library,
                *files,
                str(arguments.rows),
            ]
        )
        try:
            child.ask(first=0, last=1)
        except SideError as error:
            sys.stderr.write(f"{library} is left out: {error}\n")
            continue
        peers[library] = child
    return peers


def _vectors(arguments: argparse.Namespace, folder: Path) -> tuple[Dense, Dense]:
    """Documents in memory and queries, of unit length, and the queries as a file."""
    generator = np.random.default_rng(0)
    if arguments.vectors is None:
        vectors = generator.standard_normal((arguments.rows, arguments.dim), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        queries = generator.standard_normal((2 * JUDGED, arguments.dim), np.float32)
        if arguments.peers_python:
            np.save(folder / "vectors.npy", vectors)
    else:
        vectors = np.ascontiguousarray(np.load(arguments.vectors, mmap_mode="r")[: arguments.rows])
        queries = (
            np.load(arguments.queries)[: 2 * JUDGED]
            if arguments.queries
            else vectors[:: len(vectors) // (2 * JUDGED)][: 2 * JUDGED]
        )
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    np.save(folder / "queries.npy", queries)
    return (Dense(each, each.shape[1], similarity="dot") for each in (vectors, queries))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--vectors", metavar="FILE", help="float32 (n, dim); a vector folder's vectors.npy will do"
    )
    parser.add_argument(
        "--queries",
        metavar="FILE",
        help="float32 (400 or more, dim); without it, some of the vectors",
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384, help="of random vectors")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--recall", type=float, default=0.98)
    parser.add_argument("--peers-python", metavar="PYTHON")
    parser.add_argument("--growth", action="store_true", help="also by the number of rows")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--save", action="store_true", help="write the result under benchmarks/results"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
