"""Successive halving against the whole grid, on a collection of words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from counting import CountingTerms, CountingTokens
from nearfield.data.collection import Collection, Split
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.remembering import Remembering
from nearfield.errors import ContractError, InputError
from nearfield.evaluate.analysis import choose as choosing
from nearfield.evaluate.analysis.choose import PARTS, choose, sampled
from nearfield.evaluate.compare import compare
from nearfield.evaluate.decide import decide
from nearfield.evaluate.systems import bm25_system
from nearfield.evaluate.task import Options
from nearfield.report.decision_page import decision_page
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import unit
from nearfield.types.comparison import Comparison
from nearfield.types.contract import Contract
from nearfield.types.evaluation.decision import Limits
from nearfield.types.progress import silent

WORDS = 400
SMALL = Options(dims=(1.0, 0.5), storages=("float32", "binary"), bm25=False)


class Words(Encoder):
    """The sum of a random vector per word: the fewer dims the worse, since words fall together."""

    def __init__(self, dim: int) -> None:
        self.contract = Contract(
            f"bag{dim}", dim=dim, max_tokens=99, matryoshka_dims=(dim // 2, dim)
        )
        self.table = np.random.default_rng(dim).normal(size=(WORDS, dim))

    def encode_as(self, role, items, *, progress=silent) -> Dense:
        rows = [self.table[[int(word[1:]) for word in item.split()]].sum(0) for item in items]
        return Dense.under(self.contract, unit(np.array(rows, np.float32)))


@pytest.fixture(scope="module")
def bags() -> list[Words]:
    return [Words(dim) for dim in (4, 6, 8, 16, 32, 64)]


@pytest.fixture(scope="module")
def many() -> Split:
    """1,000 documents of 12 words; 100 queries of four words of one of them and two others."""
    rng = np.random.default_rng(3)
    documents = rng.integers(0, WORDS, (1000, 12))
    rows = rng.permutation(1000)[:100]
    asked = [
        [*rng.choice(documents[row], 4, replace=False), *rng.integers(0, WORDS, 2)] for row in rows
    ]

    def text(words) -> str:
        return " ".join(f"w{word}" for word in words)

    collection = Collection(
        "words",
        pa.table(
            {
                "id": [f"d{at}" for at in range(1000)],
                "title": [""] * 1000,
                "text": [*map(text, documents)],
                "group": [""] * 1000,
            }
        ),
        pa.table(
            {
                "id": [f"q{at}" for at in range(100)],
                "text": [*map(text, asked)],
                "group": [""] * 100,
            }
        ),
        pa.table(
            {
                "query": [f"q{at}" for at in range(100)],
                "document": [f"d{row}" for row in rows],
                "relevance": [1] * 100,
                "split": ["test"] * 100,
            }
        ),
    )
    return collection.split("test")


@pytest.fixture(scope="module")
def grid(bags: list[Words], many: Split) -> Comparison:
    return compare(bags, many, measures=["nDCG@10"], options=SMALL)


@pytest.mark.parametrize("seed", range(5))
def test_it_ends_at_the_grids_choice_at_two_fifths_of_its_work(bags, many, grid, seed) -> None:
    found = choose(bags, many, options=SMALL, seed=seed)
    best, take = decide(grid).best, found.comparison.decision.take
    tests = {pair.b: pair.p_holm for pair in grid.pairs if pair.a == best.name}
    assert tests.get(take.name, 1.0) >= 0.05
    assert len(found.rounds) == len(PARTS)
    assert len(found.rounds[0].kept) <= 3
    assert len(found.rounds[1].kept) <= 2
    assert np.mean(list(found.shares.values())) <= 0.4
    assert found.shares[take.name.split()[0]] == pytest.approx(1)


def test_a_larger_collection_is_never_read_whole(bags, many, grid, monkeypatch) -> None:
    """Two fifths of the documents, and all queries, by their characters."""
    monkeypatch.setattr(choosing, "SMALL", 500)
    found = choose(bags, many, options=SMALL)
    best, take = decide(grid).best, found.comparison.decision.take
    tests = {pair.b: pair.p_holm for pair in grid.pairs if pair.a == best.name}
    assert tests.get(take.name, 1.0) >= 0.05
    assert found.comparison.documents == 400
    whole, asked = 1000 * 12, 100 * 6
    most = (0.4 * whole + asked) / (whole + asked)
    assert max(found.shares.values()) == pytest.approx(most, abs=0.01)
    assert np.mean(list(found.shares.values())) <= 0.4
    assert "the last on 400 of 1,000 documents" in str(found)


def test_a_part_holds_its_queries_documents_and_is_in_the_next_ones(split: Split) -> None:
    rng = np.random.default_rng(1)
    order, fill = rng.permutation(len(split.query_ids)), rng.permutation(200)
    found = bm25_system(split).ranking
    sizes, earlier, before = [], set(), []
    for share in (0.05, 0.4, 0.9):
        part = sampled(split, share, order, fill, found, before)
        ids = set(part.collection.document_ids)
        assert earlier <= ids
        earlier, before = ids, split.collection.document_positions(sorted(ids)).tolist()
        for grades in part.relevance.values():
            assert {document for document, grade in grades.items() if grade > 0} <= ids
        assert len(part.query_ids) >= 30
        sizes.append((len(part.query_ids), len(ids)))
    assert sizes == sorted(sizes)
    assert sizes[-1][1] == 180


def test_a_part_of_long_documents_has_fewer_of_them(split: Split) -> None:
    documents = split.collection.documents
    texts = documents["text"].to_pylist()
    texts[::2] = [f"{text} {'filler ' * 40}".strip() for text in texts[::2]]
    longer = documents.set_column(
        documents.schema.get_field_index("text"), "text", pa.array(texts, pa.string())
    )
    whole = replace(split, collection=replace(split.collection, documents=longer))
    found = bm25_system(whole).ranking
    found = replace(found, documents=np.tile(np.arange(0, 200, 2), (len(whole.query_ids), 1)))
    part = sampled(whole, 0.5, range(40), range(200), found)
    read = sum(map(len, part.collection.document_texts)) / sum(map(len, texts))
    assert 0.45 <= read <= 0.55
    assert len(part.collection.document_ids) < 100


def test_each_text_is_made_once_and_one_alone_is_timed(bag, split: Split) -> None:
    once = Remembering(bag, "bag")
    texts = list(split.query_texts[:5])
    whole = once.encode(texts, "document")
    again = once.encode([*texts[3:], "w1 w2", texts[3]], "document")
    assert bag.calls == [("document", 5), ("document", 1)]
    np.testing.assert_array_equal(np.asarray(again)[[0, 1, 3]], np.asarray(whole)[[3, 4, 3]])
    assert again.usage.items == 6
    once.encode(texts[:1], "document")
    assert bag.calls[-1] == ("document", 1)
    assert once.characters == sum(map(len, texts)) + 5


def test_a_limit_holds_and_the_page_says_all(bags, many: Split) -> None:
    found = choose(bags[-2:], many, options=SMALL, limits=Limits(bytes=4))
    take = found.comparison.decision.take
    assert take.bytes_per_document <= 4
    page = decision_page(found, "nearfield choose --on words --models a,b")
    for part in ("## The choice", f"**{take.name}**", "not stated", "nearfield choose --on words"):
        assert part in page
    assert found.runner_up in page
    assert str(found) == "\n".join(found.words)
    assert any("Runner-up: bag" in line for line in found.words)


def test_bad_input(bag, split: Split) -> None:
    with pytest.raises(InputError, match="nothing to choose from 1 model"):
        choose([bag], split)
    with pytest.raises(InputError, match="max_bytes is -1"):
        choose([bag, bag], split, limits=Limits(bytes=-1))


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_models_of_other_kinds_are_chosen_among_too(split: Split) -> None:
    found = choose([CountingTerms(), CountingTokens()], split)
    rows = {(row.model, row.storage) for row in found.comparison.rows}
    # of the storage types that are chosen among by default, those that each kind has
    assert ("counting", "float32") in rows
    assert {name for name, _ in rows} == {"counting", "counting (2)", "bm25"}
    with pytest.raises(ContractError, match="sparse embeddings are not stored as 'int8'"):
        choose([CountingTerms(), "tfidf"], split, options=Options(storages=("int8",)))
