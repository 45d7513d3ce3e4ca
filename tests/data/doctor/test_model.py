"""What the doctor finds only with a model's facts: truncation and prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from nearfield.batch.tokens import Tokeniser
from nearfield.batch.unread import unread_letters
from nearfield.data.collection import Collection
from nearfield.data.doctor.examine import examine
from nearfield.data.doctor.prompts import families
from nearfield.data.doctor.subject import ModelFacts
from nearfield.data.pairs import Pairs
from nearfield.encoders.load import load_text_encoder
from nearfield.encoders.model_facts import model_facts
from nearfield.types.contract import Contract
from nearfield.types.finding import NOTE, WARNING, Finding
from tiny import tiny_model

Run = Callable[..., dict[str, Finding]]


def count_words(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Blank-separated words and two special tokens."""
    return np.array([len(text.split()) + 2 for text in texts], dtype=np.int64)


def facts(name: str = "some-model", *, max_tokens: int = 512, **prompts: str) -> ModelFacts:
    return ModelFacts(
        Contract(name=name, dim=8, max_tokens=max_tokens, prompts=prompts), count_words
    )


@pytest.mark.parametrize(
    ("max_tokens", "prompt", "severity"),
    [(20, "", WARNING), (25, "", NOTE), (26, "one ", NOTE), (27, "one ", None), (26, "", None)],
)
def test_truncation_counts_the_tokens_lost(
    sound: Collection, findings: Run, max_tokens: int, prompt: str, severity: str | None
) -> None:
    found = findings(sound, model=facts(max_tokens=max_tokens, document=prompt)).get(
        "truncated-texts"
    )
    lengths = [
        *(count_words(list(sound.query_texts))),
        *(count_words([prompt + text for text in sound.document_texts])),
    ]
    lost = sum(max(0, int(length) - max_tokens) for length in lengths)
    if severity is None:
        assert found is None
        assert lost == 0
    else:
        assert found is not None
        assert (found.severity, found.count, found.total) == (
            severity,
            lost,
            sum(map(int, lengths)),
        )
        assert f"reads {max_tokens}" in found.example


@pytest.mark.parametrize(
    ("name", "role", "prompt"),
    [
        ("intfloat/e5-small-v2", "query", "query: "),
        ("e5-small", "query", "query: "),
        ("multilingual-e5-base", "query", "query: "),
        (
            "BAAI/bge-small-en-v1.5",
            "query",
            "Represent this sentence for searching relevant passages: ",
        ),
        ("nomic-ai/nomic-embed-text-v1.5", "query", "search_query: "),
        ("google/embeddinggemma-300m", "query", "task: search result | query: "),
        ("Snowflake/snowflake-arctic-embed-m-v2.0", "query", "query: "),
        ("Qwen/Qwen3-Embedding-0.6B", "query", "Instruct: "),
        ("intfloat/e5-mistral-7b-instruct", "query", "Instruct: "),
        ("intfloat/multilingual-e5-large-instruct", "query", "Instruct: "),
    ],
)
def test_a_family_that_needs_prompts_and_a_contract_without(
    sound: Collection, findings: Run, name: str, role: str, prompt: str
) -> None:
    found = findings(sound, model=facts(name))["missing-prompt"]
    assert found.severity == WARNING
    assert repr(prompt) in found.example
    assert role in found.fix


@pytest.mark.parametrize(
    "name",
    ["minilm", "all-mpnet-base-v2", "bge-m3", "gte-small", "bge-reranker-base", "made5-base"],
)
def test_families_without_prompts_are_left_alone(
    sound: Collection, findings: Run, name: str
) -> None:
    assert findings(sound, model=facts(name)) == {}


def test_only_the_missing_role_is_named(sound: Collection, findings: Run) -> None:
    assert (
        "passage: "
        in findings(sound, model=facts("e5-small", query="query: "))["missing-prompt"].example
    )
    assert findings(sound, model=facts("e5-small", query="query: ", document="passage: ")) == {}


@pytest.fixture
def carrying(sound: Collection, make_collection) -> Collection:  # type: ignore[no-untyped-def]
    """The sound collection with E5's prompts written into its texts."""
    documents = {
        key: f"passage: {text}"
        for key, text in zip(sound.document_ids, sound.document_texts, strict=True)
    }
    queries = {
        key: f"query: {text}" for key, text in zip(sound.query_ids, sound.query_texts, strict=True)
    }
    return make_collection(
        documents, queries, [tuple(row.values()) for row in sound.judgements.to_pylist()]
    )


def test_texts_that_carry_the_models_prompt_would_have_it_twice(
    carrying: Collection, findings: Run
) -> None:
    found = findings(carrying, model=facts("e5-small", query="query: ", document="passage: "))
    assert (found["carried-prompt"].severity, found["carried-prompt"].count) == (WARNING, 10)
    assert "twice" in found["carried-prompt"].example
    assert "missing-prompt" not in found


def test_texts_that_carry_what_the_contract_lacks_are_right(
    carrying: Collection, findings: Run
) -> None:
    assert not {"carried-prompt", "missing-prompt"} & set(
        findings(carrying, model=facts("e5-small"))
    )


@pytest.mark.parametrize(
    "model",
    [
        None,
        facts("minilm"),
        facts("bge-small", query="Represent this sentence for searching relevant passages: "),
    ],
)
def test_texts_that_carry_another_familys_prompt(
    carrying: Collection, findings: Run, model: ModelFacts | None
) -> None:
    assert "'query: '" in findings(carrying, model=model)["carried-prompt"].example


def test_every_family_is_whole() -> None:
    for family in families():
        assert family.title
        assert family.query or family.document


def test_a_model_that_does_not_know_the_script() -> None:
    vocabulary = {"[UNK]": 0} | {
        token: at
        for at, token in enumerate([*"abcdefghijklmnopqrstuvwxyz", *"привет", "text", "мир"], 1)
    }
    pieces = vocabulary | {
        f"##{token}": len(vocabulary) + at
        for at, token in enumerate(vocabulary)
        if token != "[UNK]"
    }
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokeniser = Tokeniser(tokenizer, max_tokens=64)
    assert unread_letters(tokeniser, ["text text", "мир"]) == (Counter(), 11)
    assert unread_letters(tokeniser, ["привет", "नमस्ते", "世界 a"])[0] == {
        "CYRILLIC": 6,
        "DEVANAGARI": 4,
        "CJK": 2,
    }
    known = ModelFacts(
        Contract(name="small", dim=8, max_tokens=64),
        count_words,
        partial(unread_letters, tokeniser),
        ("wide",),
    )
    table = pa.table({"query": ["text", "text"], "positive": ["привет привет", "text"]})
    (found,) = [
        finding
        for finding in examine(Pairs.from_table(table), model=known)
        if finding.check == "unread-language"
    ]
    assert (found.severity, found.count, found.total) == ("warning", 12, 24)
    assert "Cyrillic 50% of the letters" in found.example
    assert "wide of the catalog" in found.fix
    assert "unread-language" not in [
        finding.check for finding in examine(Pairs.from_table(table.slice(1)), model=known)
    ]


def test_models_of_many_languages_are_named(tmp_path: Path) -> None:
    wide = model_facts(load_text_encoder(str(tiny_model(tmp_path / "tiny"))))
    assert "embeddinggemma-300m" in wide.multilingual
    assert "minilm" not in wide.multilingual


def test_empty_texts_are_reported_once() -> None:
    blank = ["", "", ""]
    documents = pa.table(
        {"id": ["a", "b", "c"], "title": blank, "text": ["", " ", "words here"], "group": blank}
    )
    queries = pa.table({"id": ["x", "y"], "text": ["", "ask"], "group": ["", ""]})
    judged = pa.table(
        {
            "query": ["x", "y"],
            "document": ["a", "c"],
            "relevance": pa.array([1, 1], pa.int32()),
            "split": ["train", "test"],
        }
    )
    found = {finding.check for finding in examine(Collection("x", documents, queries, judged))}
    assert {"empty-documents", "empty-queries"} <= found
    assert not found & {
        "duplicate-documents",
        "near-duplicate-documents",
        "false-negatives",
        "duplicate-queries",
        "query-is-document",
    }
