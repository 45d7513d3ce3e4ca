"""A SPLADE model's encode speed on a CPU beside sentence-transformers, with fidelity.

    python benchmarks/splade.py [MODEL] [--texts 96] [--rounds 5] [--save] [--json]

MODEL is a sparse model's folder; without one, minilm with the head that `nearfield models head
minilm splade` gives it. Sides take turns in one process on the same paragraphs and the same
queries. A ratio is sentence-transformers' seconds (its SparseEncoder, float32, its default batches)
over a side's in the same round; cosines are of a text's weights to its.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from interleave import interleaved, ratios, timed
from results import circumstances, parsed, save
from sentence_transformers.sparse_encoder import SparseEncoder
from texts import timed_texts

from nearfield import load
from nearfield.models.surgery.new_head import new_head

ROLES = {"paragraphs": "document", "queries": "query"}
OURS = (("native", "float32"), ("native", "int8"), ("torch", "float32"))
PEER = "sentence-transformers torch float32"


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    texts, origin = timed_texts(arguments.texts)
    result: dict[str, Any] = circumstances() | {
        "texts_from": origin,
        "rounds": arguments.rounds,
        "not_run": {},
    }
    with tempfile.TemporaryDirectory() as work:
        folder = arguments.model or str(
            new_head("minilm", "splade", to=Path(work) / "minilm-splade").path
        )
        result |= {"model": Path(folder).name, "sides": {}}
        for kind, chosen in texts.items():
            result["sides"][kind] = compare(folder, chosen, ROLES[kind], arguments.rounds)
    if arguments.save:
        print(save("splade", result))
    print(json.dumps(result, indent=1) if arguments.json else _table(result))


def compare(folder: str, texts: list[str], role: str, rounds: int) -> dict[str, dict[str, Any]]:
    """Each side's texts a second, its ratio with spread, and its weights' cosines to the peer's."""
    peer = SparseEncoder(folder, device="cpu")
    asked: Any = peer.encode_query if role == "query" else peer.encode_document
    wanted = asked(texts, convert_to_sparse_tensor=False).numpy()
    sides: dict[str, Callable[[], float]] = {PEER: timed(lambda: asked(texts))}
    facts: dict[str, dict[str, Any]] = {PEER: {}}
    for runtime, precision in OURS:
        encoder, name = (
            load(folder, runtime=runtime, precision=precision),
            f"nearfield {runtime} {precision}",
        )
        sides[name] = timed(lambda encoder=encoder: encoder.encode(texts, role))
        cosines = _cosines(encoder.encode(texts, role).matrix().toarray(), wanted)
        facts[name] = {
            "least_cosine": round(float(cosines.min()), 6),
            "mean_cosine": round(float(cosines.mean()), 6),
        }
    for side in sides.values():
        side()  # not counted: the first run warms up
    seconds = interleaved(sides, rounds)
    rates = {
        name: {"texts_per_second": round(len(texts) / statistics.median(own), 2)}
        for name, own in seconds.items()
    }
    return {name: row | facts[name] | rates[name] for name, row in ratios(seconds, PEER).items()}


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-12)


def _table(result: dict[str, Any]) -> str:
    lines = ["{model}, texts of {texts_from}".format(**result)]
    for kind, sides in result["sides"].items():
        for name, row in sides.items():
            cosine = f"  cosine {row['least_cosine']:.6f} at least" if "least_cosine" in row else ""
            rate = f"{row['texts_per_second']:9.2f} texts/s"
            lines.append(
                f"{kind:10} {name:36} {rate}  {row['ratio']:.2f}x [{row['least']:.2f}, "
                f"{row['greatest']:.2f}]{cosine}"
            )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", nargs="?", help="a sparse model's folder; without one, a new head on minilm"
    )
    parser.add_argument(
        "--texts", type=int, default=96, help="paragraphs, and queries, that are timed"
    )
    parser.add_argument("--rounds", type=int, default=5)
    return parsed(parser)


if __name__ == "__main__":
    main()
