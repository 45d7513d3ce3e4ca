"""Tiny random multi-vector models on disk, in each of the layouts that such folders have, and
sentence-transformers as their oracle.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from sentence_transformers import MultiVectorEncoder
from tokenizers import AddedToken, Tokenizer
from torch import nn
from transformers import (
    AutoModel,
    BertConfig,
    MistralConfig,
    ModernBertConfig,
    MPNetConfig,
    NomicBertConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
    XLMRobertaConfig,
)

from nearfield.encoders.text import TextEncoder
from nearfield.similarity.multi_vector import MultiVector
from tiny import SIZES, tiny_tokenizer

DIM = 8
KINDS: dict[str, type[PreTrainedConfig]] = {
    "bert": BertConfig,
    "modernbert": ModernBertConfig,
    "mistral": MistralConfig,
    "mpnet": MPNetConfig,
    "nomic_bert": NomicBertConfig,
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
    "xlm-roberta": XLMRobertaConfig,
}
LAYOUTS = ("sentence-transformers", "pylate", "stanford")
_SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
_ROOT = "sentence_transformers"


def tiny_late(
    folder: Path,
    kind: str = "bert",
    *,
    layout: str = LAYOUTS[0],
    bias: bool = False,
    **settings: Any,
) -> Path:
    """A multi-vector folder with random weights; `settings` are those of the layout's own file of
    them.
    """
    folder.mkdir(parents=True)
    tokenizer = _with_unused(tiny_tokenizer())
    # it adds its markers with the space, and as tokens that the lower-casing never lets match
    if layout == "pylate":
        tokenizer.add_tokens(
            [AddedToken("[Q] ", normalized=True), AddedToken("[D] ", normalized=True)]
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    _json(
        folder,
        "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **_SPECIAL},
    )
    model, projection = _weights(kind, tokenizer.get_vocab_size(), bias)
    model.save_pretrained(folder)
    if layout == "stanford":
        weights = {f"{kind}.{name}": weight for name, weight in model.state_dict().items()} | {
            "linear.weight": projection["linear.weight"]
        }
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        _json(folder, "config.json", config | {"architectures": ["HF_ColBERT"]})
        _json(
            folder,
            "artifact.metadata",
            {"query_maxlen": 24, "doc_maxlen": 50, "dim": DIM, **settings},
        )
        return folder
    dense = {
        "in_features": 32,
        "out_features": DIM,
        "bias": bias,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    types = {"": f"{_ROOT}.models.Transformer", "1_Dense": "pylate.models.Dense.Dense"}
    stated: dict[str, Any] = {
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": 24,
        "document_length": 50,
        **settings,
    }
    if layout == "sentence-transformers":
        dense["module_input_name"] = "token_embeddings"
        types = {
            "": f"{_ROOT}.base.modules.transformer.Transformer",
            "1_Dense": f"{_ROOT}.base.modules.dense.Dense",
            "2_MultiVectorMask": f"{_ROOT}.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask",
            "3_Normalize": f"{_ROOT}.base.modules.normalize.Normalize",
        }
        _json(
            folder,
            "2_MultiVectorMask/config.json",
            {"skiplist_words": [",", ".", ":"], "skiplist_tasks": ["document"]},
        )
        _json(
            folder,
            "3_Normalize/config.json",
            {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"},
        )
        _json(folder, "sentence_bert_config.json", settings)
        stated = {
            "model_type": "MultiVectorEncoder",
            "prompts": {"query": "query : ", "document": "passage : "},
        }
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": of}
        for at, (path, of) in enumerate(types.items())
    ]
    _json(folder, "modules.json", modules)
    _json(folder, "config_sentence_transformers.json", stated)
    _json(folder, "1_Dense/config.json", dense)
    save_file(projection, folder / "1_Dense" / "model.safetensors")
    return folder


def assert_same_tokens(ours: MultiVector, theirs: list[np.ndarray]) -> None:
    assert ours.lengths.tolist() == [len(vectors) for vectors in theirs]
    np.testing.assert_allclose(ours.tokens.vectors, np.concatenate(theirs), atol=1e-5, rtol=0)


def assert_same_as_peer(folder: Path, opened: TextEncoder[MultiVector], texts: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = MultiVectorEncoder(str(folder), device="cpu")
        for role, encode in (("query", peer.encode_query), ("document", peer.encode_document)):
            assert_same_tokens(opened.encode(texts, role), encode(texts, convert_to_numpy=True))
        few = texts[:20]
        theirs = peer.similarity(peer.encode_query(few), peer.encode_document(few)).numpy()
        scores = opened.encode(few, "query").scores(opened.encode(few, "document"))
    # theirs gives a document without a vector a very low score, ours none
    filled = np.isfinite(scores)
    np.testing.assert_allclose(scores[filled], theirs[filled], atol=1e-4)


def _weights(kind: str, vocabulary: int, bias: bool) -> tuple[Any, dict[str, torch.Tensor]]:
    sizes: dict[str, Any] = {
        **SIZES,
        "vocab_size": vocabulary,
        "max_position_embeddings": 130,
        "pad_token_id": 0,
    }
    if kind == "modernbert":
        sizes |= {
            "cls_token_id": 2,
            "sep_token_id": 3,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "local_attention": 16,
        }
    if kind in ("mistral", "qwen2", "qwen3"):
        sizes |= {"num_key_value_heads": 2, "head_dim": 8}
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = AutoModel.from_config(KINDS[kind](**sizes))
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3) if weight.dim() > 1 else nn.init.normal_(
                weight, mean=1.0, std=0.1
            )
        projection = nn.Linear(32, DIM, bias=bias).state_dict()
    return model, {f"linear.{name}": weight for name, weight in projection.items()}


def _with_unused(tokenizer: Tokenizer) -> Tokenizer:
    facts = json.loads(tokenizer.to_str())
    vocabulary = facts["model"]["vocab"]
    vocabulary |= {f"[unused{at}]": len(vocabulary) + at for at in range(2)}
    return Tokenizer.from_str(json.dumps(facts))


def _json(folder: Path, name: str, value: Any) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(value), encoding="utf-8")
