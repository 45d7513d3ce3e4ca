"""What every task promises: each item's value is a plain loop's, items may come in any order, a
system does not differ from itself, and what a task does not take is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from counting import Counting
from nearfield.data.collection import Collection
from nearfield.data.evaluated.instructed import Instructed
from nearfield.data.evaluated.spans import Span, SpanData
from nearfield.data.evaluated.summaries import Summaries, Summarised
from nearfield.data.labelled import Labelled
from nearfield.data.pairs import Pairs
from nearfield.data.readers.word_tests import Analogies, WordPairs
from nearfield.data.word_vectors import WordVectors
from nearfield.errors import InputError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.open_task import open_task
from nearfield.evaluate.task import Options
from nearfield.evaluate.tasks import TASKS

Values = npt.NDArray[np.float64]
Items = list[Any]
ALONE = Options(bm25=False)
# the model reads 20 tokens, and says so
pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")


@dataclass(frozen=True)
class Case:
    """Random items of a task, what makes its data of them, and each item's value by a loop."""

    items: Callable[[np.random.Generator], Items]
    data: Callable[[Items], object]
    model: Callable[[], Any]
    oracle: Callable[[Any, Items], list[float]]


def sentence(random: np.random.Generator) -> str:
    return " ".join(f"w{word}" for word in random.integers(0, 30, 6))


def vectors(model: Any, texts: list[str], role: str = "document") -> Values:
    made = np.asarray(model.encode(texts, role), np.float64)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def pair_items(random: np.random.Generator) -> Items:
    return [(sentence(random), sentence(random), float(random.random())) for _ in range(25)]


def pair_data(items: Items) -> Pairs:
    rows = [{"query": a, "positive": b, "score": score} for a, b, score in items]
    return Pairs.from_table(pa.Table.from_pylist(rows))


def cosines(model: Any, items: Items) -> list[float]:
    one, other = (vectors(model, [item[side] for item in items]) for side in (0, 1))
    return [float(a @ b) for a, b in zip(one, other, strict=True)]


def f1(model: Any, items: Items) -> list[float]:
    """By definition: each second text's precision and recall, from the pairs that chose it."""
    one, other = (vectors(model, [item[side] for item in items]) for side in (0, 1))
    chosen = [max(range(len(items)), key=lambda at: a @ other[at]) for a in one]
    values = []
    for at in range(len(items)):
        right = chosen[at] == at
        precision = right / chosen.count(at) if chosen.count(at) else 0.0
        values.append(2 * precision * right / (precision + right) if right else 0.0)
    return values


DOCUMENTS = {f"d{at}": sentence(np.random.default_rng(at)) for at in range(20)}


def query_items(random: np.random.Generator) -> Items:
    return [(f"q{at}", sentence(random), f"d{random.integers(20)}") for at in range(15)]


def query_data(items: Items) -> Collection:
    documents = [
        {"id": key, "title": "", "text": text, "group": ""} for key, text in DOCUMENTS.items()
    ]
    queries = [{"id": key, "text": text, "group": ""} for key, text, _ in items]
    judged = [
        {"query": key, "document": document, "relevance": 1, "split": "test"}
        for key, _, document in items
    ]
    return Collection(
        "made", *(pa.Table.from_pylist(rows) for rows in (documents, queries, judged))
    )


def discounted(model: Any, items: Items) -> list[float]:
    """nDCG@10 where one document is relevant: 1 / log2(1 + its rank)."""
    documents = vectors(model, list(DOCUMENTS.values()), "document")
    values = []
    for query, (_, _, relevant) in zip(
        vectors(model, [item[1] for item in items], "query"), items, strict=True
    ):
        scores = documents @ query
        rank = 1 + sum(scores > scores[list(DOCUMENTS).index(relevant)])
        values.append(1 / np.log2(1 + rank) if rank <= 10 else 0.0)
    return values


TABLE = np.random.default_rng(5).standard_normal((40, 4)).astype(np.float32)
WORDS = [f"w{at}" for at in range(40)]


def word_model() -> WordVectors:
    return WordVectors("words", pa.chunked_array([WORDS]), TABLE)


def units() -> Values:
    exact = TABLE.astype(np.float64)
    return exact / np.linalg.norm(exact, axis=1, keepdims=True)


def question_items(random: np.random.Generator) -> Items:
    """Half of them with the answer that the vectors give."""
    items = []
    for at in range(30):
        a, b, c, d = random.choice(40, 4, replace=False).tolist()
        items.append([a, b, c, nearest(a, b, c) if at % 2 else d])
    return items


def nearest(a: int, b: int, c: int) -> int:
    unit = units()
    scores = unit @ (unit[b] - unit[a] + unit[c])
    return max(set(range(40)) - {a, b, c}, key=lambda at: scores[at])


def word_pair_items(random: np.random.Generator) -> Items:
    return [(*random.choice(40, 2, replace=False).tolist(), random.random()) for _ in range(25)]


def labelled_items(random: np.random.Generator) -> Items:
    """Texts of four topics, whose words depend on the topic."""
    return [
        (f"{'abcd'[at % 4] * 3} {sentence(random)}", f"label_{'abcd'[at % 4]}") for at in range(48)
    ]


def labelled_data(items: Items) -> Labelled:
    train = labelled_items(np.random.default_rng(77))
    rows = [(text, label, "train") for text, label in train]
    return Labelled.of([*rows, *((text, label, "test") for text, label in items)])


def drawn_accuracy(model: Any, items: Items) -> list[float]:
    """The share of ten classifiers that are right, each learned on eight texts of each label."""
    train = labelled_items(np.random.default_rng(77))
    learned = np.asarray(model.encode([text for text, _ in train], "document"), np.float32)
    asked = np.asarray(model.encode([text for text, _ in items], "document"), np.float32)
    order, right = list(range(len(train))), np.zeros(len(items))
    for _ in range(10):
        np.random.RandomState(42).shuffle(order)
        rows = [
            row
            for name in "abcd"
            for row in [at for at in order if train[at][1] == f"label_{name}"][:8]
        ]
        classifier = LogisticRegression(max_iter=100, random_state=42)
        classifier.fit(learned[rows], [train[row][1] for row in rows])
        right += classifier.predict(asked) == np.array([label for _, label in items])
    return list(right / 10)


def named(model: Any, items: Items) -> list[float]:
    names = sorted({label for _, label in items})
    labels = vectors(model, [name.replace("_", " ") for name in names])
    texts = vectors(model, [text for text, _ in items])
    return [
        float(names[int(np.argmax(labels @ text))] == label)
        for text, (_, label) in zip(texts, items, strict=True)
    ]


def captioned_items(random: np.random.Generator) -> Items:
    return [(f"d{at}", sentence(random), sentence(random)) for at in range(25)]


def captioned_data(items: Items) -> Collection:
    """One query per document, which stands for an image."""
    documents = [{"id": key, "title": "", "text": text, "group": ""} for key, text, _ in items]
    queries = [{"id": f"of-{key}", "text": text, "group": ""} for key, _, text in items]
    judged = [
        {"query": f"of-{key}", "document": key, "relevance": 1, "split": "test"}
        for key, *_ in items
    ]
    return Collection(
        "made", *(pa.Table.from_pylist(rows) for rows in (documents, queries, judged))
    )


def found_caption(model: Any, items: Items) -> list[float]:
    captions = vectors(model, [item[2] for item in items], "query")
    scores = vectors(model, [item[1] for item in items], "document") @ captions.T
    return [float(sum(row > row[at]) < 10) for at, row in enumerate(scores)]


def candidate_items(random: np.random.Generator) -> Items:
    return [
        (sentence(random), sentence(random), [sentence(random) for _ in range(6)])
        for _ in range(20)
    ]


def candidate_data(items: Items) -> Pairs:
    rows = [{"query": a, "positive": b, "negatives": others} for a, b, others in items]
    return Pairs.from_table(pa.Table.from_pylist(rows))


def reciprocal(model: Any, items: Items) -> list[float]:
    """Average precision where one candidate is relevant: 1 / its rank."""
    values = []
    for query, positive, others in items:
        asked = vectors(model, [query], "query")[0]
        scores = vectors(model, [positive, *others], "document") @ asked
        values.append(1 / (1 + sum(scores[1:] > scores[0])))
    return values


def summary_items(random: np.random.Generator) -> Items:
    return [
        (
            tuple(sentence(random) for _ in range(2)),
            tuple(sentence(random) for _ in range(5)),
            tuple(random.permutation(5).astype(float).tolist()),
        )
        for _ in range(12)
    ]


def summary_data(items: Items) -> Summaries:
    return Summaries("made", [Summarised(*item) for item in items])


def rank_correlations(model: Any, items: Items) -> list[float]:
    values = []
    for human, machine, scores in items:
        similar = vectors(model, list(human)) @ vectors(model, list(machine)).T
        values.append(float(stats.spearmanr(similar.max(0), scores).statistic))
    return values


CHANGE = "but w1"


def told_items(random: np.random.Generator) -> Items:
    """Queries with six documents, the first of which the changed instruction rules out."""
    return [(sentence(random), [f"d{at}" for at in random.permutation(20)[:6]]) for _ in range(12)]


def told_data(items: Items) -> Instructed:
    queries = {}
    for query, keys in items:
        texts = [DOCUMENTS[key] for key in keys]
        original = {text: int(at == 0) for at, text in enumerate(texts)}
        queries[query] = {"": original, CHANGE: dict.fromkeys(texts, 0)}
    return Instructed("made", queries)


def moved(model: Any, items: Items) -> list[float]:
    """p-MRR: from the rank under the query alone to that under the instruction."""
    values = []
    for query, keys in items:
        documents = vectors(model, [DOCUMENTS[key] for key in keys])
        ranks = []
        for asked in (query, f"{query} {CHANGE}"):
            scores = documents @ vectors(model, [asked], "query")[0]
            ranks.append(1 + int(sum(scores[1:] > scores[0])))
        old, new = ranks
        values.append(new / old - 1 if new < old else 1 - old / new)
    return values


def span_data(items: Items) -> SpanData:
    """Each document is a chunk, and each query's answer its first three characters."""
    return SpanData("made", DOCUMENTS, {text: [Span(key, 0, 3)] for _, text, key in items})


def found_spans(model: Any, items: Items) -> list[float]:
    documents = vectors(model, list(DOCUMENTS.values()))
    values = []
    for _, text, key in items:
        scores = documents @ vectors(model, [text], "query")[0]
        values.append(float(sum(scores > scores[list(DOCUMENTS).index(key)]) < 10))
    return values


CASES = {
    "instruction-following": Case(told_items, told_data, Counting, moved),
    "spans": Case(query_items, span_data, Counting, found_spans),
    "retrieval": Case(query_items, query_data, Counting, discounted),
    "similarity": Case(pair_items, pair_data, Counting, cosines),
    "bitext": Case(pair_items, pair_data, Counting, f1),
    "pair-classification": Case(
        lambda random: [(a, b, float(score > 0.5)) for a, b, score in pair_items(random)],
        pair_data,
        Counting,
        cosines,
    ),
    "reranking": Case(candidate_items, candidate_data, Counting, reciprocal),
    "classification": Case(labelled_items, labelled_data, Counting, drawn_accuracy),
    "zero-shot": Case(labelled_items, labelled_data, Counting, named),
    "image-to-text": Case(captioned_items, captioned_data, Counting, found_caption),
    "summarisation": Case(summary_items, summary_data, Counting, rank_correlations),
    "word-analogies": Case(
        question_items,
        lambda items: Analogies(
            tuple(tuple(WORDS[at] for at in item) for item in items),  # type: ignore[misc]
            (("all", len(items)),),
        ),
        word_model,
        lambda model, items: [float(nearest(a, b, c) == d) for a, b, c, d in items],
    ),
    "word-similarity": Case(
        word_pair_items,
        lambda items: WordPairs(
            tuple((WORDS[a], WORDS[b]) for a, b, _ in items), tuple(score for *_, score in items)
        ),
        word_model,
        lambda model, items: [float(units()[a] @ units()[b]) for a, b, _ in items],
    ),
}


def values(name: str, model: Any, items: Items) -> Values:
    """The value of each item by the task's main measure."""
    task = open_task(CASES[name].data(items), name)
    options = ALONE if "bm25" in task.options else Options()
    (row,) = task.measure([model], task.measures[:1], options)
    return row.scores[task.measures[0]]


# clusters belong to all texts together: a text has no value of its own, and its order counts
TOGETHER = {"clustering"}


def test_every_task_is_in_the_suite() -> None:
    assert set(CASES) | TOGETHER == set(TASKS)


@pytest.mark.parametrize("name", CASES)
def test_each_items_value_is_that_of_a_loop(name: str) -> None:
    case, model = CASES[name], CASES[name].model()
    for seed in range(3):
        items = case.items(np.random.default_rng(seed))
        expected = case.oracle(model, items)
        np.testing.assert_allclose(values(name, model, items), expected, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_items_in_another_order_have_the_same_values(name: str) -> None:
    case, model = CASES[name], CASES[name].model()
    items = case.items(np.random.default_rng(9))
    order = np.random.default_rng(1).permutation(len(items))
    shuffled = values(name, model, [items[at] for at in order])
    np.testing.assert_allclose(shuffled, values(name, model, items)[order], atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_system_does_not_differ_from_itself(name: str) -> None:
    case = CASES[name]
    task = open_task(case.data(case.items(np.random.default_rng(2))), name)

    class Twice(type(task)):  # type: ignore[misc]
        """The same task, on which each model is measured under two names."""

        def measure(self, *arguments: Any, **options: Any) -> Any:
            from dataclasses import replace

            (row,) = super().measure(*arguments, **options)
            return [row, replace(row, name="again")]

    task.__class__ = Twice
    table = compare([case.model()], task, options=ALONE)
    (pair,) = table.pairs
    assert (pair.p, pair.p_holm, pair.difference.mean, pair.queries_needed) == (1.0, 1.0, 0.0, None)
    assert table.rows[0].letters == table.rows[1].letters
    assert (table.task, table.item, len(table.query_ids)) == (name, task.item, len(task.item_ids))
    assert table.rows[0].estimate.mean == pytest.approx(
        task.statistic.of(values_of(task, case.model()))
    )


def values_of(task: Any, model: Any) -> Values:
    row, _ = task.measure([model], task.measures[:1], ALONE)
    found: Values = row.scores[task.measures[0]]
    return found


@pytest.mark.parametrize("name", CASES)
def test_data_of_another_kind_and_unknown_measures_are_refused(name: str) -> None:
    case = CASES[name]
    data = case.data(case.items(np.random.default_rng(3)))
    with pytest.raises(InputError, match=r"no measure 'bleu'.*(known|wanted)"):
        compare([case.model()], data, task=name, measure="bleu")
    with pytest.raises(InputError, match=f"is not data for the task {name}"):
        open_task(object(), name)


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"no task 'bitexts'; known: retrieval.*Did you mean 'bite"
    ):
        open_task(pair_data(pair_items(np.random.default_rng(0))), "bitexts")
    with pytest.raises(InputError, match=r"object: is not data for any task \(retrieval, "):
        open_task(object())


# what data that several tasks take are taken for unless one is named
NAMED = {"bitext": "similarity", "zero-shot": "classification", "image-to-text": "retrieval"}


@pytest.mark.parametrize(("name", "found"), [(name, NAMED.get(name, name)) for name in CASES])
def test_the_task_is_recognised_by_its_data(name: str, found: str) -> None:
    case = CASES[name]
    assert open_task(case.data(case.items(np.random.default_rng(4)))).name == found
