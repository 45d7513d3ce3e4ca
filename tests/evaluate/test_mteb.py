"""Eight categories as MTEB defines them: mteb's own evaluation of the same vectors is the oracle."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from counting import Counting
from nearfield.errors import InputError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.mteb import MtebEncoder, from_mteb, to_mteb
from nearfield.evaluate.task import Options

RANDOM = np.random.default_rng(11)
WORDS = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "lmnrst"]


def sentence(topic: int = 0) -> str:
    """Words of which a third depend on the topic."""
    own = [WORDS[(7 * topic + at) % len(WORDS)] for at in range(4)]
    return " ".join(
        own[int(at)] if at < 4 else WORDS[int(at)]
        for at in RANDOM.choice([*range(4), *range(4, len(WORDS))], 5)
    )


@pytest.fixture(scope="module")
def mteb() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        return pytest.importorskip("mteb", reason="mteb, the oracle, is not installed")


def split(rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(rows)


def scored(score: Callable[[int], Any], column: str) -> Any:
    rows = [
        {"sentence1": sentence(at), "sentence2": sentence(at + at % 3), column: score(at)}
        for at in range(60)
    ]
    return {"test": split(rows)}


def similar() -> Any:
    return scored(lambda at: float(RANDOM.integers(0, 6)) - at % 3, "score")


def paired() -> Any:
    return scored(lambda at: int(at % 3 == 0 or RANDOM.random() < 0.2), "labels")


def translated() -> Any:
    rows = [
        {"sentence1": text, "sentence2": f"{text[: 4 + at % 17]} {sentence(at)}"}
        for at, text in ((at, sentence(at)) for at in range(40))
    ]
    return {"test": split(rows)}


def labelled() -> Any:
    def rows(count: int) -> Any:
        return split([{"text": sentence(at % 4), "label": at % 4} for at in range(count)])

    return {"train": rows(90), "test": rows(70)}


def clustered() -> Any:
    rows = [{"sentences": f"{sentence(at % 5)} {at}", "labels": at % 5} for at in range(120)]
    return {"test": split(rows)}


def summarised() -> Any:
    rows = []
    for at in range(20):
        rows.append(
            {
                "text": sentence(at),
                "human_summaries": [sentence(at), sentence(at + 1)],
                "machine_summaries": [sentence(at + step) for step in range(6)],
                "relevance": [float(RANDOM.integers(0, 5)) for _ in range(6)],
            }
        )
    return {"test": split(rows)}


def judged(*, candidates: bool) -> Any:
    corpus = [{"id": f"d{at}", "title": "", "text": f"{sentence(at)} {at}"} for at in range(60)]
    queries = [{"id": f"q{at}", "text": f"{sentence(at)} {at + 100}"} for at in range(25)]
    relevant = {f"q{at}": {f"d{at}": 1, f"d{at + 1}": 0 if candidates else 1} for at in range(25)}
    ranked = {
        f"q{at}": [f"d{at}", *(f"d{int(each)}" for each in RANDOM.choice(range(26, 60), 9, False))]
        for at in range(25)
    }
    part = {
        "corpus": split(corpus),
        "queries": split(queries),
        "relevant_docs": relevant,
        "top_ranked": ranked if candidates else None,
    }
    return {"test": part}


# mteb's type and class of task, its main score, and what makes its data
CATEGORIES: dict[str, tuple[str, str, str, Callable[[], Any]]] = {
    "retrieval": ("Retrieval", "AbsTaskRetrieval", "ndcg_at_10", lambda: judged(candidates=False)),
    "reranking": ("Reranking", "AbsTaskRetrieval", "map_at_1000", lambda: judged(candidates=True)),
    "similarity": ("STS", "AbsTaskSTS", "cosine_spearman", similar),
    "pair-classification": (
        "PairClassification",
        "AbsTaskPairClassification",
        "cosine_ap",
        paired,
    ),
    "bitext": ("BitextMining", "AbsTaskBitextMining", "f1", translated),
    "classification": ("Classification", "AbsTaskClassification", "accuracy", labelled),
    "clustering": ("Clustering", "AbsTaskClustering", "v_measure", clustered),
    "summarisation": ("Summarization", "AbsTaskSummarization", "cosine_spearman", summarised),
}


def task_of(mteb: Any, name: str) -> Any:
    """mteb's task of this category on made data."""
    from mteb import abstasks

    kind, base, main, make = CATEGORIES[name]
    metadata = mteb.TaskMetadata(
        name=f"Made{base[7:]}{kind}",
        description="made",
        dataset={"path": "made/made", "revision": "1"},
        type=kind,
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=main,
        date=("2020-01-01", "2020-01-01"),
        domains=[],
        task_subtypes=[],
        license="cc-by-4.0",
        annotations_creators="derived",
        dialect=[],
        sample_creation="found",
        bibtex_citation="",
        reference="https://example.org",
    )
    members: dict[str, Any] = {"metadata": metadata}
    if name == "clustering":
        members |= {"max_fraction_of_documents_to_embed": None, "max_documents_per_cluster": 100}
    if name in ("similarity", "summarisation"):
        members |= {"min_score": 0, "max_score": 5}
    made = type("Made", (getattr(abstasks, base),), members)()
    data = make()
    made.dataset = {"default": data} if kind in ("Retrieval", "Reranking") else data
    made.data_loaded = True
    return made


@pytest.mark.filterwarnings("ignore")  # mteb's own
@pytest.mark.parametrize("name", CATEGORIES)
def test_each_category_scores_as_mteb_does(mteb: Any, name: str) -> None:
    task, encoder = task_of(mteb, name), Counting()
    ours = from_mteb(task)
    found = task.evaluate(MtebEncoder(encoder), "test", encode_kwargs={})
    theirs = found["default"]["main_score"]
    options = Options(bm25=False) if "bm25" in ours.options else Options()
    table = compare([encoder], ours, options=options)
    assert (table.task, ours.name) == (name, name)
    assert 0.05 < abs(theirs) < 0.999, "the data are too easy or too hard to tell anything"
    assert table.rows[0].estimate.mean == pytest.approx(theirs, abs=1e-4)
    (result,) = to_mteb(table)
    assert result["scores"]["test"][0]["main_score"] == pytest.approx(theirs, abs=1e-4)


def test_other_tasks_and_parts_are_refused(mteb: Any) -> None:
    task = task_of(mteb, "similarity")
    with pytest.raises(InputError, match=r"has no split 'dev'; it has test"):
        from_mteb(task, split="dev")
    with pytest.raises(InputError, match=r"has no subset 'deu'"):
        from_mteb(task, subset="deu")

    class Other:
        class metadata:
            type, name = "VisualSTS", "Seen"

    with pytest.raises(InputError, match=r"Seen: tasks of mteb's type VisualSTS are not here"):
        from_mteb(Other)
