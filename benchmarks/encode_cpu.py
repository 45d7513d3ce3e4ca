"""Encoding on a CPU beside every peer that is there: all sides in turn, each in a process of its
own; ratios, fidelity, share of GEMM.

    python benchmarks/encode_cpu.py [MODEL] [--rounds 5] [--texts 256] [--peers FOLDER] [--sides
        WORDS] [--ndcg DATA [--most 5000]]
                                    [--growth] [--save] [--json]

A ratio is sentence-transformers' seconds (torch, float32, its default batch of 32) over a side's in
the same round. FOLDER holds the peers' environments, one a folder, made from the files in
benchmarks/environments; without it only what this environment has is run. A side that cannot run is
listed with what it said; bfloat16 is left out on a processor without it, unless `--sides` names it.
`--ndcg` encodes DATA with the fastest of our sides in each precision (see ndcg.py), `--growth`
times these and the reference by the texts' length and number (see growth.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from growth import growth_of
from interleave import Child, SideError, interleaved, ratios
from machine import gemm_limits
from ndcg import ndcg_of
from results import circumstances, save
from texts import timed_texts
from tokenizers import Tokenizer

from nearfield.formats.model_folder import ModelFolder, read_model_folder
from nearfield.models.find import model_path
from nearfield.models.tokeniser import tokeniser_of
from nearfield.runtimes.hardware import bfloat16_in_hardware
from nearfield.store.atomic import write_json
from nearfield.store.fields import read_json

REFERENCE = "sentence-transformers torch float32"
ENVIRONMENTS = {
    "sentence-transformers torch": "peers",
    "sentence-transformers openvino": "optimum",
    "fastembed onnx": "peers",
    "ctranslate2 own": "peers",
    "infinity torch": "infinity",
}
PRECISIONS = ("float32", "bfloat16", "int8")
SIDES = (
    REFERENCE,
    "sentence-transformers torch bfloat16",
    "sentence-transformers openvino float32",
    "sentence-transformers openvino bfloat16",
    "fastembed onnx float32",
    "ctranslate2 own float32",
    "ctranslate2 own int8",
    "infinity torch float32",
    *(
        f"nearfield {engine} {precision}"
        for engine in ("native", "torch", "openvino", "onnx")
        for precision in PRECISIONS
    ),
)
ROLES = {"paragraphs": "document", "queries": "query"}


def main() -> None:
    arguments = _arguments()
    path = model_path(arguments.model)
    folder = read_model_folder(path)
    texts, origin = timed_texts(arguments.texts)
    result = circumstances() | {
        "model": folder.contract.name,
        "texts_from": origin,
        "rounds": arguments.rounds,
    }
    result["gemm_limits"] = gemm_limits(seconds=arguments.gemm_seconds)
    with tempfile.TemporaryDirectory() as work:
        files = {name: str(Path(work, f"{name}.json")) for name in texts}
        for name, file in files.items():
            Path(file).write_text(json.dumps(texts[name]), encoding="utf-8")
        children, result["not_run"] = _start(
            [side for side in SIDES if _wanted(side, arguments.sides)], path, work, arguments
        )
        result["sides"] = {}
        for name in texts:
            measured = _measure(
                children, files[name], ROLES[name], Path(work), arguments.rounds, result["not_run"]
            )
            _add_rates(measured, folder, texts[name], ROLES[name], result["gemm_limits"])
            result["sides"][name] = measured
        ours = _fastest(children, result["sides"]["paragraphs"])
        if arguments.ndcg:
            result["ndcg"] = ndcg_of(ours, arguments.ndcg, most=arguments.most, work=Path(work))
        if arguments.growth:
            grown = {REFERENCE: children[REFERENCE]} | {
                f"nearfield {precision}": child for precision, child in ours.items()
            }
            tokeniser, rounds = tokeniser_of(folder), min(arguments.rounds, 3)
            result["growth"] = growth_of(
                grown, texts["paragraphs"], tokeniser, rounds=rounds, work=Path(work)
            )
        for child in children.values():
            child.close()
    if arguments.save:
        print(save(f"encode-cpu-{folder.contract.name}", result))
    print(json.dumps(result, indent=1) if arguments.json else _table(result))


def _wanted(side: str, words: str) -> bool:
    return side == REFERENCE or not words or any(word.strip() in side for word in words.split(","))


def _start(
    sides: list[str], model: Path, work: str, arguments: argparse.Namespace
) -> tuple[dict[str, Child], dict[str, str]]:
    """A process a side with the model loaded, and why the others are not there."""
    children, absent = dict[str, Child](), dict[str, str]()
    if not bfloat16_in_hardware() and "bfloat16" not in arguments.sides:
        absent |= {
            side: "the processor does not multiply bfloat16"
            for side in sides
            if side.endswith("bfloat16")
        }
    contract = read_model_folder(model).contract
    prompts = {role: contract.prompt(role) for role in ROLES.values()}
    for side in (side for side in sides if side not in absent):
        library, engine, precision = side.split()
        python = _python(f"{library} {engine}", arguments.peers)
        if python is None:
            absent[side] = "no environment for it in --peers"
            continue
        child = Child(
            [python, str(Path(__file__).parent / "encode_side.py")],
            environment={"HF_HUB_OFFLINE": "1"},
        )
        try:
            graph = _graph(library, engine, precision, model, work)
            asked = {
                "library": library,
                "model": str(model),
                "precision": precision,
                "engine": engine,
                "graph": graph,
            }
            child.ask(do="load", **asked, prompts=prompts)
            children[side] = child
        except SideError as error:
            absent[side] = str(error).replace(str(model), model.name)
            child.close()
    if REFERENCE not in children:
        sys.exit(f"the reference cannot run: {absent[REFERENCE]}")
    return children, absent


def _python(name: str, peers: str) -> str | None:
    if name.startswith("nearfield"):
        return sys.executable
    python = Path(peers, ENVIRONMENTS[name], "bin", "python") if peers else Path(sys.executable)
    if not peers and name != "sentence-transformers torch":
        return None
    return str(python) if python.exists() else None


def _graph(library: str, engine: str, precision: str, model: Path, work: str) -> str:
    """What a side needs beside the model's folder: fastembed an exported graph with the tokeniser
    beside it, int8 texts of its own.
    """
    if library == "ctranslate2":
        return str(Path(work, "ctranslate2"))
    if library == "fastembed":
        from nearfield.runtimes.onnx_runtime import ONNXRuntime

        ONNXRuntime.open(read_model_folder(model))
        target = Path(work, "fastembed")
        target.mkdir(exist_ok=True)
        exported = max(
            model.glob(".nearfield/onnx-float32-*/model.onnx"),
            key=lambda file: file.stat().st_mtime,
        )
        for file in (exported, *model.glob("*.json"), *model.glob("vocab.txt")):
            if not (target / file.name).exists() and file.name != "tokenizer_config.json":
                (target / file.name).symlink_to(file)
        write_json(target / "tokenizer_config.json", _settings(model))
        return str(target)
    return (
        str(Path(work, "paragraphs.json")) if (library, precision) == ("nearfield", "int8") else ""
    )


def _settings(model: Path) -> dict[str, Any]:
    """The tokeniser's settings as fastembed needs them: it cuts at the least of the lengths in
    them, whatever the model reads, and asks for the padding token by its name.
    """
    limit = read_model_folder(model).contract.max_tokens
    stated = {
        "pad_token": Tokenizer.from_file(str(model / "tokenizer.json")).id_to_token(
            read_json(model / "config.json")["pad_token_id"]
        )
    }
    return (
        stated
        | read_json(model / "tokenizer_config.json")
        | {"model_max_length": limit, "max_length": limit}
    )


def _measure(
    children: dict[str, Child],
    texts: str,
    role: str,
    work: Path,
    rounds: int,
    absent: dict[str, str],
) -> dict[str, dict[str, Any]]:
    """Ratio with spread, seconds and cosines to the reference of each side that runs on these
    texts.
    """
    vectors = {}
    for at, (side, child) in enumerate(list(children.items())):
        try:
            # not timed: the first run warms up
            child.ask(do="run", texts=texts, role=role, vectors=str(work / f"{at}.npy"))
            vectors[side] = np.load(work / f"{at}.npy").astype(np.float64)
        except SideError as error:
            absent[side] = str(error)
            children.pop(side).close()
    calls = {
        side: lambda child=children[side]: child.ask(
            do="run", texts=texts, role=role, vectors=None
        )["seconds"]
        for side in vectors
    }
    print(f"{role}s: {len(calls)} sides are warm, {rounds} rounds follow", file=sys.stderr)
    seconds = interleaved(calls, rounds)
    found = ratios(seconds, REFERENCE)
    for side, made in vectors.items():
        norms = np.linalg.norm(made, axis=1) * np.linalg.norm(vectors[REFERENCE], axis=1)
        cosines = (made * vectors[REFERENCE]).sum(1) / norms
        fidelity = {
            "least_cosine": round(float(cosines.min()), 6),
            "mean_cosine": round(float(cosines.mean()), 6),
        }
        found[side] = {
            **found[side],
            **fidelity,
            "seconds": [round(second, 4) for second in seconds[side]],
        }
    return found


def _add_rates(
    measured: dict[str, dict[str, Any]],
    folder: ModelFolder,
    texts: list[str],
    role: str,
    limits: dict[str, Any],
) -> None:
    """Tokens a second, and the share of the GEMM limit of the side's precision that the model's
    products alone come to.
    """
    lengths = tokeniser_of(folder).tokenise(texts, folder.contract.prompt(role)).lengths
    config = read_json(folder.transformer / "config.json")
    layers, hidden, inner = (
        config["num_hidden_layers"],
        config["hidden_size"],
        config["intermediate_size"],
    )
    operations = float(
        layers * (lengths * (8 * hidden**2 + 4 * hidden * inner) + 4 * lengths**2 * hidden).sum()
    )
    for side, row in measured.items():
        fastest = min(row["seconds"])
        limit = limits.get(side.split()[2], {}).get("gflops")
        row["tokens_per_second"] = round(float(lengths.sum()) / fastest)
        row["share_of_gemm"] = round(operations / fastest / 1e9 / limit, 3) if limit else None


def _fastest(children: dict[str, Child], measured: dict[str, dict[str, Any]]) -> dict[str, Child]:
    """By precision, the process of the fastest of our sides that has it."""
    ours = [side for side in measured if side.startswith("nearfield") and side in children]
    return {
        side.split()[2]: children[side]
        for side in sorted(ours, key=lambda side: measured[side]["ratio"])
    }


def _table(result: dict[str, Any]) -> str:
    lines = [
        f"{result['model']}: sentence-transformers' seconds over a side's; least cosine; "
        "share of the GEMM limit"
    ]
    for name, measured in result["sides"].items():
        lines += [
            f"{name:11} {side:40} {row['ratio']:6.2f}x [{row['least']:.2f}, {row['greatest']:.2f}]"
            f"  {row['least_cosine']:.6f}  {row['share_of_gemm']}"
            for side, row in measured.items()
        ]
    lines += [f"nDCG@10 in {precision}: {row}" for precision, row in result.get("ndcg", {}).items()]
    lines += [f"{row}" for rows in result.get("growth", {}).values() for row in rows]
    return "\n".join(
        [*lines, *(f"not run: {side}: {why}" for side, why in result["not_run"].items())]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="minilm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument(
        "--sides", default="", help="only sides whose names hold one of these words, commas between"
    )
    parser.add_argument("--peers", default="", help="the folder with the peers' environments")
    parser.add_argument(
        "--ndcg",
        metavar="DATA",
        default="",
        help="a collection to search with the vectors of each precision",
    )
    parser.add_argument(
        "--most",
        type=int,
        default=0,
        help="of --ndcg's documents, so many at most; all that are judged stay",
    )
    parser.add_argument(
        "--growth", action="store_true", help="also by the texts' length and number"
    )
    parser.add_argument("--gemm-seconds", type=float, default=0.5)
    parser.add_argument(
        "--save", action="store_true", help="write the result under benchmarks/results"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
