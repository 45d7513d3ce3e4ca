"""BGE-M3's published layout gives FlagEmbedding's three outputs, whose formulae are written out
here as it computes them: padded.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from nasty import nasty_texts
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, ModelError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.systems import model_systems
from nearfield.indexes.index import exact_index
from nearfield.kernels.library import runnable
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.retrieval.explain import Asked
from nearfield.runtimes.options import OpenOptions
from nearfield.similarity.explained import WHOLE
from nearfield.similarity.fused import Fused
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.open import open_embeddings
from nearfield.similarity.sparse import Sparse
from peer import assert_same_as_sentence_transformers
from three_head_models import tiny_three_heads
from tiny_data import tiny_collection


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_three_heads(tmp_path_factory.mktemp("three") / "tiny-m3")


class FlagEmbedding:
    """BGEM3FlagModel at float32, from FlagEmbedding 1.4.2: inference/embedder/encoder_only/m3.py
    and finetune/.../m3/modeling.py.
    """

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModel.from_pretrained(folder).eval()
        self.colbert_linear, self.sparse_linear = (
            _layer(folder / f"{name}_linear.pt") for name in ("colbert", "sparse")
        )
        names = ("cls_token_id", "eos_token_id", "pad_token_id", "unk_token_id")
        self.unused = [getattr(self.tokenizer, name) for name in names]

    @torch.no_grad()
    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Dense (n, dim), sparse (n, vocabulary), token vectors (n, L - 1, dim), mask (n, L)."""
        inputs = self.tokenizer(
            texts, padding=True, truncation=True, max_length=64, return_tensors="pt"
        )
        hidden, ids, mask = (
            self.model(**inputs).last_hidden_state,
            inputs["input_ids"],
            inputs["attention_mask"],
        )
        dense = nn.functional.normalize(hidden[:, 0], dim=-1)
        weights = torch.relu(self.sparse_linear(hidden))
        sparse = (
            torch.zeros(*ids.shape, self.model.config.vocab_size)
            .scatter(-1, ids.unsqueeze(-1), weights)
            .max(1)
            .values
        )
        sparse[:, self.unused] *= 0.0
        vectors = self.colbert_linear(hidden[:, 1:]) * mask[:, 1:][:, :, None].float()
        return dense, sparse, nn.functional.normalize(vectors, dim=-1), mask

    @cache  # noqa: B019
    def alone(self, text: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A text in a batch of its own."""
        return self.encode([text])

    def compute_score(
        self, query: str, document: str, weights: tuple[float, float, float]
    ) -> dict[str, float]:
        """The scores of one pair, alone in its batch; weights of dense, sparse, colbert."""
        (q_dense, q_sparse, q_tokens, q_mask), (p_dense, p_sparse, p_tokens, _) = (
            self.alone(query),
            self.alone(document),
        )
        dense, sparse = float(q_dense @ p_dense.T), float(q_sparse @ p_sparse.T)
        near = torch.einsum("qin,pjn->qipj", q_tokens, p_tokens).max(-1).values
        colbert = float(near.sum(1) / q_mask[:, 1:].sum(-1, keepdim=True))
        w = weights
        fused = (colbert * w[2] + sparse * w[1] + dense * w[0]) / sum(w)
        return {"dense": dense, "sparse": sparse, "multi-vector": colbert, "fused": fused}


def _layer(file: Path) -> nn.Linear:
    weights = torch.load(file, weights_only=True)
    layer = nn.Linear(*reversed(weights["weight"].shape))
    layer.load_state_dict(weights)
    return layer


@pytest.mark.parametrize("runtime", ["torch", "native"])
def test_all_three_outputs_are_those_of_flag_embedding(folder: Path, runtime: str) -> None:
    if runtime == "native" and not runnable():
        pytest.skip("the kernels are not compiled here")
    texts = nasty_texts()
    encoder = load(folder, runtime=runtime)
    with pytest.warns(UserWarning, match="tokens"):
        ours = encoder.encode(texts, "document")
    assert isinstance(ours, Fused)
    dense, sparse, tokens, mask = FlagEmbedding(folder).encode(texts)
    np.testing.assert_allclose(ours.parts["dense"].vectors, dense.numpy(), atol=1e-5, rtol=0)
    terms, multi_vector = ours.parts["sparse"], ours.parts["multi-vector"]
    assert isinstance(terms, Sparse)
    assert isinstance(multi_vector, MultiVector)
    np.testing.assert_allclose(terms.matrix().toarray(), sparse.numpy(), atol=1e-5, rtol=1e-6)
    assert terms.active.sum() > 1000  # so that there is something to compare
    np.testing.assert_array_equal(multi_vector.lengths, mask.sum(1).numpy() - 1)
    np.testing.assert_allclose(
        multi_vector.tokens.vectors, tokens[mask[:, 1:].bool()].numpy(), atol=1e-5, rtol=0
    )


def test_scores_are_those_of_flag_embedding(folder: Path) -> None:
    peer, encoder = FlagEmbedding(folder), load(folder)
    texts, weights = (
        ["", "a cat", "the dog and the sun", "read a file line : the file", "日本語 tax law"],
        (0.4, 0.2, 0.4),
    )
    found = encoder.encode(texts, "query")
    fused = Fused(found.parts, dict(zip(found.parts, weights, strict=True)))
    scores = {kind: part.scores(part) for kind, part in found.parts.items()} | {
        "fused": fused.scores(fused) / sum(weights)
    }
    for row, query in enumerate(texts):
        for column, document in enumerate(texts):
            for kind, value in peer.compute_score(query, document, weights).items():
                assert scores[kind][row, column] == pytest.approx(value, abs=1e-5, rel=1e-5), kind


def test_sentence_transformers_and_a_stated_kind_give_the_dense_vectors_alone(
    tmp_path: Path,
) -> None:
    folder, texts = tiny_three_heads(tmp_path / "tiny-m3"), nasty_texts(60)
    (folder / "nearfield.json").write_text('{"contract": {"kind": "dense"}}', encoding="utf-8")
    encoder: Any = TextEncoder.open(folder, OpenOptions(runtime="torch"))
    assert encoder.contract.kind == "dense"
    assert_same_as_sentence_transformers(folder, texts, encoder=encoder)
    (folder / "nearfield.json").unlink()
    several = load(folder, runtime="torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of texts that are cut
        np.testing.assert_array_equal(
            several.encode(texts, "query").parts["dense"].vectors,
            encoder.encode(texts, "query").vectors,
        )


def test_order_and_batches_change_nothing(folder: Path) -> None:
    encoder, texts = (
        load(folder),
        ["a cat", "the dog and the cat and the sun and the rain", "", "tax law", "read a file"],
    )
    whole = encoder.encode(texts, "document")
    for budget in (1, 9, 4096):
        turned = TextEncoder(encoder.folder, encoder.runtime, batch_tokens=budget).encode(
            texts[::-1], "document"
        )[::-1]
        np.testing.assert_allclose(turned.scores(whole), whole.scores(whole), atol=1e-5)
        assert turned.usage.items == len(turned) == len(texts)
    assert len(encoder.encode([], "document")) == 0


def test_a_changed_model_is_saved_in_the_same_layout(folder: Path, tmp_path: Path) -> None:
    model, texts = TextModel.open(folder), nasty_texts(40)
    with torch.no_grad():
        for weight in model.parameters().values():
            weight.mul_(1.1)
    save_encoder(model, tmp_path / "saved", name="changed")
    with pytest.warns(UserWarning, match="tokens"):
        ours: Any = load(tmp_path / "saved").encode(texts, "document")
    dense, sparse, tokens, mask = FlagEmbedding(tmp_path / "saved").encode(texts)
    np.testing.assert_allclose(ours.parts["dense"].vectors, dense.numpy(), atol=1e-5, rtol=0)
    np.testing.assert_allclose(
        ours.parts["sparse"].matrix().toarray(), sparse.numpy(), atol=1e-5, rtol=1e-6
    )
    np.testing.assert_allclose(
        ours.parts["multi-vector"].tokens.vectors,
        tokens[mask[:, 1:].bool()].numpy(),
        atol=1e-5,
        rtol=0,
    )
    assert not np.allclose(
        ours.parts["dense"].vectors, FlagEmbedding(folder).encode(texts)[0].numpy(), atol=1e-3
    )


def test_the_parts_of_a_fused_score_are_named_and_sum_to_it(folder: Path) -> None:
    encoder = load(folder)
    query, document = (
        encoder.encode(["a cat"], "query"),
        encoder.encode(["the cat and the sun"], "document"),
    )
    found = Asked(encoder, "a cat", query).explain(document, "the cat and the sun").matches
    assert sum(match.score for match in found) == pytest.approx(
        query.scores(document)[0, 0], rel=1e-5
    )
    # its sparse head says nothing of these
    assert list(dict.fromkeys(match.part for match in found)) == ["dense", "multi-vector"]
    assert [match.score for match in found if match.query == WHOLE] == pytest.approx(
        [query.parts["dense"].scores(document.parts["dense"])[0, 0]], rel=1e-5
    )
    assert [match.query for match in found][-3:] == ["▁a", "▁cat", "</s>"]


def test_vectors_are_cut_alike_on_every_runtime(tmp_path: Path) -> None:
    if not runnable():
        pytest.skip("the kernels are not compiled here")
    place = tiny_three_heads(tmp_path / "tiny-m3")
    (place / "nearfield.json").write_text(
        '{"contract": {"matryoshka_dims": [32, 16], "layer_norm": true}}'
    )
    both = [
        load(place, runtime=runtime).encode(["a cat", "the dog"], "document").parts["dense"]
        for runtime in ("native", "torch")
    ]
    assert [made.layer_norm for made in both] == [True, True]
    np.testing.assert_allclose(*(made.truncate(16).floats() for made in both), atol=1e-5)


def test_what_is_half_or_damaged_says_so(tmp_path: Path) -> None:
    folder = tiny_three_heads(tmp_path / "tiny-m3")
    whole = (folder / "sparse_linear.pt").read_bytes()
    (folder / "sparse_linear.pt").unlink()
    with pytest.raises(ModelError, match=r"holds colbert_linear\.pt and not the other"):
        load(folder)
    (folder / "sparse_linear.pt").write_bytes(whole[:100])
    with pytest.raises(ModelError, match=r"sparse_linear\.pt: holds no weights that torch saved"):
        load(folder)
    torch.save(nn.Linear(16, 1).state_dict(), folder / "sparse_linear.pt")
    with pytest.raises(ModelError, match="is not a linear layer over states of 32 dimensions"):
        load(folder)
    torch.save(nn.Linear(32, 2).state_dict(), folder / "sparse_linear.pt")
    with pytest.raises(ModelError, match=r"wanted a weight \(1, 32\)"):
        load(folder)
    (folder / "sparse_linear.pt").write_bytes(whole)
    (folder / "nearfield.json").write_text(
        '{"contract": {"fusion": {"dens": 1.0}}}', encoding="utf-8"
    )
    with pytest.raises(ContractError, match="fusion is"):
        load(folder)


def test_each_head_and_the_fused_score_are_compared_and_searched(
    folder: Path, tmp_path: Path
) -> None:
    collection, encoder = tiny_collection(), load(folder)
    test = collection.split("test")
    systems = model_systems(encoder, test, name="m3")
    assert [system.name for system in systems] == ["m3", "m3 dense", "m3 sparse", "m3 multi-vector"]
    documents = encoder.encode(collection.document_texts, "document")
    documents.save(tmp_path / "documents", ids=list(collection.document_ids))
    queries = encoder.encode(test.query_texts, "query")
    for system, asked in zip(systems, [queries, *queries.parts.values()], strict=True):
        stored = open_embeddings(tmp_path / "documents")
        stored = stored if asked.kind == "several" else stored.parts[asked.kind]
        found = exact_index(stored).search(asked, 100)
        np.testing.assert_array_equal(found.documents, system.ranking.documents)
        assert system.bytes_per_document == pytest.approx(stored.bytes_per_item)
    comparison = compare(systems, test)
    terms, tokens = documents.parts["sparse"], documents.parts["multi-vector"]
    assert (
        f"m3: {terms.active.mean():,.1f} active terms per document, of {terms.dim}; "
        f"{tokens.lengths.mean():,.1f} vectors per document, of {tokens.dim} dimensions"
    ) in comparison.notes
