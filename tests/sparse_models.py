"""Tiny random sparse models on disk, and the peer that they are held to."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.sparse_encoder import SparseEncoder
from torch import nn
from transformers import AutoModelForMaskedLM

from nearfield.encoders.load import load
from nearfield.similarity.sparse import Sparse
from tiny import SPECIALS, tiny_config, tiny_tokenizer

# those with a language head
KINDS = (
    "bert",
    "camembert",
    "distilbert",
    "electra",
    "modernbert",
    "mpnet",
    "nomic_bert",
    "roberta",
    "xlm-roberta",
)


def tiny_splade(
    folder: Path,
    kind: str = "bert",
    *,
    pooling: str = "max",
    activation: str = "relu",
    task: str = "fill-mask",
    facts: dict[str, Any] | None = None,
) -> Path:
    """A SparseEncoder folder with random weights, as sentence-transformers writes it; `facts` go
    into its config.
    """
    (folder / "1_SpladePooling").mkdir(parents=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    sizes = {"embedding_size": 16} if kind == "electra" else {}
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = AutoModelForMaskedLM.from_config(
            tiny_config(kind, tokenizer.get_vocab_size(), sizes | (facts or {}))
        )
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3) if weight.dim() > 1 else nn.init.normal_(
                weight, mean=0.2, std=0.3
            )
    model.save_pretrained(folder)
    types = {
        "": "base.modules.transformer.Transformer",
        "1_SpladePooling": "sparse_encoder.modules.splade_pooling.SpladePooling",
    }
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.{kind}"}
        for at, (path, kind) in enumerate(types.items())
    ]
    output = {"text": {"method": "forward", "method_output_name": "logits"}}
    files: dict[str, Any] = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 64,
            **SPECIALS,
        },
        "modules.json": modules,
        "sentence_bert_config.json": {
            "transformer_task": task,
            "modality_config": output,
            "module_output_name": "token_embeddings",
        },
        "1_SpladePooling/config.json": {
            "pooling_strategy": pooling,
            "activation_function": activation,
            "embedding_dimension": None,
        },
        "config_sentence_transformers.json": {
            "model_type": "SparseEncoder",
            "prompts": {"query": "query : ", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "dot",
        },
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder


def assert_same_as_sentence_transformers(
    folder: Path, texts: list[str], *, within: float = 1e-5, runtime: str = "auto"
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = SparseEncoder(str(folder), device="cpu")
        encoder = load(folder, runtime=runtime)
        for role, peer_encode in (("query", peer.encode_query), ("document", peer.encode_document)):
            ours = encoder.encode(texts, role)
            assert isinstance(ours, Sparse)
            theirs = peer_encode(texts, convert_to_sparse_tensor=False).numpy()
            # weights of a sum reach hundreds
            np.testing.assert_allclose(ours.matrix().toarray(), theirs, atol=within, rtol=1e-6)


def tell_apart(folder: Path) -> Path:
    """The tiny model in `folder` without the 1 that is the mean of its biases, with which all
    tokens have nearly the same state: a new head magnifies what sets them apart, and would magnify
    rounding with it.
    """
    file = folder / "model.safetensors"
    weights = {
        name: weight - 1 if name.endswith("bias") else weight
        for name, weight in load_file(file).items()
    }
    save_file(weights, file, metadata={"format": "pt"})
    return folder
