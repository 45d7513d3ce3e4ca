"""On SciFact: the published BM25 figure, and the exported files give ir-measures the same
values.
"""

from __future__ import annotations

from pathlib import Path

import ir_measures
import pytest

from nearfield.data.collection import Split
from nearfield.data.open import open_collection
from nearfield.evaluate.measures import MEASURES, score_ranking
from nearfield.evaluate.systems import System, bm25_system
from nearfield.evaluate.trec import write_qrels, write_run


@pytest.fixture(scope="module")
def scifact(shared_data: Path) -> Split:
    return open_collection(shared_data / "scifact").split("test")


@pytest.fixture(scope="module")
def lexical(scifact: Split) -> System:
    return bm25_system(scifact)


def test_bm25_reaches_the_published_ndcg(scifact: Split, lexical: System) -> None:
    assert score_ranking(lexical.ranking, scifact.relevance, ["nDCG@10"])[
        "nDCG@10"
    ].mean == pytest.approx(0.687, abs=0.01)


def test_the_exported_files_give_the_same_values(
    scifact: Split, lexical: System, tmp_path: Path
) -> None:
    write_run(lexical.ranking, tmp_path / "run")
    write_qrels(scifact.relevance, tmp_path / "qrels")
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    qrels, run = (
        list(read(str(tmp_path / name)))
        for read, name in (
            (ir_measures.read_trec_qrels, "qrels"),
            (ir_measures.read_trec_run, "run"),
        )
    )
    theirs = {
        (str(metric.measure), metric.query_id): metric.value
        for metric in ir_measures.iter_calc(measures, qrels, run)
    }
    ours = score_ranking(lexical.ranking, scifact.relevance, MEASURES)
    mine = {
        (name, query): value
        for name, row in ours.items()
        for query, value in zip(row.query_ids, row.values.tolist(), strict=True)
    }
    assert mine == theirs
    assert len(mine) == 300 * len(MEASURES)
