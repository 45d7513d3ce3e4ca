"""Documents in chunks, a vector for each: beside the chunks encoded alone, and late chunks beside
transformers' own states.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import nearfield as nf
from nearfield.data.chunk.chunks import chunks
from nearfield.encoders.chunked import Chunked, LateChunked
from nearfield.encoders.load import load_text_encoder
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import ContractError, InputError, ModelError
from tiny import tiny_model

TEXTS = [
    "the cat and the dog read a file. music is a game. a tree is a node, and a list is a path.",
    "tax law is court law. sun and rain.",
    "",
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def parts(encoder: Chunked, text: str) -> list[str]:
    return [chunk.text for chunk in encoder.chunks(text)]


def test_a_document_is_its_chunks_and_as_near_as_the_best_of_them(tiny: Path) -> None:
    encoder: Any = nf.load(f"{tiny}@chunk=sentences:8")
    plain = nf.load(tiny)
    made = encoder.encode_document(TEXTS)
    lengths = [len(parts(encoder, text)) for text in TEXTS]
    assert made.lengths.tolist() == lengths
    assert lengths[0] > lengths[1] > lengths[2] == 1
    assert len(made) == len(made.counts) == made.usage.items == 3
    texts = [part for text in TEXTS for part in parts(encoder, text)]
    np.testing.assert_allclose(made.tokens.floats(), plain.encode(texts).floats(), atol=1e-6)
    asked = ["cat and dog", "law"]
    near = plain.encode(asked).floats() @ made.tokens.floats().T
    ends = np.cumsum(lengths)
    best = np.stack(
        [near[:, end - n : end].max(1) for n, end in zip(lengths, ends, strict=True)], 1
    )
    scores = encoder.encode_query(asked).scores(made)
    np.testing.assert_allclose(scores, best, atol=1e-5)


@pytest.mark.parametrize("prompt", ["", "passage: "])
def test_late_chunks_are_means_of_the_whole_texts_states(tmp_path: Path, prompt: str) -> None:
    prompts = {"prompts": {"document": prompt}}
    folder = tiny_model(tmp_path / "tiny", config_sentence_transformers=prompts)
    encoder: Any = nf.load(f"{folder}@late=sentences:8")
    assert encoder.contract.prompt("document") == prompt
    made = encoder.encode_document(TEXTS[:2])
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    naive = []
    for text in TEXTS[:2]:
        given = tokenizer(prompt + text, return_offsets_mapping=True, return_tensors="pt")
        places = given.pop("offset_mapping")[0] - len(prompt)
        with torch.inference_mode():
            states = model(**given).last_hidden_state[0]
        for chunk in encoder.chunks(text):
            own = (places[:, 0] >= chunk.start) & (places[:, 1] <= chunk.end)
            own &= places[:, 1] > places[:, 0]
            naive.append(torch.nn.functional.normalize(states[own].mean(0), dim=0).numpy())
    np.testing.assert_allclose(made.tokens.floats(), np.stack(naive), atol=1e-5)


def test_late_chunks_that_are_more_than_a_model_reads_are_all_read(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny", max_tokens=24)
    late: Any = nf.load(f"{folder}@late=sentences:8")
    text = " ".join(TEXTS[:2] * 4)
    made = late.encode_document([text, ""])
    assert made.lengths.tolist() == [len(late.chunks(text)), 1]
    assert made.usage.tokens_lost == 0
    wide: Any = nf.load(f"{folder}@chunk=tokens:200:50")
    assert max(len(wide.encoder.token_starts(part)) for part in parts(wide, text)) == 22
    assert wide.encode_document([text]).usage.tokens_lost == 0
    assert len(made.tokens) > 10
    assert np.isfinite(made.tokens.floats()).all()


def test_a_hit_tells_the_chunk_and_a_kept_index_opens_again(tiny: Path, tmp_path: Path) -> None:
    for how in ("chunk", "late"):
        model = f"{tiny}@{how}=sentences:8"
        made = nf.index(model, TEXTS[:2], tmp_path / how)
        (hit,) = made.search("sun and rain", k=1)
        (match,) = next(iter(hit.why.values())).matches
        assert match.document in parts(made.retriever.stages[0].encoder, hit.text)
        (again,) = nf.open_index(tmp_path / how).search("sun and rain", k=1)
        assert (again.id, again.score) == (hit.id, pytest.approx(hit.score, abs=1e-6))


def test_documents_are_judged_by_their_chunks(tiny: Path) -> None:
    rows = [{"query": f"cat {n}", "positive": f"{TEXTS[0]} {n}. {TEXTS[1]}"} for n in range(12)]
    compared = nf.compare(
        [str(tiny), f"{tiny}@chunk=sentences:8", f"{tiny}@late=8"], nf.open_collection(rows)
    )
    assert {row.name for row in compared.rows} >= {"tiny@chunk=sentences:8", "tiny@late=8"}
    assert compared.documents == 12


def test_a_spec_says_the_chunks() -> None:
    spec = ModelSpec.parse("e5@torch,chunk=sentences:100:20,task=Find x, y")
    assert (spec.name, spec.runtime, spec.task) == ("e5", "torch", "Find x, y")
    assert (str(spec.chunking), spec.whole) == ("sentences:100:20", "e5@torch,task=Find x, y")
    assert ModelSpec.parse("e5@late=64").whole == "e5"
    assert ModelSpec.parse("e5@chunk=code").chunking.size == 200  # type: ignore[union-attr]
    for wrong, told in {
        "chunk=": "splitter",
        "chunk=words": "splitter",
        "chunk=20:30": "overlap of chunks is 30",
        "chunk=0": "size of chunks is 0",
        "chunk=20:1:1": "wanted SPLITTER:SIZE:OVERLAP",
        "late=tokens:x": "wanted SPLITTER:SIZE:OVERLAP",
    }.items():
        with pytest.raises(nf.NearfieldError, match=told):
            ModelSpec.parse(f"e5@{wrong}")


def test_what_cannot_be_chunked_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="chunks are for encoding and searching"):
        load_text_encoder(f"{tiny}@chunk=8")
    cls = tiny_model(tmp_path / "cls", pooling="cls")
    with pytest.raises(ContractError, match="pools by 'cls'; late chunks"):
        nf.load(f"{cls}@late=8")
    with pytest.raises(ModelError, match="pools whole texts; wanted torch"):
        nf.load(f"{tiny}@native,late=8").encode_document(["a cat"])
    assert isinstance(nf.load(f"{cls}@chunk=8"), Chunked)
    assert isinstance(nf.load(f"{tiny}@late=8"), LateChunked)
    assert chunks("a cat", size=8)[0].text == "a cat"
    with pytest.raises(InputError):
        nf.index(f"{tiny}@chunk=x:y", TEXTS)
