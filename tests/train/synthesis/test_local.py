"""Queries by small random models of Hugging Face's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from decoders import decoder_model
from nearfield.errors import ModelError
from nearfield.train.synthesis.local import Local, tidy
from nearfield.train.synthesis.prompts import as_text
from nearfield.train.synthesis.writer import Document, Order, Queries

DOCUMENTS = [
    Document("", "The heron fishes at the quiet pond."),
    Document("Ice", "A glacier moves by its own weight over centuries, as slowly as it can."),
    Document("", "Sourdough rises."),
]
CHAT = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"


@pytest.fixture(scope="module", params=["causal", "chat", "seq2seq"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = decoder_model(
        tmp_path_factory.mktemp("writers") / request.param, "qwen2", end=False, side="right"
    )
    tokeniser = AutoTokenizer.from_pretrained(made)
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        if request.param == "seq2seq":
            config = AutoConfig.for_model(
                "t5", vocab_size=len(tokeniser), d_model=16, d_kv=8, d_ff=16, num_layers=1,
                num_heads=2, decoder_start_token_id=0, eos_token_id=3, pad_token_id=0,
            )  # fmt: skip
            model = AutoModelForSeq2SeqLM.from_config(config)
        else:
            config = AutoConfig.from_pretrained(made)
            config.max_position_embeddings = 4096
            model = AutoModelForCausalLM.from_config(config)
    if request.param == "chat":
        tokeniser.chat_template = CHAT
    tokeniser.save_pretrained(made)
    model.save_pretrained(made)
    return made


def written(writer: Local, documents: list[Document]) -> dict[int, Queries]:
    found: dict[int, Queries] = {}
    writer.write(documents, found.update)
    return found


def test_the_same_order_is_written_the_same_and_another_seed_otherwise(folder: Path) -> None:
    order = Order(per_document=2, examples=(("a query", "its document"),))
    found = written(Local(folder, order), DOCUMENTS)
    assert found == written(Local(folder, order), DOCUMENTS)
    assert set(found) == {0, 1, 2}
    other = written(Local(folder, Order(2, examples=order.examples, seed=1)), DOCUMENTS)
    assert other != found
    texts = [text for queries in found.values() for _, text in queries]
    assert texts
    assert all("\n" not in text and text.strip() for text in texts)
    assert len(set(texts)) > len(texts) // 2


def test_a_document_of_its_own_is_drawn_for_whatever_stands_beside_it(folder: Path) -> None:
    writer = Local(folder, Order(per_document=1, styles=("a claim",)))
    writer._model = writer._model.to(torch.float32)  # padding changes its last bits only
    alone, beside = written(writer, DOCUMENTS[1:2])[0], written(writer, DOCUMENTS)[1]
    assert alone == beside
    assert {style for style, _ in alone} <= {"a claim"}


def test_a_folder_that_does_not_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing"}))
    with pytest.raises(ModelError, match="could not be opened as a model that writes"):
        Local(tmp_path, Order())


def test_examples_stand_before_what_is_asked() -> None:
    order = Order(styles=("claim",), languages=("German", "French"), examples=(("q1", "d1"),))
    text = as_text(DOCUMENTS[1], order, 1)
    assert text.startswith("Document: d1\nQuery: q1\n\nDocument: Ice A glacier")
    assert text.endswith("Query (claim, in French):")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ('\n "what is a heron?" \nmore', "what is a heron?"),
        ("Query: heron pond", "heron pond"),
        ("1. heron pond", "heron pond"),
        ("- **heron**", "heron"),
        ("quality of water", "quality of water"),
        ("3.5 mm jack", "3.5 mm jack"),
        ("\n\n", ""),
    ],
)
def test_a_query_is_tidied(text: str, query: str) -> None:
    assert tidy(text) == query
