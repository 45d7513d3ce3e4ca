"""Decoder backbones against sentence-transformers: last-token pooling, the end token, padding,
attention to both sides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decoders import OWN, decoder_model
from nasty import nasty_texts
from nearfield.encoders.text import TextEncoder
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from peer import assert_same_as_sentence_transformers

BOTH_SIDES: dict[str, dict[str, Any]] = {
    "gemma3_text": {"use_bidirectional_attention": True},
    "mistral": {"is_causal": False},
    "qwen2": {"is_causal": False},
    "qwen3": {"is_causal": False},
}
pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")


@pytest.mark.parametrize("kind", OWN)
def test_states_of_the_end_token(kind: str, tmp_path: Path) -> None:
    assert_same_as_sentence_transformers(decoder_model(tmp_path / "model", kind), nasty_texts())


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("pooling", ["lasttoken", "mean"])
def test_attention_to_both_sides(kind: str, pooling: str, tmp_path: Path) -> None:
    folder = decoder_model(tmp_path / "model", kind, pooling=pooling, **BOTH_SIDES[kind])
    texts = nasty_texts(36)
    assert_same_as_sentence_transformers(folder, texts)
    causal = (
        TextEncoder.open(decoder_model(tmp_path / "causal", kind, pooling=pooling))
        .encode(texts, "document")
        .vectors
    )
    assert np.abs(TextEncoder.open(folder).encode(texts, "document").vectors - causal).max() > 0.01


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("pooling", ["lasttoken", "mean"])
def test_prompts_out_of_the_pooling(kind: str, pooling: str, tmp_path: Path) -> None:
    folder = decoder_model(
        tmp_path / "model", kind, pooling=pooling, include_prompt=False, side="right"
    )
    assert_same_as_sentence_transformers(folder, [text for text in nasty_texts(36) if text.strip()])


@pytest.mark.parametrize("end", [True, False])
def test_a_text_that_is_too_long_keeps_its_end_token(end: bool, tmp_path: Path) -> None:
    folder = decoder_model(tmp_path / "model", "qwen3", end=end)
    encoder = TextEncoder.open(folder)
    tokens = encoder.tokenise(
        ["a text of more than the forty-eight bytes that this model reads"], "document"
    )
    assert len(tokens.ids) == 48
    assert (tokens.ids[-1] == 3) == end
    assert_same_as_sentence_transformers(folder, ["x" * 500, "word " * 700, "y"])


def test_the_side_of_the_padding_makes_no_difference(tmp_path: Path) -> None:
    texts = nasty_texts(33)
    left, right = (
        TextEncoder.open(decoder_model(tmp_path / side, "qwen2", side=side)).encode(texts, "query")
        for side in ("left", "right")
    )
    np.testing.assert_array_equal(left.vectors, right.vectors)


@pytest.mark.parametrize("kind", OWN)
def test_what_is_saved_attends_as_it_did(kind: str, tmp_path: Path) -> None:
    folder = decoder_model(tmp_path / "model", kind, **BOTH_SIDES[kind])
    save_encoder(TextModel.open(folder), tmp_path / "saved", name="saved")
    assert_same_as_sentence_transformers(
        tmp_path / "saved", nasty_texts(33), encoder=TextEncoder.open(folder)
    )
