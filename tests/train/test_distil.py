"""Distilling: the recipe by plain loops, the fit against a dense solver, and folders that other
libraries open.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from click.testing import Result
from model2vec import StaticModel
from scipy.sparse import csr_array

from nasty import nasty_texts
from nearfield.data.collection import Collection
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.train.fits.ridge import conjugate_gradients, fit_means
from nearfield.train.fits.token_table import SIF, components
from nearfield.train.runs.run import locked_run
from nearfield.train.runs.static import DistilRecipe, DistilRun, distil
from nearfield.train.setting import UNWATCHED
from nearfield.types.progress import silent
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder
from tiny import SPECIAL, WORDS, tiny_model, tiny_tokenizer
from tiny_data import text_files


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("teacher") / "tiny")


def made_from(teacher: Path, to: Path, data: object = None, **recipe: Any) -> dict[str, Any]:
    """What is told of the model that `distil` writes into `to`."""
    distil(teacher, data, to=to, recipe=DistilRecipe(**recipe), guards=())
    facts: dict[str, Any] = json.loads((to / "distil.json").read_text())
    return facts


def some_texts(count: int) -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, random.integers(3, 12))) for _ in range(count)]


def test_the_recipe_by_loops(teacher: Path, tmp_path: Path) -> None:
    made = made_from(teacher, tmp_path / "static", dim=6)
    tokens = sorted(tiny_tokenizer().get_vocab().items(), key=lambda item: item[1])
    real = [(token, id_) for token, id_ in tokens if token not in SPECIAL]
    assert made == {"tokens": len(real), "words": 0, "texts": 0}
    encoder = TextEncoder.open(teacher)
    # "##x" is cut as a text
    alone = {
        token: encoder.encode([token], "document").vectors[0]
        for token, _ in real
        if token.isalnum()
    }
    found = load(tmp_path / "static" / "model").runtime.table
    assert found.shape[1] == 6
    assert not found[: len(SPECIAL)].any()
    chance = sum(1 / rank for rank in range(2, len(real) + 2))
    places = {token: (at, id_) for at, (token, id_) in enumerate(real)}
    weights = {token: SIF / (SIF + 1 / (at + 2) / chance) for token, (at, _) in places.items()}
    one, other, third = "cat", "music", "tree"
    # differences do not depend on the centre; six dims of 32 keep most of them
    for left, right in ((one, other), (other, third)):
        ours = found[places[left][1]] / weights[left] - found[places[right][1]] / weights[right]
        whole = alone[left] - alone[right]
        assert np.linalg.norm(ours) <= np.linalg.norm(whole) * (1 + 1e-4)
    made_from(teacher, tmp_path / "whole", dim=32)
    table = load(tmp_path / "whole" / "model").runtime.table
    for left, right in ((one, other), (other, third)):
        ours = table[places[left][1]] / weights[left] - table[places[right][1]] / weights[right]
        assert np.linalg.norm(ours) == pytest.approx(
            np.linalg.norm(alone[left] - alone[right]), rel=1e-3
        )


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32) * np.arange(
        1, 9, dtype=np.float32
    )
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    np.testing.assert_allclose(
        np.abs((directions[:3] @ components(vectors, 3)).round(4)), np.eye(3), atol=1e-3
    )


def test_conjugate_gradients_are_the_dense_solution() -> None:
    random = np.random.default_rng(0)
    dense = (random.random((40, 15)) * (random.random((40, 15)) < 0.4)).astype(np.float32)
    a, right = csr_array(dense), random.standard_normal((15, 3)).astype(np.float32)
    solved = conjugate_gradients(
        a, a.T.tocsr(), 0.1, right, np.zeros((15, 3), np.float32), steps=60
    )
    np.testing.assert_allclose(
        solved, np.linalg.solve(dense.T @ dense + 0.1 * np.eye(15), right), atol=1e-3
    )


def test_a_fit_comes_closer_to_the_teacher_and_never_worse() -> None:
    random = np.random.default_rng(0)
    true, counts = random.standard_normal((30, 5)), random.poisson(0.5, (400, 30)) + np.eye(400, 30)
    means = (counts / counts.sum(1, keepdims=True)).astype(np.float32)
    targets = means @ true
    targets = (targets / np.linalg.norm(targets, axis=1, keepdims=True)).astype(np.float32)
    start = (true + random.standard_normal(true.shape)).astype(np.float32)
    fit = fit_means(csr_array(means), targets, start, progress=silent)
    assert fit.after > max(fit.before, 0.97)
    noise = random.standard_normal(targets.shape).astype(np.float32)
    lost = fit_means(csr_array(means), noise, start, progress=silent)
    assert lost.after >= lost.before


@pytest.mark.parametrize("fitted", [True, False])
def test_the_folder_opens_everywhere_with_the_same_vectors(
    fitted: bool, teacher: Path, tmp_path: Path
) -> None:
    made = made_from(teacher, tmp_path / "static", some_texts(200) if fitted else None, dim=8)
    folder = tmp_path / "static" / "model"
    encoder = load(folder)
    assert (encoder.contract.dim, encoder.contract.normalise, encoder.runtime.name) == (
        8,
        True,
        "static",
    )
    texts = nasty_texts(80)
    assert_same_as_sentence_transformers(folder, texts)
    np.testing.assert_allclose(
        encoder.encode(texts, "document").vectors,
        StaticModel.from_pretrained(folder).encode(texts),
        atol=1e-5,
    )
    assert not fitted or made["after"] >= made["before"] > 0


def test_weights_counted_in_the_texts_make_a_frequent_token_quieter(
    teacher: Path, tmp_path: Path
) -> None:
    texts = [f"cat cat cat {text}" for text in some_texts(60)]
    ranked, counted = (
        made_from(teacher, tmp_path / str(at), texts, dim=8, counted=at == 1) for at in range(2)
    )
    assert counted["before"] != ranked["before"]
    tables = [load(tmp_path / str(at) / "model").runtime.table for at in range(2)]
    cat, other = (tiny_tokenizer().get_vocab()[word] for word in ("cat", "z"))
    loudness = [np.linalg.norm(table[cat]) / np.linalg.norm(table[other]) for table in tables]
    assert loudness[1] < loudness[0]


def test_words_of_the_texts_get_vectors_of_their_own(teacher: Path, tmp_path: Path) -> None:
    texts = [f"{text} zebrafish genome" for text in some_texts(50)]
    made = made_from(teacher, tmp_path / "static", texts, dim=8, words=2)
    assert made["words"] == 2
    tokens = (
        StaticModel.from_pretrained(tmp_path / "static" / "model")
        .tokenizer.encode("The zebrafish GENOME, zebra", add_special_tokens=False)
        .tokens
    )
    assert tokens[1:3] == ["zebrafish", "genome"]
    assert tokens[4:] == ["z", "##e", "##b", "##r", "##a"]
    assert made_from(teacher, tmp_path / "again", texts, dim=8, words=2) == made


def test_bad_input(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="33 dimensions were asked for; tiny has 32"):
        made_from(teacher, tmp_path / "s", dim=33)
    for options in ({"words": 5}, {"counted": True}):
        with pytest.raises(InputError, match="give data too"):
            made_from(teacher, tmp_path / "s", dim=3, **options)
    with pytest.raises(ModelError, match="is a static model already"):
        distil(model2vec_folder(tmp_path / "m"), to=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def held_out(collection: Collection) -> Collection:
    """The collection's test split alone, and twenty documents that nobody judges, one of which is
    nearly a tested one.
    """
    tested = next(iter(collection.split("test").relevance["q3"]))
    copy = collection.document_texts[collection.document_positions([tested])][0] + " the"
    more = [copy, *some_texts(19)]
    ids, blank = [f"more{at}" for at in range(20)], [""] * 20
    added = pa.table({"id": ids, "title": blank, "text": more, "group": blank})
    return dataclasses.replace(
        collection,
        documents=pa.concat_tables([collection.documents, added.cast(collection.documents.schema)]),
        judgements=collection.judgements.filter(pc.equal(collection.judgements["split"], "test")),
    )


def test_nothing_that_is_tested_nor_a_near_copy_is_fitted_to(
    teacher: Path, collection: Collection, tmp_path: Path
) -> None:
    given = held_out(collection)
    with locked_run(tmp_path / "run") as folder:
        run = DistilRun(teacher, folder, DistilRecipe(dim=8), UNWATCHED)
        run.begin(given, ())
        judged = [
            document for found in given.split("test").relevance.values() for document in found
        ]
        tested = set(given.document_texts[given.document_positions(judged)])
        free = set(given.document_texts) - tested - {f"{text} the" for text in tested}
        assert set(run.texts) == free
        verdict = run.verdict_if_judged("distil", ())
    assert verdict is not None
    assert (verdict.split, verdict.queries, verdict.dev_queries) == ("test", 30, 0)
    assert (verdict.tuned.noun, verdict.baseline.noun) == DistilRun.nouns
    rows = json.loads((tmp_path / "run" / "comparison.json").read_text())["rows"]
    assert {row["name"] for row in rows} == {verdict.tuned.name, verdict.baseline.name, "tiny"}


def test_the_command_line(teacher: Path, tmp_path: Path, cli: Callable[..., Result]) -> None:
    data = tmp_path / "pairs.tsv"
    data.write_text(
        "query\tpositive\n" + "\n".join(f"{text}\t{text} cat" for text in some_texts(60))
    )
    asked = ("distil", teacher, "--dim", "8", "--allow", "query-is-document", "--guard", "none")
    result = cli(*asked, "--to", tmp_path / "s", "--on", data, "--texts", "40")
    assert result.exit_code == 0, result.stderr
    assert "tokens of 8 dimensions" in result.stdout
    assert "; fitted to 40 texts" in result.stdout
    assert "static model" in result.stdout
    texts = text_files(tmp_path / "texts", some_texts(30))
    told = cli("distil", teacher, "--dim", "8", "--to", tmp_path / "t", "--on", texts)
    assert told.exit_code == 0, told.stderr
    assert "no verdict: there are no judged test queries" in told.stdout
