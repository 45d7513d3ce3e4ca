"""How an encoder is called: with a role, or without one where that makes no difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from late_models import tiny_late
from nearfield.encoders.lexical import BagOfWords, Lexical
from nearfield.encoders.load import load
from nearfield.errors import ContractError
from tiny import tiny_model

TEXTS = ["a cat", "", "tax law"]
PROMPTS = {"prompts": {"query": "query: ", "document": "passage: "}}


def test_no_role_is_needed_where_queries_and_documents_are_encoded_alike(tmp_path: Path) -> None:
    encoder = load(tiny_model(tmp_path / "tiny"))
    found = encoder.encode(TEXTS)
    assert found.vectors.shape == (3, 32)
    for made in (encoder.encode_query(TEXTS), encoder.encode_document(TEXTS)):
        np.testing.assert_array_equal(made.vectors, found.vectors)
    tfidf = Lexical.fit(TEXTS, BagOfWords("tfidf"))
    assert len(tfidf.encode(TEXTS)) == 3


def test_a_role_is_asked_for_where_they_differ(tmp_path: Path) -> None:
    prompted = load(tiny_model(tmp_path / "tiny", config_sentence_transformers=PROMPTS))
    for encoder in (
        prompted,
        load(tiny_late(tmp_path / "late")),
        Lexical.fit(TEXTS, BagOfWords("bm25")),
    ):
        with pytest.raises(ContractError, match="call encode_query or encode_document, or state"):
            encoder.encode(TEXTS)
    for role, made in (
        ("query", prompted.encode_query(TEXTS)),
        ("document", prompted.encode_document(TEXTS)),
    ):
        np.testing.assert_array_equal(made.vectors, prompted.encode(TEXTS, role).vectors)
    assert np.abs(prompted.encode_query(TEXTS).vectors - made.vectors).max() > 1e-3


def test_a_spec_says_what_runs_the_model(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    encoder = load(f"{folder}@torch,bfloat16", precision="float32")
    assert (encoder.runtime.name, encoder.precision) == ("torch", "bfloat16")
