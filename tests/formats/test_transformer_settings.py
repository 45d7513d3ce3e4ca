"""Every key of sentence_bert_config.json is honoured, as sentence-transformers honours it, or
refused by name.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nearfield.encoders.text import TextEncoder
from nearfield.errors import NearfieldError, TruncationWarning
from peer import assert_same_as_sentence_transformers
from tiny import tiny_model

TEXTS = ["the CAT of dog", "[MASK] a [CLS] b", "sort list " * 30]
FORWARD = {"method": "forward", "method_output_name": "last_hidden_state"}
HONOURED: list[dict[str, Any]] = [
    {"max_seq_length": 9},
    {"max_seq_length": None, "tokenizer_args": {"model_max_length": 12}},
    {"max_seq_length": 20, "processor_kwargs": {"model_max_length": 12}},
    {"do_lower_case": True},
    {"tokenizer_args": {"truncation_side": "left"}},
    {"processor_kwargs": {"truncation_side": "left", "trust_remote_code": True}},
    {
        "processor_kwargs": {"truncation_side": "left"},
        "tokenizer_args": {"truncation_side": "right"},
    },
    {"processor_kwargs": {"split_special_tokens": True}},
    {"processor_kwargs": {"mask_token": "cat"}},
    {"model_args": {"attn_implementation": "eager", "dtype": "float32"}},
    {"config_args": {"num_hidden_layers": 2, "revision": "main"}},
    {"unpad_inputs": False},
    {"modality_config": {"text": FORWARD}, "module_output_name": "token_embeddings"},
    {"transformer_task": "feature-extraction"},
    {"processing_kwargs": {"text": {"padding": "longest"}, "common": {"return_tensors": "pt"}}},
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("config_args.num_hidden_layers is 1", {"config_args": {"num_hidden_layers": 1}}),
    ("config_kwargs.hidden_act is 'relu'", {"config_kwargs": {"hidden_act": "relu"}}),
    ("config_kwargs.is_decoder", {"config_kwargs": {"is_decoder": True}}),
    ("model_args.output_attentions", {"model_args": {"output_attentions": True}}),
    ("model_kwargs.variant", {"model_kwargs": {"variant": "fp16"}}),
    ("processor_kwargs.tokenizer_file", {"processor_kwargs": {"tokenizer_file": "other.json"}}),
    ("tokenizer_args.gguf_file", {"tokenizer_args": {"gguf_file": "x.gguf"}}),
    ("tokenizer_name_or_path", {"tokenizer_name_or_path": "other"}),
    ("processing_kwargs.text.max_length", {"processing_kwargs": {"text": {"max_length": 5}}}),
    ("processing_kwargs.text.truncation", {"processing_kwargs": {"text": {"truncation": False}}}),
    (
        "processing_kwargs.common.add_special_tokens",
        {"processing_kwargs": {"common": {"add_special_tokens": False}}},
    ),
    ("processing_kwargs.chat_template", {"processing_kwargs": {"chat_template": {"x": 1}}}),
    ("modality_config.message", {"modality_config": {"text": FORWARD, "message": FORWARD}}),
    (
        "modality_config.text.method_output_name",
        {"modality_config": {"text": FORWARD | {"method_output_name": "pooler_output"}}},
    ),
    (
        "modality_config.text.method ",
        {"modality_config": {"text": FORWARD | {"method": "get_text_features"}}},
    ),
    ("modality_config.text", {"modality_config": {"image": FORWARD}}),
    ("module_output_name", {"module_output_name": "sentence_embedding"}),
    ("transformer_task", {"transformer_task": "fill-mask"}),
    ("query_length", {"query_length": 4}),
    ("document_length", {"document_length": 4}),
    ("query_expansion", {"query_expansion": {"strategy": "fixed", "length": 8}}),
    ("max_sequence_length", {"max_sequence_length": 9}),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "model")


def stating(base: Path, to: Path, settings: dict[str, Any]) -> Path:
    shutil.copytree(base, to)
    file = to / "sentence_bert_config.json"
    stated = json.loads(file.read_text()) | settings
    file.write_text(json.dumps({key: value for key, value in stated.items() if value is not None}))
    return to


@pytest.mark.filterwarnings(f"ignore::{TruncationWarning.__module__}.{TruncationWarning.__name__}")
@pytest.mark.parametrize("settings", HONOURED, ids=json.dumps)
def test_what_is_honoured_gives_sentence_transformers_vectors(
    settings: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    assert_same_as_sentence_transformers(stating(base, tmp_path / "one", settings), TEXTS)


@pytest.mark.parametrize(("name", "settings"), REFUSED, ids=[name for name, _ in REFUSED])
def test_what_is_not_honoured_is_refused_by_name(
    name: str, settings: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    with pytest.raises(NearfieldError) as caught:
        TextEncoder.open(stating(base, tmp_path / "one", settings))
    assert "sentence_bert_config.json" in str(caught.value)
    assert name in str(caught.value)


def test_a_saved_model_keeps_what_its_tokeniser_is_built_with(base: Path, tmp_path: Path) -> None:
    from nearfield.models.model import TextModel
    from nearfield.models.saving.save import save_encoder

    folder = stating(
        base,
        tmp_path / "one",
        {"processor_kwargs": {"split_special_tokens": True, "mask_token": "cat"}},
    )
    save_encoder(TextModel.open(folder), tmp_path / "saved", name="saved")
    assert_same_as_sentence_transformers(
        tmp_path / "saved", TEXTS[:2], encoder=TextEncoder.open(folder)
    )
