"""Trimmed vocabularies: the same tokens on the texts, no new unknown ones elsewhere, and the same
vectors in every library.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoModel, AutoTokenizer, RobertaConfig, XLMRobertaConfig

from nasty import nasty_texts
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.models.surgery.trim import trim
from nearfield.models.surgery.vocabulary import kept_ids, token_ids, with_only
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder
from tiny import SIZES, WORDS, tiny_model, tiny_tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SENTENCES = [" ".join(WORDS[start::7]) + f" {start}" for start in range(30)]


def byte_pairs() -> Tokenizer:
    """As RoBERTa's: bytes, merged."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=420, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    return tokenizer


def best_paths() -> Tokenizer:
    """As XLM-R's: the likeliest pieces."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.UnigramTrainer(
            vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "WordPiece": tiny_tokenizer,
    "BPE": byte_pairs,
    "Unigram": best_paths,
}
_MADE: dict[str, Tokenizer] = {}


def whole(kind: str) -> Tokenizer:
    return _MADE.setdefault(kind, KINDS[kind]())


def trimmed(tokenizer: Tokenizer, texts: list[str]) -> tuple[Tokenizer, list[int]]:
    facts = json.loads(tokenizer.to_str())
    kept = kept_ids(
        facts, {id_ for encoding in tokenizer.encode_batch(texts) for id_ in encoding.ids}
    )
    return Tokenizer.from_str(json.dumps(with_only(facts, kept))), kept


@settings(max_examples=40)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    used=st.lists(st.sampled_from([*SENTENCES, *WORDS, *nasty_texts(40)]), min_size=1, max_size=5),
    other=st.text("abcdefghij qrstuvwxyz .,0", max_size=40),
)
def test_the_texts_are_cut_as_before_and_others_stay_spellable(
    kind: str, used: list[str], other: str
) -> None:
    tokenizer = whole(kind)
    left, kept = trimmed(tokenizer, used)
    for before, after in zip(tokenizer.encode_batch(used), left.encode_batch(used), strict=True):
        assert after.tokens == before.tokens
        assert [kept[id_] for id_ in after.ids] == before.ids
    unknown = {"[UNK]", "<unk>"}
    assert sum(token in unknown for token in left.encode(other).tokens) == sum(
        token in unknown for token in tokenizer.encode(other).tokens
    )
    assert left.get_vocab_size() == len(kept)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_text_uses_a_part_of_the_vocabulary(kind: str) -> None:
    left, kept = trimmed(whole(kind), ["the cat"])
    assert len(kept) < whole(kind).get_vocab_size()
    assert left.encode("the dog") is not None


def test_pieces_whose_characters_have_none_of_their_own_are_kept() -> None:
    pieces = ["[UNK]", "a", "##a", "東京", "aa", "##aa"]
    tokenizer = Tokenizer(
        models.WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    _, kept = trimmed(tokenizer, ["a"])
    assert [pieces[id_] for id_ in kept] == ["[UNK]", "a", "##a", "東京"]


def test_merges_written_as_texts_and_with_an_end_of_word() -> None:
    pieces = ["<unk>", "a", "b", "a</w>", "b</w>", "ab", "ab</w>", "aab</w>", "ba</w>"]
    merges = [("a", "b"), ("a", "b</w>"), ("a", "ab</w>"), ("b", "a</w>")]
    made = models.BPE(
        {piece: at for at, piece in enumerate(pieces)},
        merges,
        unk_token="<unk>",
        end_of_word_suffix="</w>",
    )
    facts: dict[str, Any] = json.loads(Tokenizer(made).to_str())
    facts["model"]["merges"] = [" ".join(pair) for pair in merges]
    ids = token_ids(facts)
    kept = kept_ids(facts, {ids["aab</w>"]})
    assert {pieces[id_] for id_ in kept} == {
        "<unk>",
        "a",
        "b",
        "a</w>",
        "b</w>",
        "ab</w>",
        "aab</w>",
    }
    left = Tokenizer.from_str(json.dumps(with_only(facts, kept)))
    assert left.encode("aab").tokens == ["aab</w>"]
    assert left.encode("ba").tokens == ["b", "a</w>"]


def folder_of(kind: str, path: Path) -> Path:
    """A tiny model whose tokeniser is of that kind, in the files that transformers writes for its
    class.
    """
    if kind == "WordPiece":
        return tiny_model(
            path,
            config_sentence_transformers={
                "prompts": {"query": "query : ", "document": "passage : "}
            },
        )
    folder = tiny_model(path, kind="roberta")
    tokenizer = whole(kind)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos": 0, "eos": 2, "cls": 0, "sep": 2, "unk": 3, "pad": 1, "mask": 4}
    named = {f"{name}_token": SPECIAL[id_] for name, id_ in names.items()}
    about = {
        "tokenizer_class": {"BPE": "RobertaTokenizer", "Unigram": "XLMRobertaTokenizer"}[kind],
        "model_max_length": 64,
    }
    decoder = {str(id_): {"content": token, "special": True} for id_, token in enumerate(SPECIAL)}
    (folder / "tokenizer_config.json").write_text(
        json.dumps(about | named | {"added_tokens_decoder": decoder})
    )
    sizes = SIZES | {
        "vocab_size": tokenizer.get_vocab_size() + 3,
        "max_position_embeddings": 130,
        "pad_token_id": 1,
    }
    AutoModel.from_config(
        {"BPE": RobertaConfig, "Unigram": XLMRobertaConfig}[kind](**sizes)
    ).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_texts_vectors_are_what_they_were_in_every_library(kind: str, tmp_path: Path) -> None:
    folder = folder_of(kind, tmp_path / "whole")
    texts = [*SENTENCES[:4], *nasty_texts(20)]
    made = trim(folder, to=tmp_path / "made", texts=texts)
    assert made.after < made.before
    assert not (made.folder / "vocab.txt").exists()
    before, after = (
        TextEncoder.open(path).encode(texts, "query").vectors for path in (folder, made.folder)
    )
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert_same_as_sentence_transformers(made.folder, [*texts, "unseen words, spelt"])
    rows = AutoModel.from_pretrained(made.folder).get_input_embeddings().weight
    assert (
        len(rows)
        == len(AutoTokenizer.from_pretrained(made.folder))
        == json.loads((made.folder / "algebra.json").read_text())["tokens"]
    )


def test_static_models_are_trimmed_too(tmp_path: Path) -> None:
    folder = model2vec_folder(tmp_path / "whole")
    texts = ["the cat and the dog", "東 京"]
    made = trim(folder, to=tmp_path / "made", texts=texts)
    before, after = (
        TextEncoder.open(path).encode(texts, "query") for path in (folder, made.folder)
    )
    np.testing.assert_array_equal(after.vectors, before.vectors)
    assert after.usage.unknown_tokens == before.usage.unknown_tokens == 2
    assert made.after < made.before


def test_what_cannot_be_trimmed_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "whole")
    with pytest.raises(InputError, match="give --texts"):
        trim(folder, to=tmp_path / "made", texts=[])
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "cat": 1}, unk_token="[UNK]"))
    with pytest.raises(ModelError, match="each that is left out would become unknown"):
        trimmed(words, ["cat"])
    assert not (tmp_path / "made").exists()
