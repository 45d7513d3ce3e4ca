"""One side of encode_cpu.py in its own process: a library with a model, asked to encode.

Runs under the library's own Python; ours needs nearfield, no other does. Asked {"do": "load",
"side": ..., "model": folder, ...}, then {"do": "run", "texts": file, "role": ..., "vectors": file
or null} any number of times; answers with seconds.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from interleave import serve

Encode = Callable[[list[str], str], np.ndarray]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sentence_transformers(model: str, precision: str, engine: str, graph: str) -> Encode:
    """Its `encode` with everything at its defaults, a batch of 32 among them; on OpenVINO by its
    own export, int8 by `graph`.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    if engine == "openvino":
        hints = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
        options: dict[str, Any] = {"ov_config": {"INFERENCE_PRECISION_HINT": hints[precision]}}
        if graph:
            options["file_name"] = graph
        opened = SentenceTransformer(model, backend="openvino", device="cpu", model_kwargs=options)
    else:
        opened = SentenceTransformer(
            model, device="cpu", model_kwargs={"dtype": getattr(torch, precision)}
        )
    by_role = {"query": opened.encode_query, "document": opened.encode_document}
    return lambda texts, role: np.asarray(
        by_role[role](texts, show_progress_bar=False, convert_to_numpy=True), np.float32
    )


def fastembed(model: str, precision: str, engine: str, graph: str) -> Encode:
    """A custom model on its own ONNX Runtime session, from an exported graph, at its defaults."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    contract = _contract(model)
    TextEmbedding.add_custom_model(
        model="local/model",
        pooling=PoolingType.CLS if contract["pooling"] == "cls" else PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(url="local"),
        dim=contract["dim"],
        model_file="model.onnx",
    )
    opened = TextEmbedding("local/model", specific_model_path=graph)
    return lambda texts, role: np.stack(list(opened.embed(texts))).astype(np.float32)


def ctranslate2(model: str, precision: str, engine: str, graph: str) -> Encode:
    """Its encoder over batches of 32 texts sorted by length, one thread a batch and one batch a
    core; pooled here.
    """
    import ctranslate2 as engine_
    from tokenizers import Tokenizer

    if not Path(graph, "model.bin").exists():
        import transformers

        # transformers 5 dropped it and the converter asks for it
        if not hasattr(transformers.BertConfig(), "position_embedding_type"):
            transformers.BertConfig.position_embedding_type = "absolute"
        engine_.converters.TransformersConverter(model).convert(graph, force=True)
    contract, tokenizer = _contract(model), Tokenizer.from_file(f"{model}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(contract["max_tokens"])
    opened = engine_.Encoder(
        graph, device="cpu", compute_type=precision, inter_threads=CORES, intra_threads=1
    )

    def batch(rows: list[list[int]]) -> np.ndarray:
        states = np.array(opened.forward_batch(rows).last_hidden_state, dtype=np.float32)
        kept = np.arange(states.shape[1])[None] < np.array([len(row) for row in rows])[:, None]
        pooled = (
            states[:, 0]
            if contract["pooling"] == "cls"
            else np.where(kept[..., None], states, 0).sum(1) / kept.sum(1)[:, None]
        )
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def encode(texts: list[str], role: str) -> np.ndarray:
        rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(rows)), key=lambda at: -len(rows[at]))
        batches = [order[at : at + 32] for at in range(0, len(order), 32)]
        vectors = np.empty((len(texts), contract["dim"]), np.float32)
        with ThreadPoolExecutor(CORES) as pool:
            for items, made in zip(
                batches,
                pool.map(lambda items: batch([rows[at] for at in items]), batches),
                strict=True,
            ):
                vectors[items] = made
        return vectors

    return encode


def infinity(model: str, precision: str, engine: str, graph: str) -> Encode:
    """Its engine on torch, fed all texts at once, as its server does."""
    import asyncio

    from infinity_emb import AsyncEmbeddingEngine, EngineArgs

    arguments = EngineArgs(
        model_name_or_path=model,
        engine="torch",
        device="cpu",
        dtype=precision,
        bettertransformer=False,
        model_warmup=False,
    )
    loop, opened = asyncio.new_event_loop(), AsyncEmbeddingEngine.from_args(arguments)
    loop.run_until_complete(opened.astart())
    return lambda texts, role: np.stack(loop.run_until_complete(opened.embed(sentences=texts))[0])


def nearfield(model: str, precision: str, engine: str, graph: str) -> Encode:
    """Ours on one of its runtimes; int8 by static ranges is calibrated on the texts in the file
    `graph`, and the check is not enforced.
    """
    from nearfield.encoders.load import load
    from nearfield.runtimes.proof import Proof

    texts = tuple(json.loads(Path(graph).read_text(encoding="utf-8"))) if graph else ()
    opened = load(
        model, runtime=engine, precision=precision, device="cpu", proof=Proof(texts, fidelity=-1.0)
    )
    return lambda texts, role: np.asarray(opened.encode(texts, role).vectors)


LIBRARIES: dict[str, Callable[[str, str, str, str], Encode]] = {
    "sentence-transformers": sentence_transformers,
    "fastembed": fastembed,
    "ctranslate2": ctranslate2,
    "infinity": infinity,
    "nearfield": nearfield,
}


def prompted(encode: Encode, prompts: dict[str, str]) -> Encode:
    """`encode` with the prompt of the role before each text."""
    return lambda texts, role: encode([prompts[role] + text for text in texts], role)


def _contract(model: str) -> dict[str, Any]:
    """Pooling, dimensions and length, as the folder's own files say."""
    pooling = json.loads(Path(model, "1_Pooling", "config.json").read_text(encoding="utf-8"))
    config = json.loads(Path(model, "config.json").read_text(encoding="utf-8"))
    limits = json.loads(Path(model, "sentence_bert_config.json").read_text(encoding="utf-8"))
    cls = pooling.get("pooling_mode") == "cls" or pooling.get("pooling_mode_cls_token", False)
    return {
        "pooling": "cls" if cls else "mean",
        "dim": config["hidden_size"],
        "max_tokens": limits["max_seq_length"],
    }


def answer_requests() -> None:
    """Load a library and encode as asked, until standard input ends."""
    warnings.simplefilter("ignore")
    loaded: dict[str, Encode] = {}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "load":
            make = LIBRARIES[request["library"]]
            encode = make(
                request["model"], request["precision"], request["engine"], request["graph"]
            )
            # they put the prompts before the texts themselves
            own = request["library"] in ("nearfield", "sentence-transformers")
            loaded["encode"] = encode if own else prompted(encode, request["prompts"])
            return {}
        texts = json.loads(Path(request["texts"]).read_text(encoding="utf-8"))
        started = time.perf_counter()
        vectors = loaded["encode"](texts, request["role"])
        seconds = time.perf_counter() - started
        if request["vectors"]:
            np.save(request["vectors"], vectors)
        return {"seconds": seconds}

    serve(answer)


if __name__ == "__main__":
    answer_requests()
