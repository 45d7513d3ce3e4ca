"""Training beside sentence-transformers: steps of both sides in turn, ratios of pairs a second with
their spread, losses side by side.

    python benchmarks/train_cpu.py [MODEL ...] [--on stdlib] [--batch 64] [--max-tokens 128]
        [--rounds 7] [--negatives] [--quality scifact]
                                   [--sides WORDS] [--json] [--save]

A round is one step of each side, on the same rows. A ratio is sentence-transformers' seconds in
float32 over a side's in the same round. `train_side.py` says what each side does in a step. Sides
in bfloat16 run where the processor multiplies it in hardware. All sides of a model are in memory at
once, four of mpnet's take some 24 GiB; `--sides` runs the reference and those whose names contain
one of the words (commas between). What was measured of a model is saved before the next begins.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from interleave import Child, SideError, interleaved, ratios
from results import circumstances, save

SIDE = str(Path(__file__).resolve().parent / "train_side.py")
REFERENCE = "sentence-transformers float32"


def main(arguments: list[str] | None = None, *, device: str = "cpu") -> None:
    asked = parser().parse_args(arguments)
    told = {
        key: Path(value).name if key in ("on", "quality") and value else value
        for key, value in vars(asked).items()
    }
    told["models"] = [Path(model).name for model in asked.models]
    result: dict[str, Any] = circumstances() | {"device": device, "asked": told}
    result |= {"models": {}, "not_run": {}}
    name = "train_gpu" if device == "cuda" else "train_cpu"
    for model in asked.models:
        try:
            result["models"][Path(model).name] = compare(model, asked, device=device)
        except SideError as error:  # the others are still worth something
            result["not_run"][Path(model).name] = str(error)
        if asked.save:
            save(name if told["on"] == "stdlib" else f"{name}-{told['on']}", result)
    if asked.json:
        print(json.dumps(result, indent=1))
        return
    for model, sides in result["models"].items():
        processor = result["machine"]["gpu" if device == "cuda" else "processor"]
        print(
            f"{model} on {asked.on}, batch {asked.batch}, at most {asked.max_tokens} tokens, "
            f"{processor}"
        )
        for name, row in sides.items():
            print(
                "  {name:32} {pairs_per_second:7.2f} pairs/s  {ratio:5.2f}x [{least:.2f}, "
                "{greatest:.2f}]  loss {first_loss:.4f} to "
                "{last_loss:.4f}, off by {loss_off:.2%} at most".format(name=name, **row)
                + (f"  nDCG@10 {row['ndcg']:.4f}" if "ndcg" in row else "")
            )
    for model, why in result["not_run"].items():
        print(f"not run: {model}: {why}")


def compare(model: str, asked: argparse.Namespace, *, device: str) -> dict[str, dict[str, Any]]:
    """For each side: pairs a second, its ratio with spread, its first and last loss, and the
    greatest relative difference of a step's loss from the reference's.
    """
    facts = {
        "do": "open",
        "model": model,
        "collection": asked.on,
        "steps": asked.rounds + asked.warm,
        "device": device,
    }
    facts |= {
        key: vars(asked)[key]
        for key in ("batch", "max_tokens", "graph_tokens", "negatives", "rate")
    }
    children, losses = {}, {}
    try:
        for name, package, precision, engine, freeze in sides(device):
            if name != REFERENCE and not any(
                word.strip() in name for word in asked.sides.split(",")
            ):
                continue
            children[name] = Child([sys.executable, SIDE])
            children[name].ask(
                **facts, side=package, precision=precision, engine=engine, freeze=freeze
            )
            losses[name] = list(children[name].ask(do="steps", count=asked.warm)["losses"])

        def turn(name: str) -> Callable[[], float]:
            def run() -> float:
                answer = children[name].ask(do="steps", count=1)
                losses[name] += answer["losses"]
                return float(answer["seconds"])

            return run

        seconds = interleaved({name: turn(name) for name in children}, asked.rounds)
        found: dict[str, dict[str, Any]] = {
            name: dict(row) for name, row in ratios(seconds, REFERENCE).items()
        }
        for name, row in found.items():
            pairs = list(zip(losses[name], losses[REFERENCE], strict=True))
            row |= {
                "pairs_per_second": round(asked.batch / statistics.median(seconds[name]), 3),
                "losses": losses[name],
            }
            row |= {"first_loss": losses[name][0], "last_loss": losses[name][-1]}
            row["loss_off"] = max(abs(ours - theirs) / theirs for ours, theirs in pairs)
            if asked.quality:
                row["ndcg"] = children[name].ask(do="quality", collection=asked.quality)["ndcg"]
        return found
    finally:
        for child in children.values():
            child.close()


def sides(device: str) -> list[tuple[str, str, str, str, bool]]:
    """Name, package, precision, what runs the layers, and whether the token embeddings stay as they
    are (what `nearfield tune` does by default).
    """
    able = torch.cpu.get_capabilities()
    half = device == "cuda" or able.get("avx512_bf16") or able.get("amx_bf16")
    found = []
    for precision in ("float32", "bfloat16") if half else ("float32",):
        found += [
            (
                f"sentence-transformers {precision}",
                "sentence-transformers",
                precision,
                "torch",
                False,
            )
        ]
        found += [(f"nearfield {precision}", "nearfield", precision, "auto", False)]
        found += [(f"nearfield {precision}, embeddings kept", "nearfield", precision, "auto", True)]
        if device == "cpu":
            found += [(f"nearfield {precision} on torch", "nearfield", precision, "torch", False)]
    return found


def parser() -> argparse.ArgumentParser:
    """The options of both training benchmarks."""
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("models", nargs="*", default=["minilm"])
    found.add_argument("--on", default="stdlib", help="a collection with a train split")
    found.add_argument("--batch", type=int, default=64)
    found.add_argument("--max-tokens", type=int, default=128)
    found.add_argument(
        "--graph-tokens", type=int, default=12288, help="ours: tokens whose graph is held at once"
    )
    found.add_argument("--rounds", type=int, default=7)
    found.add_argument("--warm", type=int, default=1, help="steps before the first round")
    found.add_argument("--rate", type=float, default=2e-5)
    found.add_argument("--negatives", action="store_true", help="one hard negative for each pair")
    found.add_argument(
        "--quality", help="a collection whose test split is searched with the trained weights"
    )
    found.add_argument(
        "--sides",
        default="",
        help="of ours and the peer's: those with one of these words in their names",
    )
    found.add_argument("--json", action="store_true")
    found.add_argument("--save", action="store_true", help="into benchmarks/results")
    return found


if __name__ == "__main__":
    main()
