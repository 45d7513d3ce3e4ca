"""Tiny random decoder backbones on disk, with tokenisers that put an end token after a text, as
embedding models of that kind do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn
from transformers import AutoConfig, AutoModel

BEGIN, END, PAD, UNKNOWN = "<s>", "</s>", "<pad>", "<unk>"
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
OWN: dict[str, dict[str, Any]] = {
    "gemma3_text": {
        "query_pre_attn_scalar": 8,
        "sliding_window": 16,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "mistral": {"sliding_window": 16},
    "qwen2": {},
    "qwen3": {},
}


def decoder_model(
    folder: Path,
    kind: str,
    *,
    end: bool = True,
    side: str = "left",
    pooling: str = "lasttoken",
    include_prompt: bool = True,
    max_tokens: int = 48,
    **config: Any,
) -> Path:
    """A sentence-transformers folder of a random `kind`; `end`: the tokeniser ends each text with
    its end token; `side`: of padding.
    """
    folder.mkdir(parents=True)
    tokenizer = byte_tokenizer(end=end)
    tokenizer.save(str(folder / "tokenizer.json"))
    specials = {"bos_token": BEGIN, "eos_token": END, "pad_token": PAD, "unk_token": UNKNOWN}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "padding_side": side,
    }
    _json(folder / "tokenizer_config.json", settings | specials)
    centre = 0.0 if kind.startswith("gemma") else 1.0  # Gemma's norms multiply by 1 + weight
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        sizes = SIZES | OWN[kind] | config
        model = AutoModel.from_config(
            AutoConfig.for_model(kind, vocab_size=tokenizer.get_vocab_size(), **sizes)
        )
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.2) if weight.dim() > 1 else nn.init.normal_(
                weight, mean=centre, std=0.1
            )
    model.save_pretrained(folder)
    names = ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{name}"}
        for at, (path, name) in enumerate(names)
    ]
    _json(folder / "modules.json", modules)
    _json(
        folder / "1_Pooling" / "config.json",
        {"embedding_dimension": 32, "pooling_mode": pooling, "include_prompt": include_prompt},
    )
    _json(
        folder / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False}
    )
    prompts = {"query": "Instruct: find what answers it\nQuery: ", "document": ""}
    _json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts, "similarity_fn_name": "cosine"},
    )
    return folder


def byte_tokenizer(*, end: bool) -> Tokenizer:
    """Bytes as tokens, as byte-level BPE without a merge gives them; the end token after a text
    where `end`.
    """
    pieces = [PAD, UNKNOWN, BEGIN, END, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(
        models.BPE({piece: at for at, piece in enumerate(pieces)}, merges=[], unk_token=UNKNOWN)
    )
    tokenizer.add_special_tokens([PAD, UNKNOWN, BEGIN, END])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if end:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {END}", special_tokens=[(END, 3)]
        )
    return tokenizer


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
