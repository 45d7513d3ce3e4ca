"""Tiny random models on disk: real folders of real architectures, small enough to train in
a test.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import (
    AutoModel,
    BertConfig,
    CamembertConfig,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    NomicBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    XLMRobertaConfig,
)

_TEXT = (
    "the a an of to and in is not how what sort list file read write open close lock thread queue "
    "number date time year parse "
    "string text json tree node graph path find all first last item key value map set add remove "
    "error raise return class def "
    "self for if else while import cat dog sun rain tax law court music song play game team red "
    "green blue big small query "
    "passage : , "
)
WORDS = _TEXT.split()
ALPHABET = [chr(code) for code in range(33, 127)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
CONFIGS: dict[str, type[PreTrainedConfig]] = {
    "bert": BertConfig,
    "camembert": CamembertConfig,
    "distilbert": DistilBertConfig,
    "electra": ElectraConfig,
    "modernbert": ModernBertConfig,
    "mpnet": MPNetConfig,
    "nomic_bert": NomicBertConfig,
    "roberta": RobertaConfig,
    "xlm-roberta": XLMRobertaConfig,
}


def tiny_model(
    folder: Path,
    *,
    kind: str = "bert",
    pooling: str = "mean",
    normalise: bool = True,
    max_tokens: int = 64,
    seed: int = 0,
    sizes: dict[str, Any] | None = None,
    **files: Any,
) -> Path:
    """A sentence-transformers folder with random weights; `sizes` are facts of its config, `files`
    further JSON files by name without ending.
    """
    with torch.random.fork_rng():
        torch.random.manual_seed(seed)
        model = AutoModel.from_config(
            tiny_config(kind, tiny_tokenizer().get_vocab_size(), sizes or {})
        )
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3) if weight.dim() > 1 else nn.init.normal_(
                weight, mean=1.0, std=0.1
            )
    hidden = (SIZES | (sizes or {}))["hidden_size"]
    sentence_folder(
        folder, model, hidden=hidden, pooling=pooling, normalise=normalise, max_tokens=max_tokens
    )
    for name, value in files.items():
        _json(folder / f"{name}.json", value)
    return folder


def sentence_folder(
    folder: Path,
    model: PreTrainedModel,
    *,
    hidden: int,
    pooling: str = "mean",
    normalise: bool = True,
    max_tokens: int = 64,
) -> None:
    """A sentence-transformers folder of `model` under the tiny tokeniser."""
    folder.mkdir(parents=True)
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    _json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_tokens, **SPECIALS},
    )
    model.save_pretrained(folder)
    parts = [
        ("", "Transformer"),
        ("1_Pooling", "Pooling"),
        *([("2_Normalize", "Normalize")] if normalise else []),
    ]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{name}"}
        for at, (path, name) in enumerate(parts)
    ]
    _json(folder / "modules.json", modules)
    _json(
        folder / "1_Pooling" / "config.json",
        {"embedding_dimension": hidden, "pooling_mode": pooling, "include_prompt": True},
    )
    _json(
        folder / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False}
    )


def tiny_tokenizer() -> Tokenizer:
    """Word pieces over WORDS and single characters, with BERT's special tokens."""
    pieces = dict.fromkeys([*SPECIAL, *WORDS, *ALPHABET, *(f"##{letter}" for letter in ALPHABET)])
    tokenizer = Tokenizer(
        models.WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def tiny_config(kind: str, vocabulary: int, sizes: dict[str, Any]) -> PreTrainedConfig:
    """The config of a tiny model; `sizes` are facts of it."""
    common = {
        **SIZES,
        "vocab_size": vocabulary,
        "max_position_embeddings": 130,
        "pad_token_id": 0,
        **sizes,
    }
    if kind == "distilbert":
        common["hidden_dim"] = common.pop("intermediate_size")
    if kind == "modernbert":
        common = {
            "cls_token_id": 2,
            "sep_token_id": 3,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "local_attention": 16,
        } | common
    return CONFIGS[kind](**common)


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
