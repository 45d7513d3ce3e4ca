"""Tiny random cross-encoders on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, processors
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from tiny import SIZES, tiny_tokenizer

OWN: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 16},
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
    },
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "gemma": {"num_key_value_heads": 2, "head_dim": 8},
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 12},
    "modernbert": {
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "local_attention": 16,
    },
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
}
TYPED = ("albert", "bert", "electra", "nomic_bert")  # that have two types of token
SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def pair_tokenizer() -> Tokenizer:
    """The tiny tokeniser, which puts pairs together as BERT's does."""
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' %}read : {{ "
    "message['content'] }} {% elif message['role'] == 'query' %}"
    "query : {{ message['content'] }} {% else %}passage : {{ message['content'] }} {% endif %}{% "
    "endfor %}is not green ?"
)


def tiny_decoder(
    folder: Path,
    kind: str = "qwen3",
    *,
    template: str | None = None,
    max_tokens: int = 64,
    **facts: Any,
) -> Path:
    """A decoder that ranks by the logits of `yes` and `no`, with random weights, with a chat
    template where one is given.
    """
    folder.mkdir(parents=True)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["yes", "no"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair="$A $B", special_tokens=[]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
    }
    about |= {"chat_template": template} if template else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    common = {
        **SIZES,
        "vocab_size": tokenizer.get_vocab_size(),
        "max_position_embeddings": 130,
        "pad_token_id": 0,
    }
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(kind, **{**common, **OWN.get(kind, {}), **facts})
        )
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3) if weight.dim() > 1 else nn.init.normal_(
                weight, mean=1.0, std=0.1
            )
    model.save_pretrained(folder)
    return folder


def tiny_cross(
    folder: Path,
    kind: str = "bert",
    *,
    labels: int = 1,
    max_tokens: int = 64,
    seed: int = 0,
    **facts: Any,
) -> Path:
    """A cross-encoder as transformers writes one, with random weights; `facts` go into its
    config.
    """
    folder.mkdir(parents=True)
    tokenizer = pair_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    names = ["input_ids", *(["token_type_ids"] if kind in TYPED else []), "attention_mask"]
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "model_input_names": names,
        **SPECIALS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    common = {
        **SIZES,
        "vocab_size": tokenizer.get_vocab_size(),
        "max_position_embeddings": 130,
        "pad_token_id": 0,
        "num_labels": labels,
    }
    with torch.random.fork_rng():
        torch.random.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(
            AutoConfig.for_model(kind, **{**common, **OWN.get(kind, {}), **facts})
        )
        centre = 0.0 if kind.startswith("gemma") else 1.0  # Gemma's norms multiply by 1 + weight
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3) if weight.dim() > 1 else nn.init.normal_(
                weight, mean=centre, std=0.1
            )
    model.save_pretrained(folder)
    return folder
