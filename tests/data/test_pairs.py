from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from nearfield.data.open import open_collection, open_data, open_pairs
from nearfield.data.pairs import Pairs
from nearfield.encoders.lexical import Lexical
from nearfield.errors import CollectionError, InputError
from nearfield.evaluate.compare import compare


def table(count: int = 3, **columns: list[object]) -> pa.Table:
    return pa.table(
        {
            "query": [f"q{n}" for n in range(count)],
            "positive": [f"p{n}" for n in range(count)],
            **columns,
        }
    )


def test_columns_that_may_be_left_out() -> None:
    pairs = Pairs.from_table(table())
    assert not pairs.scored
    assert pairs.table.column_names == ["query", "positive", "negatives", "score"]
    assert (list(pairs.queries), list(pairs.positives)) == (["q0", "q1", "q2"], ["p0", "p1", "p2"])
    assert Pairs.from_table(table(score=[1, 2, 3])).scored


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table(0), "there are no pairs"),
        (table(score=[1.0, None, 2.0]), "1 of 3 pairs have no score"),
        (table(score=[1.0, float("nan"), 2.0]), "not a finite number"),
        (pa.table({"query": ["x"]}), "wanted also positive"),
    ],
)
def test_what_cannot_be_used_raises(rows: pa.Table, message: str) -> None:
    with pytest.raises(CollectionError, match=message):
        Pairs.from_table(rows)


def test_errors_call_pairs_what_they_were_opened_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people").mkdir()
    Path("people/train.jsonl").write_text('{"query": "a", "positive": "b", "score": 1}\n' * 2)
    Path("people/test.csv").write_text("query,positive\na,b\n")
    for _ in range(2):  # read, and from the cache
        scored, plain = open_pairs("people/train.jsonl"), open_pairs(Path("people/test.csv"))
        assert (scored.name, scored.called, plain.name, plain.called) == (
            "people",
            "people/train.jsonl",
            "people",
            "people/test.csv",
        )
    with pytest.raises(InputError, match=r"^people/train.jsonl: every pair has the same score"):
        compare([Lexical.fit(["a"])], scored)
    scored.save("saved")
    assert open_data("saved").called == "saved"  # type: ignore[union-attr]
    assert Pairs.from_table(table(), name="mine").called == "mine"


def test_saved_and_opened_they_are_the_same(tmp_path: Path) -> None:
    pairs = Pairs.from_table(
        table(score=[0.5, 1.5, 2.5], negatives=[["a", "b"], [], None]), name="scored"
    )
    pairs.save(tmp_path / "saved")
    opened = Pairs.open(tmp_path / "saved")
    assert (opened.name, opened.fingerprint) == ("scored", pairs.fingerprint)
    assert opened.table.to_pylist() == pairs.table.to_pylist()


def test_the_fingerprint_sees_which_row_a_negative_is_of() -> None:
    one = Pairs.from_table(table(2, negatives=[["a", "b"], []]))
    two = Pairs.from_table(table(2, negatives=[["a"], ["b"]]))
    chunks = pa.concat_tables([one.table.slice(0, 1), one.table.slice(1)])
    assert one.fingerprint != two.fingerprint
    assert Pairs.from_table(chunks).fingerprint == one.fingerprint


def test_a_damaged_folder_is_a_clear_error(tmp_path: Path) -> None:
    Pairs.from_table(table()).save(tmp_path / "saved")
    (tmp_path / "saved" / "pairs.json").write_text("[]")
    with pytest.raises(InputError, match=r"pairs\.json: holds \[\]; wanted a JSON object"):
        Pairs.open(tmp_path / "saved")


def test_columns_of_known_sets_and_those_that_are_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quora, nested, reading = (
        tmp_path / "quora.csv",
        tmp_path / "nested.jsonl",
        tmp_path / "reading.jsonl",
    )
    quora.write_text("question1,question2,is_duplicate\nwhat is tea,tea is what,1\n")
    nested.write_text('{"query": "q", "pos": ["a", "b"], "neg": ["c"]}\n')
    reading.write_text('{"question": "cats sit", "answer": "down", "context": "long passage"}\n')
    with caplog.at_level("INFO"):
        assert len(open_pairs(quora)) == 1
        assert len(open_pairs(nested)) == 2
        assert caplog.messages == []
        assert len(open_pairs(reading)) == 1
    assert caplog.messages == [
        f"{reading}: 'question' is the query and 'context' the positive; not used: answer"
    ]
    clicks, scored = tmp_path / "clicks.jsonl", tmp_path / "scored.jsonl"
    clicks.write_text('{"query": "what is tea", "text": "a drink of leaves", "pos": 1}\n')
    scored.write_text(
        '{"query": "q", "document": "d", "text": "t", "label": 1, "score": 0.5, '
        '"negative": "n", "neg": "m"}\n'
    )
    caplog.clear()
    with caplog.at_level("INFO"):
        assert list(open_pairs(clicks).positives) == ["a drink of leaves"]
        assert list(open_pairs(scored).positives) == ["d"]
    assert [message.partition("not used: ")[2] for message in caplog.messages] == [
        "pos",
        "neg, label, text",
    ]
    words = tmp_path / "words.jsonl"
    words.write_text('{"text": "a cat", "pos": "NN"}\n')
    assert list(open_collection(words).document_texts) == ["a cat"]
