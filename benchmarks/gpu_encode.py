"""Encoding on a GPU beside sentence-transformers at its best settings: both sides in turn, ratios, absolute figures, share of the peak.

    python benchmarks/gpu_encode.py [MODEL] [--rounds 5] [--texts 4096] [--cpu] [--save] [--json]

sentence-transformers runs in float32, float16 and bfloat16, at the best of three batch sizes. The share is of the device's own measured
matrix products at the side's precision. `--cpu` runs it where there is no GPU, to show that it still runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from interleave import interleaved, ratios, timed
from machine import gemm_limits
from results import circumstances, save
from texts import timed_texts

from nearfield.encoders.load import load_encoder, model_path

REFERENCE = "sentence-transformers float32"
BATCHES = (32, 128, 512)


def main() -> None:
    arguments = _arguments()
    device = "cpu" if arguments.cpu else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU here; --cpu runs this on the processor")
    model = str(model_path(arguments.model))
    texts, origin = timed_texts(arguments.texts)
    result = circumstances() | {"model": arguments.model, "texts_from": origin, "device": device, "sides": {}}
    result["gemm_limits"] = gemm_limits(seconds=arguments.gemm_seconds)
    sides = _sides(model, device)
    for name, role in (("paragraphs", "document"), ("queries", "query")):
        chosen = texts[name]
        vectors = {side: encode(chosen, role) for side, encode in sides.items()}  # not timed: the first run warms up
        calls = {side: timed(lambda encode=encode: encode(chosen, role)) for side, encode in sides.items()}  # noqa: B023
        seconds = interleaved(calls, arguments.rounds)
        found = ratios(seconds, REFERENCE)
        for side, made in vectors.items():
            lengths = np.linalg.norm(made, axis=1) * np.linalg.norm(vectors[REFERENCE], axis=1)
            least = float(((made * vectors[REFERENCE]).sum(1) / lengths).min())
            found[side] |= {"least_cosine": round(least, 6), "texts_per_second": round(len(chosen) / min(seconds[side]))}
        result["sides"][name] = found
    if arguments.save:
        print(save(f"gpu-encode-{arguments.model}", result))
    print(json.dumps(result, indent=1) if arguments.json else _table(result["sides"]))


def _sides(model: str, device: str) -> dict[str, Callable[[list[str], str], np.ndarray]]:
    from sentence_transformers import SentenceTransformer

    sides: dict[str, Callable[[list[str], str], np.ndarray]] = {}
    precisions = ("float32", "bfloat16") if device == "cpu" else ("float32", "float16", "bfloat16")
    for precision in precisions:
        peer = SentenceTransformer(model, device=device, model_kwargs={"dtype": getattr(torch, precision)})
        sides[f"sentence-transformers {precision}"] = _at_best(peer)
    for precision in ("float32", "bfloat16"):
        encoder = load_encoder(model, runtime="torch", precision=precision, device=device)
        sides[f"nearfield {precision}"] = lambda texts, role, encoder=encoder: np.asarray(encoder.encode(texts, role).vectors)
    return sides


def _at_best(peer: Any) -> Callable[[list[str], str], np.ndarray]:
    """Its encode at the batch size that was fastest on the first texts that it got."""
    by_role = {"query": peer.encode_query, "document": peer.encode_document}
    best: dict[str, int] = {}

    def encode(texts: list[str], role: str) -> np.ndarray:
        if role not in best:
            some = texts[: min(len(texts), 1024)]
            best[role] = min(BATCHES, key=lambda size: timed(lambda: by_role[role](some, batch_size=size))())
        return np.asarray(by_role[role](texts, batch_size=best[role]), np.float32)

    return encode


def _table(measured: dict[str, dict[str, dict[str, Any]]]) -> str:
    return "\n".join(
        f"{name:11} {side:32} {row['ratio']:6.2f}x [{row['least']:.2f}, {row['greatest']:.2f}]"
        f"  {row['texts_per_second']:,} texts/s  {row['least_cosine']:.6f}"
        for name, rows in measured.items()
        for side, row in rows.items()
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="minilm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=4096)
    parser.add_argument("--gemm-seconds", type=float, default=0.5)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--save", action="store_true", help="write the result under benchmarks/results")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
