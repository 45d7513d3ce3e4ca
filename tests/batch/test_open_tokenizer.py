"""Every statement about the tokeniser in a folder's files, against what transformers builds
of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoProcessor, BertConfig

from nearfield.batch.tokens import Tokeniser
from nearfield.errors import ModelError
from tiny import SPECIALS, tiny_tokenizer

TEXTS = [
    "the CAT [NEW] of <extra> dog [MASK] x[SEP] y",
    "Crème brûlée 日本 a  [MASK]b [new] <extra>b",
    "[FOO]. 'tis",
    "a " * 30,
]
SIZE = tiny_tokenizer().get_vocab_size()


def token(content: str, **properties: bool) -> dict[str, Any]:
    plain = dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False)
    return {"content": content, **plain, "special": True, **properties}


DECODER = {
    str(at): token(content)
    for at, content in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
}
STRIPPING = {number: stated | {"lstrip": True} for number, stated in DECODER.items()}
SETTINGS: list[tuple[str, Any]] = [
    ("do_lower_case", False),
    ("strip_accents", False),
    ("tokenize_chinese_chars", False),
    ("split_special_tokens", True),
    ("additional_special_tokens", ["[NEW]"]),
    ("extra_special_tokens", ["<extra>"]),
    ("extra_special_tokens", {"x_token": "<extra>"}),
    ("foo_token", "[FOO]"),
    ("mask_token", "[NEW]"),
    ("unk_token", "[MASK]"),
    ("cls_token", "[SEP]"),
    ("bos_token", "<s>"),
    ("added_tokens_decoder", {str(SIZE): token("[NEW]")}),
    ("added_tokens_decoder", DECODER),
    ("added_tokens_decoder", STRIPPING),
    ("clean_up_tokenization_spaces", True),
    ("add_prefix_space", True),
    ("add_bos_token", True),
    ("add_eos_token", True),
    ("padding_side", "left"),
    ("truncation_side", "left"),
    ("never_split", ["cat"]),
    ("do_basic_tokenize", False),
    ("wordpieces_prefix", "#"),
    ("a_key_that_nobody_knows", 1),
    *(
        ("tokenizer_class", name)
        for name in ("PreTrainedTokenizerFast", "MPNetTokenizer", "RobertaTokenizer")
    ),
]
NOT_AS_ARGUMENTS = (
    "a_key_that_nobody_knows",
    "added_tokens_decoder",
    "do_basic_tokenize",
    "foo_token",
    "never_split",
)
NOT_AS_ARGUMENTS += ("tokenizer_class", "wordpieces_prefix")
FILES: list[dict[str, Any]] = [
    {"added_tokens.json": {"[NEW]": SIZE, "<extra>": SIZE + 1}},
    {"added_tokens.json": {"[MASK]": 4}},
    {"special_tokens_map.json": {"mask_token": "[MASK]", "cls_token": token("[CLS]")}},
    {"special_tokens_map.json": {"mask_token": "[NEW]"}},
    {"special_tokens_map.json": {"additional_special_tokens": ["[NEW]"]}},
    {"special_tokens_map.json": {"extra_special_tokens": ["<extra>"]}},
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    # a table with rows for the tokens that some settings add
    BertConfig(vocab_size=SIZE + 8, max_position_embeddings=130).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "model_max_length": 64, **SPECIALS})
    )
    return folder


def changed(base: Path, to: Path, files: dict[str, Any]) -> Path:
    """A copy of `base`; what `files` hold is put into JSON files that are there."""
    shutil.copytree(base, to)
    for name, stated in files.items():
        before = json.loads((to / name).read_text()) if (to / name).exists() else {}
        (to / name).write_text(json.dumps(before | stated))
    return to


def assert_as_transformers(folder: Path, arguments: dict[str, Any] | None = None) -> None:
    peer = AutoProcessor.from_pretrained(folder, local_files_only=True, **(arguments or {}))
    tokens = Tokeniser.open(folder, max_tokens=14).tokenise(TEXTS)
    wanted = peer(TEXTS, truncation="longest_first", max_length=14)["input_ids"]
    assert [tokens.of(at).tolist() for at in range(len(TEXTS))] == wanted


@pytest.mark.parametrize(("key", "value"), SETTINGS, ids=lambda part: json.dumps(part))
def test_every_key_of_tokenizer_config(key: str, value: Any, base: Path, tmp_path: Path) -> None:
    assert_as_transformers(changed(base, tmp_path / "one", {"tokenizer_config.json": {key: value}}))


@pytest.mark.parametrize("files", FILES, ids=lambda files: json.dumps(files))
def test_every_other_file_of_tokens(files: dict[str, Any], base: Path, tmp_path: Path) -> None:
    assert_as_transformers(changed(base, tmp_path / "one", files))


@pytest.mark.parametrize("direction", ["left", "right"])
@pytest.mark.parametrize("lstrip", [False, True])
def test_flags_of_tokens_and_the_direction_of_truncation_in_tokenizer_json(
    lstrip: bool, direction: str, base: Path, tmp_path: Path
) -> None:
    folder = changed(
        base, tmp_path / "one", {"tokenizer_config.json": {"additional_special_tokens": ["[MASK]"]}}
    )
    whole = json.loads((folder / "tokenizer.json").read_text())
    whole["added_tokens"][4]["lstrip"] = lstrip
    whole["truncation"] = {
        "direction": direction.title(),
        "max_length": 7,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    assert_as_transformers(folder)


@pytest.mark.parametrize("name", ["processor_kwargs", "tokenizer_args"])
def test_every_argument_that_sentence_transformers_passes_on(
    name: str, base: Path, tmp_path: Path
) -> None:
    for at, (key, value) in enumerate(SETTINGS):
        folder = changed(
            base, tmp_path / str(at), {"sentence_bert_config.json": {name: {key: value}}}
        )
        if key in NOT_AS_ARGUMENTS:
            with pytest.raises(
                ModelError,
                match=rf"sentence_bert_config.json: states "
                rf"{name}\.{key}, which is not honoured",
            ):
                Tokeniser.open(folder, max_tokens=14)
        else:
            assert_as_transformers(folder, {key: value})


@pytest.mark.parametrize(
    "case", ["bt_addedjson", "bt_addedcfg", "bt_addspecial", "bt_stm", "bt_split"]
)
def test_folders_that_add_or_split_tokens(case: str, repository: Path) -> None:
    folder = repository.parent / "shared" / "cases" / "added_tokens" / case
    if not folder.is_dir():
        pytest.skip("../shared/cases is not there; this test reads its folders")
    assert_as_transformers(folder)


def test_a_tokeniser_with_a_call_of_its_own_is_refused(base: Path, tmp_path: Path) -> None:
    folder = changed(
        base,
        tmp_path / "one",
        {"tokenizer_config.json": {"tokenizer_class": "LayoutLMv2Tokenizer"}},
    )
    with pytest.raises(ModelError, match=r"LayoutLMv2Tokenizer has a __call__ of its own"):
        Tokeniser.open(folder, max_tokens=14)
