"""Word similarity and analogies: plain loops, gensim where it can be imported, and gensim's figures
on GloVe.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from scipy import stats

from conftest import LOCAL_MODELS
from nearfield.data.readers.word_tests import (
    Analogies,
    WordPairs,
    read_analogies,
    read_word_pairs,
)
from nearfield.data.word_vectors import WordVectors
from nearfield.errors import InputError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.tasks.word_analogies import TOTAL, word_analogies
from nearfield.evaluate.tasks.word_analogies import answered as answered_by_task
from nearfield.evaluate.tasks.word_similarity import word_similarity
from word_files import write_text

WORDS = [f"{'W' if at % 7 == 3 else 'w'}{at}" for at in range(60)] + ["w3", "W5", "w10"]
TABLE = np.random.default_rng(1).standard_normal((len(WORDS), 6)).astype(np.float32)


@pytest.fixture
def vectors(tmp_path: Path) -> WordVectors:
    return WordVectors.open(write_text(tmp_path / "w.txt", WORDS, TABLE))


def questions(count: int) -> Analogies:
    drawn = np.random.default_rng(2).integers(0, 63, (count, 4))
    words = tuple(tuple(f"w{at}" if at < 60 else "none" for at in row) for row in drawn.tolist())
    return Analogies(words, (("one", count // 3), ("two", count - count // 3)))  # type: ignore[arg-type]


def answered(words: tuple[str, ...], *, first: int, fold_case: bool) -> bool | None:
    """Whether 3CosAdd answers rightly, by loops; None where a word is unknown."""
    known: dict[str, int] = {}
    for at, word in enumerate(WORDS[:first]):
        known.setdefault(word.upper() if fold_case else word, at)
    asked = [word.upper() if fold_case else word for word in words]
    if any(word not in known for word in asked):
        return None
    unit = TABLE.astype(np.float64) / np.linalg.norm(
        TABLE.astype(np.float64), axis=1, keepdims=True
    )
    a, b, c = (known[word] for word in asked[:3])
    best, answer = -np.inf, ""
    for at, word in enumerate(WORDS[:first]):
        name = word.upper() if fold_case else word
        if name not in asked[:3] and unit[at] @ (unit[b] - unit[a] + unit[c]) > best:
            best, answer = unit[at] @ (unit[b] - unit[a] + unit[c]), name
    return answer == asked[3]


@pytest.mark.parametrize("fold_case", [True, False])
@pytest.mark.parametrize("first", [300_000, 40])
def test_analogies_by_loops(
    fold_case: bool,
    first: int,
    vectors: WordVectors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nearfield.evaluate.tasks.word_analogies._WORDS", 16)
    monkeypatch.setattr("nearfield.evaluate.tasks.word_analogies._QUESTIONS", 50)
    asked = questions(400)
    loop = [answered(words, first=first, fold_case=fold_case) for words in asked.words]
    rows = word_analogies(vectors, asked, first=first, fold_case=fold_case)
    parts = {"one": loop[:133], "two": loop[133:], TOTAL: loop}
    assert [row.section for row in rows] == list(parts)
    assert rows[-1].correct > 0 or first == 40
    for row in rows:
        part = parts[row.section]
        assert (row.correct, row.unknown) == (part.count(True), part.count(None))
        assert row.asked == len(part) - part.count(None)


@pytest.mark.parametrize("fold_case", [True, False])
@pytest.mark.parametrize("zero", [True, False])
def test_similarity_by_loops(fold_case: bool, zero: bool, vectors: WordVectors) -> None:
    random = np.random.default_rng(3)
    # none twice: equal cosines would be ties but for rounding
    every = [(a, b) for a in range(66) for b in range(a)]
    pairs = [
        (f"w{a}", f"w{b}", float(random.random()))
        for a, b in (every[at] for at in random.permutation(len(every))[:80])
    ]
    known = {
        word.upper() if fold_case else word: TABLE[at]
        for at, word in reversed(list(enumerate(WORDS)))
    }
    gold, predicted, unknown = [], [], 0
    for a, b, score in pairs:
        one, other = (known.get(word.upper() if fold_case else word) for word in (a, b))
        if one is None or other is None:
            unknown += 1
            if not zero:
                continue
        gold.append(score)
        predicted.append(
            0.0
            if one is None or other is None
            else float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
        )
    asked = WordPairs(tuple((a, b) for a, b, _ in pairs), tuple(score for *_, score in pairs))
    found = word_similarity(vectors, asked, fold_case=fold_case, unknown_is_zero=zero)
    assert (found.pairs, found.unknown) == (len(gold), unknown)
    assert found.spearman == pytest.approx(stats.spearmanr(gold, predicted).statistic)
    assert found.pearson == pytest.approx(stats.pearsonr(gold, predicted).statistic, abs=1e-6)


def test_nothing_known(vectors: WordVectors) -> None:
    with pytest.raises(InputError, match="lacks a word of each of the 1 questions"):
        word_analogies(vectors, Analogies((("a", "b", "c", "d"),), (("one", 1),)))
    with pytest.raises(InputError, match="knows both words of 0 of 1 pairs"):
        word_similarity(vectors, WordPairs((("a", "b"),), (1.0,)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b c d\n", r"t:1: stands before the first section"),
        (": one\na b c\n", r"t:2: holds 3 words; wanted four"),
        (": one\n\n", "holds no analogy"),
    ],
)
def test_files_that_are_no_analogies(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(InputError, match=message):
        read_analogies(tmp_path / "t")


@pytest.mark.parametrize(
    "text", ["Word 1,Word 2,Human\na,b,1.5\nc,d,2\n", "Wort 1;Wort 2;Note\na;b;1,5\nc;d;2\n"]
)
def test_word_pairs_as_a_spreadsheet_writes_them(text: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text(text)
    found = read_word_pairs(tmp_path / "t")
    assert (found.words, found.scores) == ((("a", "b"), ("c", "d")), (1.5, 2.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x\ty\tz\na\tb\tc\n", r"t:2: is 'a\\tb\\tc'"),
        ("#x\na b 1\n", r"t:2: is 'a b 1'"),
        ("a\tb\t1\n", "holds 1 pairs"),
    ],
)
def test_files_that_are_no_word_pairs(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(InputError, match=message):
        read_word_pairs(tmp_path / "t")


@pytest.fixture(scope="module")
def glove() -> WordVectors:
    if not (LOCAL_MODELS / "glove-50d").is_dir():
        pytest.skip("glove-50d is not there; ../shared/tools/get_models.py glove-50d makes it")
    return WordVectors.open(LOCAL_MODELS / "glove-50d")


# Made by gensim 4.4.0 on GloVe 6B 50d: KeyedVectors.evaluate_word_pairs(file, case_insensitive=...,
# dummy4unknown=...), then evaluate_word_analogies("questions-words.txt", restrict_vocab=...). Rows:
# file, fold_case, unknown_is_zero, Pearson, Spearman, unknown.
GENSIM_PAIRS = [
    ("wordsim353.tsv", True, False, 0.5066191864084476, 0.503319577396603, 0),
    ("wordsim353.tsv", False, False, 0.5026712388074552, 0.49508269202757355, 18),
    ("wordsim353.tsv", False, True, 0.3994347749815145, 0.4187751198926671, 18),
    ("simlex999.txt", True, False, 0.2922692200209622, 0.26306011525070383, 1),
    ("simlex999.txt", False, True, 0.29437558760520804, 0.26459327768479296, 1),
]
GENSIM_ANALOGIES = {  # restrict_vocab=30000: right and wrong answers
    "capital-common-countries": (403, 103),
    "capital-world": (2006, 709),
    "currency": (31, 205),
    "city-in-state": (354, 1849),
    "family": (259, 83),
    "gram1-adjective-to-adverb": (127, 743),
    "gram2-opposite": (45, 335),
    "gram3-comparative": (699, 633),
    "gram4-superlative": (202, 398),
    "gram5-present-participle": (397, 533),
    "gram6-nationality-adjective": (1362, 83),
    "gram7-past-tense": (586, 974),
    "gram8-plural": (680, 376),
    "gram9-plural-verbs": (242, 460),
    TOTAL: (7393, 7484),
}


@pytest.mark.parametrize(
    ("file", "fold_case", "zero", "pearson", "spearman", "unknown"), GENSIM_PAIRS
)
def test_glove_has_gensims_figures_on_word_pairs(
    file: str,
    fold_case: bool,
    zero: bool,
    pearson: float,
    spearman: float,
    unknown: int,
    *,
    glove: WordVectors,
    shared_data: Path,
) -> None:
    pairs = read_word_pairs(shared_data / "word_similarity" / "original" / file)
    found = word_similarity(glove, pairs, fold_case=fold_case, unknown_is_zero=zero)
    assert found.unknown == unknown
    assert found.spearman == pytest.approx(spearman, abs=1e-9)
    assert found.pearson == pytest.approx(pearson, abs=1e-6)


def test_glove_has_gensims_figures_on_analogies(glove: WordVectors, shared_data: Path) -> None:
    asked = read_analogies(shared_data / "word_similarity" / "original" / "questions-words.txt")
    rows = word_analogies(glove, asked, first=30_000)
    assert {row.section: (row.correct, row.asked - row.correct) for row in rows} == GENSIM_ANALOGIES


def test_gensim_gives_the_same(vectors: WordVectors, tmp_path: Path) -> None:
    models = pytest.importorskip(
        "gensim.models", reason="gensim is not installed; its figures on GloVe are in this file"
    )
    peer = models.KeyedVectors(6)
    peer.add_vectors(WORDS, TABLE)
    asked = questions(300)
    (tmp_path / "q").write_text(": all\n" + "\n".join(" ".join(words) for words in asked.words))
    score, _ = peer.evaluate_word_analogies(str(tmp_path / "q"))
    assert word_analogies(vectors, asked)[-1].accuracy == pytest.approx(score)


def test_the_tasks_count_what_is_unknown_and_say_so(vectors: WordVectors, tmp_path: Path) -> None:
    asked = questions(200)
    right, known = answered_by_task(vectors, asked)
    table = compare([vectors], asked)
    assert table.rows[0].per_query == tuple(right.astype(float))
    assert table.notes == (
        f"{vectors.name} lacks a word of {(~known).sum()} of 200: they count as wrong",
    )
    (tmp_path / "p").write_text("w1\tw2\t1\nw1\tw4\t2\nw6\tw8\t5\nw6\tno\t5\n")
    table = compare([vectors], tmp_path / "p", task="word-similarity")
    expected = word_similarity(vectors, read_word_pairs(tmp_path / "p"), unknown_is_zero=True)
    assert table.rows[0].estimate.mean == pytest.approx(expected.spearman)
    assert "lacks a word of 1 of 4: their similarity is 0" in table.notes[0]


def test_the_command_line(cli: Callable[..., Result], tmp_path: Path) -> None:
    path = write_text(tmp_path / "w.txt", WORDS, TABLE)
    (tmp_path / "q").write_text(": all\nw1 w2 w4 w6\nw1 w2 w4 none\n")
    (tmp_path / "p").write_text("w1\tw2\t1\nw1\tw4\t2\nw6\tw8\t5\nw6\tno\t5\n")
    for command in (
        ["nearest", path, "w1", "w2", "--minus", "w4"],
        ["analogies", path, "--on", tmp_path / "q"],
        ["similarity", path, "--on", tmp_path / "p"],
    ):
        for extra in ([], ["--json"]):
            result = cli("words", *command, *extra)
            assert result.exit_code == 0, result.stderr
    assert "1" in cli("words", "analogies", path, "--on", tmp_path / "q").stdout.splitlines()[-1]
    assert (
        "on 3 pairs; 1 left out" in cli("words", "similarity", path, "--on", tmp_path / "p").stdout
    )
    missing = cli("words", "nearest", path, "w1000")
    assert (missing.exit_code, "has no word 'w1000'" in missing.stderr) == (2, True)
