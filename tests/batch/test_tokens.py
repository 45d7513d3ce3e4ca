"""The tokeniser against the one that transformers builds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import processors
from transformers import AutoTokenizer

from nasty import nasty_texts
from nearfield.batch.tokens import Tokeniser
from nearfield.errors import ModelError
from tiny import tiny_model, tiny_tokenizer

CLASSES: list[dict[str, Any]] = [
    {},
    {"tokenizer_class": "BertTokenizer"},
    {"tokenizer_class": "BertTokenizer", "do_lower_case": True},
    {"tokenizer_class": "BertTokenizer", "do_lower_case": False},
    {
        "tokenizer_class": "BertTokenizerFast",
        "strip_accents": False,
        "tokenize_chinese_chars": False,
    },
    {"tokenizer_class": "BertTokenizer", "truncation_side": "left"},
    {"truncation_side": "left"},
]


def stated(folder: Path, **settings: Any) -> Path:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return folder


@pytest.mark.parametrize("settings", CLASSES, ids=lambda settings: json.dumps(settings))
def test_ids_are_those_of_transformers(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = stated(tiny_model(tmp_path / "model"), **settings)
    texts = [*nasty_texts(60), "CAT Dog", "a cat reads " + "tax law " * 40 + "The End"]
    peer = AutoTokenizer.from_pretrained(folder)
    tokens = Tokeniser.open(folder, max_tokens=16).tokenise(texts)
    whole = peer(texts)["input_ids"]
    for item, ids in enumerate(peer(texts, truncation=True, max_length=16)["input_ids"]):
        assert tokens.of(item).tolist() == ids
        assert tokens.lost[item] == len(whole[item]) - len(ids)


def test_truncation_from_the_start_keeps_the_special_tokens(tmp_path: Path) -> None:
    folder = stated(tiny_model(tmp_path / "model"), truncation_side="left")
    tokens = Tokeniser.open(folder, max_tokens=5).tokenise(["the a an of to", "cat"], "query ")
    names = {
        place: piece for piece, place in AutoTokenizer.from_pretrained(folder).get_vocab().items()
    }
    assert [names[token] for token in tokens.of(0)] == ["[CLS]", "an", "of", "to", "[SEP]"]
    assert tokens.lost.tolist() == [3, 0]


@pytest.mark.parametrize(("lower_case", "imported"), [(True, False), (False, True)])
def test_transformers_is_imported_only_where_the_files_disagree(
    lower_case: bool, imported: bool, tmp_path: Path
) -> None:
    folder = stated(
        tiny_model(tmp_path / "model"), tokenizer_class="BertTokenizer", do_lower_case=lower_case
    )
    code = f"""
import sys; from pathlib import Path; from nearfield.batch.tokens import Tokeniser
Tokeniser.open(Path({str(folder)!r}), max_tokens=8); print("transformers" in sys.modules)"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(imported)


def test_a_token_without_a_row_in_the_models_table_is_refused(tmp_path: Path) -> None:
    """transformers gives a special token that the vocabulary lacks the next free number."""
    folder = tiny_model(tmp_path / "ends")
    stated(folder, tokenizer_class="BertTokenizer", sep_token="[END]")
    with pytest.raises(ModelError, match=r"gives '\[END\]' the id .* has a vocab_size of"):
        Tokeniser.open(folder, max_tokens=16)
    folder = stated(tiny_model(tmp_path / "masks"), mask_token="[HOLE]")
    tokeniser = Tokeniser.open(folder, max_tokens=16)
    tokeniser.tokenise(["the cat", "[MASK]"])
    for method in (tokeniser.tokenise, tokeniser.bare):
        with pytest.raises(ModelError, match=r"gives '\[HOLE\]' the id"):
            method(["the cat", "a [HOLE] dog"])


@pytest.mark.parametrize("template", ["[CLS] $A [SEP] $A [SEP]", "$A $A", "$A [SEP] $A:1"])
def test_a_text_that_a_template_puts_in_twice_is_refused(template: str, tmp_path: Path) -> None:
    """transformers cuts the text before it is put in, so that the sequence is too long after."""
    folder = tiny_model(tmp_path / "model")
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    cut = AutoTokenizer.from_pretrained(folder)("the cat " * 9, truncation=True, max_length=12)
    assert len(cut["input_ids"]) > 12
    with pytest.raises(ModelError, match="puts a text in more than once"):
        Tokeniser.open(folder, max_tokens=12)


def test_no_tokeniser_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the tokeniser could not be read"):
        Tokeniser.open(tmp_path, max_tokens=8)
