"""Encoding on a CPU beside sentence-transformers: both sides in turn in one process, ratios with their spread, fidelity beside speed.

    python benchmarks/encode_cpu.py [MODEL] [--rounds 5] [--texts 256] [--json]

Documents and queries are those of the collection `stdlib`. A ratio is sentence-transformers' seconds (float32, its default batch of 32)
over ours in the same round; the median over rounds is given with the least and the greatest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from nearfield import load_encoder, open_collection
from nearfield.encoders.fetch import fetch
from nearfield.train.environment import environment


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    collection = open_collection("stdlib")
    rows = np.linspace(0, len(collection.documents) - 1, arguments.texts).astype(int)
    texts = {"document": [collection.document_texts[int(at)] for at in rows], "query": [collection.query_texts[int(at)] for at in rows]}
    peer = SentenceTransformer(str(fetch(arguments.model) if "/" not in arguments.model else arguments.model), device="cpu")
    peer_encode = {"document": peer.encode_document, "query": peer.encode_query}
    results = []
    for role, chosen in texts.items():
        reference = peer_encode[role](chosen)
        for precision in ("float32", "bfloat16"):
            encoder = load_encoder(arguments.model, precision=precision)
            vectors = encoder.encode(chosen, role).vectors
            ratios = _ratios(lambda: encoder.encode(chosen, role), lambda: peer_encode[role](chosen), arguments.rounds)  # noqa: B023
            results.append(
                {"texts": role, "precision": precision, "ratio": round(statistics.median(ratios), 2), "least": round(min(ratios), 2),
                 "greatest": round(max(ratios), 2), "least_cosine": round(float((vectors * reference).sum(1).min()), 6)}
            )  # fmt: skip
    facts = {"model": arguments.model, "texts": arguments.texts, "rounds": arguments.rounds, "machine": environment("auto")}
    if arguments.json:
        print(json.dumps(facts | {"results": results}, indent=1))
        return
    print(f"{arguments.model}, {torch.get_num_threads()} threads; sentence-transformers' seconds over ours")
    for row in results:
        print("{texts:9} {precision:9} {ratio:5.2f}x [{least:.2f}, {greatest:.2f}]  least cosine {least_cosine:.6f}".format(**row))


def _ratios(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> Sequence[float]:
    ratios = []
    for _ in range(rounds):
        seconds = []
        for side in (theirs, ours):
            started = time.perf_counter()
            side()
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    return ratios


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="minilm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
