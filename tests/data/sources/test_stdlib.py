from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from nearfield.data.collection import Collection
from nearfield.data.open import open_collection
from nearfield.data.sources.sentences import first_sentence
from nearfield.data.sources.stdlib import MAX_WORDS, MIN_WORDS, entries, split_of

SOURCE = '''
import nothing_that_exists

@decorated(1)
def shown(a, b=2):  # kept
    """Add two numbers.  Second sentence.

    More.
    """
    # why

    def inner():
        """Inner docstring."""
        return a
    return inner() + b

def _hidden():
    """Not a public function."""
    return 1

def undocumented():
    return 1

def abstract():
    """Do what a subclass does."""
    raise NotImplementedError

class Shown(Base):
    """Hold a few things
    over two lines. Then more."""
    attribute = 1  #: kept

    def method(self):
        """method(self) -> int

        Count the e.g. strange things it holds.
        """
        secret = 1
        return secret

    @property
    def _private(self):
        """A private thing of mine."""
        return 2

class Twin:
    """Add two numbers"""
    x = 1

async def waiting(self):
    "Wait for nothing at all"
    await self
'''


@pytest.fixture(scope="module")
def stdlib() -> Collection:
    return open_collection("stdlib")


def test_what_is_made_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "made.py").write_text(
        SOURCE.replace('"""Add two numbers"""', '"""Another one of them."""')
    )
    (tmp_path / "json" / "_private.py").write_text(SOURCE)
    (tmp_path / "abc.py").write_text("def broken(:\n")
    found = {entry.key: entry for entry in entries(tmp_path)}
    assert {key: entry.query for key, entry in found.items()} == {
        "json.made:shown": "Add two numbers.",
        "json.made:Shown": "Hold a few things over two lines.",
        "json.made:Shown.method": "Count the e.g. strange things it holds.",
        "json.made:Twin": "Another one of them.",
        "json.made:waiting": "Wait for nothing at all",
    }
    assert {entry.module for entry in found.values()} == {"json"}
    shown = (
        "@decorated(1)\ndef shown(a, b=2):  # kept\n    # why\n    def inner():\n        "
        "return a\n    return inner() + b"
    )
    assert found["json.made:shown"].document == shown
    head = (
        "class Shown(Base):\n    attribute = 1  #: kept\n    def method(self):\n    "
        "@property\n    def _private(self):"
    )
    assert found["json.made:Shown"].document == head
    assert found["json.made:Shown.method"].document == (
        "def method(self):\n    secret = 1\n    return secret"
    )


def test_shared_queries_and_documents_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(SOURCE)
    names = [entry.key for entry in entries(tmp_path)]
    assert "json:shown" not in names
    assert "json:Twin" not in names
    (tmp_path / "abc.py").write_text(
        'def waiting(self):\n    """Another thing to say."""\n    pass\n'
    )
    (tmp_path / "ast.py").write_text(
        'def one(self):\n    """First thing to say."""\n    return 1\n'
    )
    (tmp_path / "bdb.py").write_text(
        'def one(self):\n    """Second thing to say."""\n    return 1\n'
    )
    assert not {"ast:one", "bdb:one", "abc:waiting"} & {entry.key for entry in entries(tmp_path)}


def test_no_module_is_in_two_splits(stdlib: Collection) -> None:
    assert stdlib.splits == ("train", "dev", "test")
    modules = [
        {key.split(":")[0].split(".")[0] for key in stdlib.split(name).query_ids}
        for name in stdlib.splits
    ]
    assert not modules[0] & modules[1]
    assert not modules[0] & modules[2]
    assert not modules[1] & modules[2]
    assert set(stdlib.queries["group"].to_pylist()) == modules[0] | modules[1] | modules[2]
    assert all(
        split_of(name) == split
        for split, names in zip(stdlib.splits, modules, strict=True)
        for name in names
    )


def test_splits_are_of_the_sizes_that_the_salt_was_chosen_for(stdlib: Collection) -> None:
    sizes = {
        name: len(stdlib.split(name).query_ids) / len(stdlib.documents) for name in stdlib.splits
    }
    assert len(stdlib.documents) > 2500
    assert 0.35 < sizes["test"] < 0.5
    assert 0.04 < sizes["dev"] < 0.13
    if sys.version_info[:2] == (3, 11):
        assert 3700 < len(stdlib.documents) < 3900


def test_no_document_holds_its_docstring(stdlib: Collection) -> None:
    for query, text in zip(stdlib.query_texts, stdlib.document_texts, strict=True):
        assert MIN_WORDS <= len(query.split()) <= MAX_WORDS
        assert query not in " ".join(text.split())


def test_documents_are_without_any_docstring(stdlib: Collection) -> None:
    """Functions parse again (unless a docstring was their whole inner body); no docstring is in
    them.
    """
    parsed = 0
    for text in stdlib.document_texts[::7]:
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        parsed += 1
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert ast.get_docstring(node) is None, text
    assert parsed > 300


def test_first_sentences() -> None:
    cases = {
        "One. Two.": "One.",
        "Use e.g. This one. Two.": "Use e.g. This one.",
        "Version 3.4 of it. Next": "Version 3.4 of it.",
        "No end": "No end",
        "Is it? Yes.": "Is it?",
        'He said "no." Then left.': 'He said "no."',
        "wraps\n  over lines. \nNext": "wraps over lines.",
        "see os.path. it goes on. End": "see os.path. it goes on.",
        "": "",
    }
    assert {text: first_sentence(text) for text in cases} == cases
