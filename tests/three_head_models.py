"""A tiny random model in the layout that BGE-M3 is published in: XLM-RoBERTa with a dense head and
two linear layers beside it.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn
from transformers import XLMRobertaConfig, XLMRobertaModel

from tiny import ALPHABET, SIZES, WORDS

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def tiny_three_heads(folder: Path, *, dim: int = 32, max_tokens: int = 64, seed: int = 4) -> Path:
    """The folder; the multi-vector head makes vectors of `dim` dimensions. By the seed about half
    of the tokens have a weight.
    """
    folder.mkdir(parents=True)
    pieces = [*SPECIAL, *dict.fromkeys(["▁", *(f"▁{word}" for word in WORDS), *ALPHABET]), "<mask>"]
    tokenizer = Tokenizer(
        models.Unigram(
            [(piece, 0.0 if at < 4 else -float(at)) for at, piece in enumerate(pieces)], unk_id=3
        )
    )
    tokenizer.add_special_tokens([*SPECIAL, "<mask>"])
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    }
    facts = {
        "tokenizer_class": "XLMRobertaTokenizer",
        "model_max_length": max_tokens,
        "mask_token": "<mask>",
        **named,
    }
    sizes = {
        **SIZES,
        "vocab_size": len(pieces),
        "max_position_embeddings": 130,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    with torch.random.fork_rng():
        torch.random.manual_seed(seed)
        model = XLMRobertaModel(XLMRobertaConfig(**sizes))
        vectors, weights = nn.Linear(SIZES["hidden_size"], dim), nn.Linear(SIZES["hidden_size"], 1)
        for part in (model, vectors, weights):
            for name, weight in part.named_parameters():
                # else all tokens are alike
                nn.init.normal_(
                    weight, mean=1.0 if name.endswith("LayerNorm.weight") else 0.0, std=0.3
                )
    model.save_pretrained(folder)
    torch.save(vectors.state_dict(), folder / "colbert_linear.pt")
    torch.save(weights.state_dict(), folder / "sparse_linear.pt")
    parts = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{name}"}
        for at, (path, name) in enumerate(parts)
    ]
    files = {
        "tokenizer_config.json": facts,
        "modules.json": modules,
        "1_Pooling/config.json": {
            "word_embedding_dimension": SIZES["hidden_size"],
            "pooling_mode_cls_token": True,
        },
        "sentence_bert_config.json": {"max_seq_length": max_tokens, "do_lower_case": False},
    }
    for name, value in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder
