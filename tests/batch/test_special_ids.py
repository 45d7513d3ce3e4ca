"""Special ids read without transformers, and against it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from nearfield.batch import special_ids as module
from nearfield.batch.special_ids import special_ids
from three_head_models import tiny_three_heads
from tiny import tiny_model

BERT = {"tokenizer_class": "BertTokenizer", "model_max_length": 64}


def wanted(folder: Path) -> tuple[int, ...]:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = {getattr(tokenizer, f"{name}_token_id") for name in ("cls", "sep", "eos", "pad", "unk")}
    return tuple(sorted(ids - {None}))


@pytest.mark.parametrize(
    "stated",
    [
        BERT,
        BERT | {"cls_token": {"content": "[CLS]", "__type": "AddedToken"}, "eos_token": "[MASK]"},
        BERT | {"tokenizer_class": "BertTokenizerFast", "unk_token": "[UNK]"},
    ],
)
def test_berts_are_those_of_transformers(
    stated: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model(tmp_path / "tiny", tokenizer_config=stated)
    monkeypatch.setattr(
        module, "_as_transformers_says", lambda transformer: pytest.fail("transformers was asked")
    )
    assert special_ids(folder) == wanted(folder)


@pytest.mark.parametrize(
    "other",
    [
        {"sep_token": "[MASK]"},
        {"eos_token": "[MASK]"},
        {"cls_token": "[CLS]", "pad_token": "[PAD]"},
    ],
)
def test_a_map_of_special_tokens_counts_too(other: dict[str, str], tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny", tokenizer_config=BERT, special_tokens_map=other)
    assert special_ids(folder) == wanted(folder)


def test_others_are_asked_of_transformers(tmp_path: Path) -> None:
    folder = tiny_three_heads(tmp_path / "tiny")
    assert special_ids(folder) == wanted(folder)
    assert (
        json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"]
        == "XLMRobertaTokenizer"
    )


@pytest.mark.parametrize("name", ["minilm", "mpnet"])
def test_of_real_models(name: str, local_model: Callable[[str], Path]) -> None:
    assert special_ids(local_model(name)) == wanted(local_model(name))
