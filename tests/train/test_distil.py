"""Distilling: the recipe by plain loops, the fit against a dense solver, and folders that other
libraries open.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from model2vec import StaticModel
from scipy.sparse import csr_array

from nasty import nasty_texts
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.train.runs.ridge import conjugate_gradients, fit_means
from nearfield.train.runs.static import SIF, components, distil
from nearfield.types.progress import silent
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder
from tiny import SPECIAL, WORDS, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("teacher") / "tiny")


def some_texts(count: int) -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, random.integers(3, 12))) for _ in range(count)]


def test_the_recipe_by_loops(teacher: Path, tmp_path: Path) -> None:
    made = distil(teacher, to=tmp_path / "static", dim=6)
    tokens = sorted(tiny_tokenizer().get_vocab().items(), key=lambda item: item[1])
    real = [(token, id_) for token, id_ in tokens if token not in SPECIAL]
    assert (made.tokens, made.dim, made.words, made.texts) == (len(real), 6, 0, 0)
    encoder = TextEncoder.open(teacher)
    # "##x" is cut as a text
    alone = {
        token: encoder.encode([token], "document").vectors[0]
        for token, _ in real
        if token.isalnum()
    }
    found = load(tmp_path / "static").runtime.table
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
    distil(teacher, to=tmp_path / "whole", dim=32)
    table = load(tmp_path / "whole").runtime.table
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
    made = distil(teacher, to=tmp_path / "static", dim=8, texts=some_texts(200) if fitted else ())
    encoder = load(made.folder)
    assert (encoder.contract.dim, encoder.contract.normalise, encoder.runtime.name) == (
        8,
        True,
        "static",
    )
    texts = nasty_texts(80)
    assert_same_as_sentence_transformers(made.folder, texts)
    np.testing.assert_allclose(
        encoder.encode(texts, "document").vectors,
        StaticModel.from_pretrained(made.folder).encode(texts),
        atol=1e-5,
    )
    assert not fitted or made.after >= made.before > 0


def test_weights_counted_in_the_texts_make_a_frequent_token_quieter(
    teacher: Path, tmp_path: Path
) -> None:
    texts = [f"cat cat cat {text}" for text in some_texts(60)]
    ranked, counted = (
        distil(teacher, to=tmp_path / str(at), dim=8, texts=texts, counted=at == 1)
        for at in range(2)
    )
    assert counted.before != ranked.before
    tables = [load(made.folder).runtime.table for made in (ranked, counted)]
    cat, other = (tiny_tokenizer().get_vocab()[word] for word in ("cat", "z"))
    loudness = [np.linalg.norm(table[cat]) / np.linalg.norm(table[other]) for table in tables]
    assert loudness[1] < loudness[0]


def test_words_of_the_texts_get_vectors_of_their_own(teacher: Path, tmp_path: Path) -> None:
    texts = [f"{text} zebrafish genome" for text in some_texts(50)]
    made = distil(teacher, to=tmp_path / "static", dim=8, texts=texts, words=2)
    assert made.words == 2
    tokens = (
        StaticModel.from_pretrained(made.folder)
        .tokenizer.encode("The zebrafish GENOME, zebra", add_special_tokens=False)
        .tokens
    )
    assert tokens[1:3] == ["zebrafish", "genome"]
    assert tokens[4:] == ["z", "##e", "##b", "##r", "##a"]
    assert distil(teacher, to=tmp_path / "again", dim=8, texts=texts, words=2).after == made.after


def test_bad_input(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="33 dimensions were asked for; tiny has 32"):
        distil(teacher, to=tmp_path / "s", dim=33)
    for options in ({"words": 5}, {"counted": True}):
        with pytest.raises(InputError, match="give texts too"):
            distil(teacher, to=tmp_path / "s", dim=3, **options)
    with pytest.raises(ModelError, match="is a static model already"):
        distil(model2vec_folder(tmp_path / "m"), to=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_the_command_line(teacher: Path, tmp_path: Path, cli: Callable[..., Result]) -> None:
    data = tmp_path / "pairs.tsv"
    data.write_text(
        "query\tpositive\n" + "\n".join(f"{text}\t{text} cat" for text in some_texts(60))
    )
    result = cli(
        "distil", teacher, "--to", tmp_path / "s", "--dim", "8", "--on", data, "--texts", "40"
    )
    assert result.exit_code == 0, result.stderr
    assert "tokens of 8 dimensions" in result.stdout
    assert "(40 texts)" in result.stdout
