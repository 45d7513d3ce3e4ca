"""Encoding on a GPU beside sentence-transformers at its best settings: both sides in turn, ratios,
absolute figures, share of the peak.

    python benchmarks/gpu_encode.py [MODEL] [--rounds 5] [--texts 4096] [--cpu] [--save] [--json]

sentence-transformers runs in float32, float16 and bfloat16, at the best of three batch sizes. The
share is what the model's products alone come to of the device's own measured matrix products at the
side's precision. `--cpu` runs it where there is no GPU, to show that it still runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from interleave import interleaved, ratios, timed
from machine import gemm_limits
from results import circumstances, save
from texts import timed_texts

from nearfield.encoders.load import load
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.find import model_path

REFERENCE = "sentence-transformers float32"
OURS = ("float32", "bfloat16")
BATCHES = (32, 128, 512)


def main() -> None:
    arguments = _arguments()
    device = "cpu" if arguments.cpu else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU here; --cpu runs this on the processor")
    path = model_path(arguments.model)
    texts, origin = timed_texts(arguments.texts)
    result = circumstances() | {
        "model": read_model_folder(path).contract.name,
        "texts_from": origin,
        "device": device,
        "sides": {},
    }
    limits = result["gemm_limits"] = gemm_limits(seconds=arguments.gemm_seconds)
    encoders = {
        precision: load(path, runtime="torch", precision=precision, device=device)
        for precision in OURS
    }
    sides = _peers(str(path), device) | {
        f"nearfield {precision}": _ours(encoder) for precision, encoder in encoders.items()
    }
    for name, role in (("paragraphs", "document"), ("queries", "query")):
        chosen = texts[name]
        # not timed: the first run warms up
        vectors = {side: encode(chosen, role) for side, encode in sides.items()}
        calls = {side: timed(partial(encode, chosen, role)) for side, encode in sides.items()}
        seconds = interleaved(calls, arguments.rounds)
        found: dict[str, dict[str, Any]] = {
            side: dict(row) for side, row in ratios(seconds, REFERENCE).items()
        }
        tokens, operations = _work(encoders["float32"], chosen, role)
        for side, made in vectors.items():
            lengths = np.linalg.norm(made, axis=1) * np.linalg.norm(vectors[REFERENCE], axis=1)
            least, fastest = (
                float(((made * vectors[REFERENCE]).sum(1) / lengths).min()),
                min(seconds[side]),
            )
            precision = side.split()[1]
            limit = limits.get(f"cuda {precision}" if device == "cuda" else precision, {}).get(
                "gflops"
            )
            found[side] |= {
                "least_cosine": round(least, 6),
                "texts_per_second": round(len(chosen) / fastest),
            }
            found[side] |= {
                "tokens_per_second": round(tokens / fastest),
                "seconds": [round(second, 5) for second in seconds[side]],
            }
            found[side]["share_of_gemm"] = (
                round(operations / fastest / 1e9 / limit, 4) if limit else None
            )
        result["sides"][name] = found
    if arguments.save:
        print(save(f"gpu-encode-{result['model']}", result), file=sys.stderr)
    print(json.dumps(result, indent=1) if arguments.json else _table(result))


def _ours(encoder: Any) -> Callable[[list[str], str], np.ndarray]:
    return lambda texts, role: np.asarray(encoder.encode(texts, role).vectors)


def _work(encoder: Any, texts: list[str], role: str) -> tuple[int, float]:
    """The tokens of the texts, and the operations of the products that they go through: with each
    matrix, and in attention.
    """
    lengths = encoder.tokenise(texts, role).lengths.astype(np.float64)
    backbone = encoder.runtime.model.backbone
    layers = {
        name: module
        for name, module in backbone.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    matrices = sum(
        module.weight.numel() for name, module in layers.items() if not name.startswith("pooler")
    )
    config = backbone.config
    attended = config.num_attention_heads * (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    return int(lengths.sum()), float(
        2 * matrices * lengths.sum() + 4 * config.num_hidden_layers * attended * (lengths**2).sum()
    )


def _peers(model: str, device: str) -> dict[str, Callable[[list[str], str], np.ndarray]]:
    from sentence_transformers import SentenceTransformer

    sides: dict[str, Callable[[list[str], str], np.ndarray]] = {}
    precisions = ("float32", "bfloat16") if device == "cpu" else ("float32", "float16", "bfloat16")
    for precision in precisions:
        peer = SentenceTransformer(
            model, device=device, model_kwargs={"dtype": getattr(torch, precision)}
        )
        sides[f"sentence-transformers {precision}"] = _at_best(peer)
    return sides


def _at_best(peer: Any) -> Callable[[list[str], str], np.ndarray]:
    """Its encode at the batch size that was fastest on the first texts that it got."""
    by_role = {"query": peer.encode_query, "document": peer.encode_document}
    best: dict[str, int] = {}

    def encode(texts: list[str], role: str) -> np.ndarray:
        if role not in best:
            some = texts[: min(len(texts), 1024)]
            timings = {
                size: timed(lambda size=size: by_role[role](some, batch_size=size))
                for size in BATCHES
            }
            # the first of them warms up
            best[role] = min(BATCHES, key=lambda size: min(timings[size]() for _ in range(2)))
        return np.asarray(by_role[role](texts, batch_size=best[role]), np.float32)

    return encode


def _table(result: dict[str, Any]) -> str:
    device = (
        result["machine"]["gpu"] if result["device"] == "cuda" else result["machine"]["processor"]
    )
    lines = [
        f"{result['model']} on {device}: {REFERENCE}'s seconds over a side's; texts and "
        "tokens a second; share of products; cosine"
    ]
    lines += [
        f"{name:11} {side:32} {row['ratio']:6.2f}x [{row['least']:.2f}, {row['greatest']:.2f}]  "
        f"{row['texts_per_second']:,} texts/s"
        f"  {row['tokens_per_second']:,} tokens/s  {row['share_of_gemm']}  "
        f"{row['least_cosine']:.6f}"
        for name, rows in result["sides"].items()
        for side, row in rows.items()
    ]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="minilm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=4096)
    parser.add_argument("--gemm-seconds", type=float, default=0.5)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument(
        "--save", action="store_true", help="write the result under benchmarks/results"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
