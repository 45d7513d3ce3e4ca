"""Static models against the libraries that write them, plain loops, and the same rules as every
other model.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from model2vec import StaticModel
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

from nasty import nasty_texts
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, InputError, ModelError, TruncationWarning
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.runtimes.options import OpenOptions
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder, sentence_transformers_folder, table
from word_files import WORDS, some_vectors, write_text


def assert_same_as_model2vec(folder: Path, texts: list[str], *, tolerance: float = 1e-5) -> None:
    ours = TextEncoder.open(folder).encode(texts, "document").vectors
    np.testing.assert_allclose(
        ours, StaticModel.from_pretrained(folder).encode(texts), atol=tolerance, rtol=tolerance
    )


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_model2vec_folders(dtype: str, normalise: bool, shared: bool, tmp_path: Path) -> None:
    folder = model2vec_folder(
        tmp_path / "m", dtype=dtype, normalise=normalise, shared=shared, max_tokens=None
    )
    # it sums in float16
    assert_same_as_model2vec(folder, nasty_texts(), tolerance=2e-3 if dtype == "float16" else 1e-5)


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_potion_gives_model2vecs_vectors(local_model: Callable[[str], Path]) -> None:
    assert_same_as_model2vec(local_model("potion-base-8m"), nasty_texts())


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("specials", [True, False])
def test_sentence_transformers_folders(normalise: bool, specials: bool, tmp_path: Path) -> None:
    folder = sentence_transformers_folder(tmp_path / "m", normalise=normalise, specials=specials)
    assert_same_as_sentence_transformers(folder, nasty_texts())


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_the_torch_runtime_gives_the_same_vectors(tmp_path: Path) -> None:
    folder = model2vec_folder(tmp_path / "m")
    texts = nasty_texts(80)
    vectors = [
        TextEncoder.open(folder, OpenOptions(runtime=runtime)).encode(texts, "query").vectors
        for runtime in ("static", "torch", "auto")
    ]
    np.testing.assert_allclose(vectors[1], vectors[0], atol=2e-6)
    np.testing.assert_array_equal(vectors[2], vectors[0])
    assert TextEncoder.open(folder).runtime.name == "static"
    assert (
        not TextEncoder.open(folder, OpenOptions(runtime="torch"))
        .encode([""], "query")
        .vectors.any()
    ), "of no token at all"


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_vectors_depend_neither_on_batches_nor_on_order(tmp_path: Path) -> None:
    encoder = TextEncoder.open(model2vec_folder(tmp_path / "m"))
    texts = nasty_texts(80)
    whole = encoder.encode(texts, "document").vectors
    order = np.random.default_rng(0).permutation(len(texts))
    np.testing.assert_allclose(
        encoder.encode([texts[at] for at in order], "document").vectors, whole[order], atol=2e-6
    )
    small = TextEncoder(encoder.folder, encoder.runtime, batch_tokens=7)
    np.testing.assert_allclose(small.encode(texts, "document").vectors, whole, atol=2e-6)


def test_unknown_words_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = model2vec_folder(tmp_path / "m", normalise=False)
    encoded = TextEncoder.open(folder).encode(["cat 東 dog", "東 京", "", "cat"], "document")
    vocabulary = StaticModel.from_pretrained(folder).tokenizer.get_vocab()
    np.testing.assert_allclose(
        encoded.vectors[0], (table()[vocabulary["cat"]] + table()[vocabulary["dog"]]) / 2, atol=1e-6
    )
    assert not encoded.vectors[1:3].any()
    usage = encoded.usage
    assert (usage.items, usage.tokens, usage.unknown_tokens, usage.nothing_known) == (4, 3, 3, 2)


def test_truncation_is_counted_and_told(tmp_path: Path) -> None:
    folder = model2vec_folder(tmp_path / "m", max_tokens=5)
    with pytest.warns(TruncationWarning, match="1 of 2 texts were longer and lost 16 tokens"):
        encoded = TextEncoder.open(folder).encode(["cat dog", "cat dog " * 10], "document")
    assert encoded.usage.tokens == 6  # model2vec reads ten characters of the second: cat dog ca
    state = {"contract": {"max_tokens": 3}}
    (folder / "nearfield.json").write_text(json.dumps(state))
    assert TextEncoder.open(folder).contract.max_tokens == 3


def test_prompts_are_pooled_as_sentence_transformers_does(tmp_path: Path) -> None:
    folder = sentence_transformers_folder(tmp_path / "m")
    stated = json.loads((folder / "config_sentence_transformers.json").read_text())
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps(stated | {"prompts": {"query": "red : ", "document": "blue : "}})
    )
    assert_same_as_sentence_transformers(folder, ["cat", "", "dog law"])


def test_word_vectors_are_a_model_like_any_other(tmp_path: Path) -> None:
    path = write_text(tmp_path / "words.txt", WORDS, some_vectors())
    encoder = load(path)
    encoded = encoder.encode(["The KING, the cat.", "nothing", "king's"], "query")
    place = dict(zip(WORDS, some_vectors(), strict=True))
    np.testing.assert_allclose(
        encoded.vectors[0],
        sum(place[word] for word in ["the", "king", "the", "cat", "."]) / 5,
        atol=1e-6,
    )
    assert not encoded.vectors[1].any()
    # ' and s are not there
    np.testing.assert_allclose(encoded.vectors[2], place["king"], atol=1e-6)
    assert (
        encoder.contract.similarity,
        encoder.contract.normalise,
        encoded.usage.unknown_tokens,
    ) == ("cosine", False, 4)
    assert isinstance(encoder.runtime.table.base, np.memmap)
    assert_same_as_model2vec(encoder.folder.path, ["The KING, the cat.", "nothing"])


def test_the_command_line_says_what_is_unknown(tmp_path: Path, cli: Callable[..., Result]) -> None:
    path = write_text(tmp_path / "words.txt", WORDS, some_vectors())
    result = cli("encode", path, "-", "--to", tmp_path / "v", stdin="the king\nnothing here\n")
    assert result.exit_code == 0, result.stderr
    assert (
        "2 words are unknown to the model and were left out; 1 texts have no known word"
        in result.stdout
    )


@pytest.mark.parametrize("theirs", [True, False])
@pytest.mark.parametrize("normalise", [True, False])
def test_a_saved_model_opens_where_it_came_from_with_the_same_vectors(
    theirs: bool, normalise: bool, tmp_path: Path
) -> None:
    made = tmp_path / "m"
    folder = (
        sentence_transformers_folder(made, normalise=normalise)
        if theirs
        else model2vec_folder(made, normalise=normalise, max_tokens=None)
    )
    model = TextModel.open(folder)
    with torch.no_grad():
        for weight in model.parameters().values():
            weight.mul_(1.5).add_(0.01)
    save_encoder(model, tmp_path / "saved", name="mine")
    again = TextEncoder.open(tmp_path / "saved")
    assert again.contract.name == "mine"
    np.testing.assert_allclose(
        load_file(tmp_path / "saved/model.safetensors").popitem()[1],
        table() * 1.5 + 0.01,
        atol=1e-6,
    )
    texts = nasty_texts(60)
    if theirs:  # model2vec leaves out what is unknown, sentence-transformers does not
        assert_same_as_sentence_transformers(tmp_path / "saved", texts)
    else:
        assert_same_as_model2vec(tmp_path / "saved", texts)


def test_folders_that_contradict_themselves_or_are_damaged(tmp_path: Path) -> None:
    folder = model2vec_folder(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"normalize": False}))
    with pytest.raises(
        ContractError,
        match=r"modules\.json normalises and config\.json says "
        r"normalize: False",
    ):
        TextEncoder.open(folder)
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")

    def refused(changed: dict[str, np.ndarray], message: str) -> None:  # type: ignore[type-arg]
        save_file(changed, folder / "model.safetensors")
        with pytest.raises(ModelError, match=message):
            TextEncoder.open(folder)

    refused(
        {"other": weights["embeddings"]},
        r"has other; wanted one array \(tokens, dim\) "
        r"called embeddings",
    )
    refused(weights | {"weights": np.ones(3, np.float32)}, r"weights has the shape \(3,\)")
    refused(
        weights | {"mapping": np.full(len(weights["embeddings"]), 9999)},
        "mapping does not point into",
    )
    broken = weights["embeddings"].copy()
    broken[7, 3] = np.nan
    refused({"embeddings": broken}, "vector of token 7 holds NaN")
    refused(
        {"embeddings": weights["embeddings"][:-5]},
        "the tokeniser knows .* tokens and there are .* vectors",
    )
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="tokeniser could not be read"):
        save_file(weights, folder / "model.safetensors")
        TextEncoder.open(folder)


def test_a_static_folder_of_sentence_transformers_in_a_sub_folder(tmp_path: Path) -> None:
    folder = sentence_transformers_folder(tmp_path / "m")
    assert SentenceTransformer(str(folder), device="cpu").encode(["cat"]).shape == (1, 8)
    assert TextEncoder.open(folder).folder.static


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize("max_tokens", [3, 20, None])
def test_model2vec_cuts_characters_before_it_cuts_tokens(
    max_tokens: int | None, tmp_path: Path
) -> None:
    folder = model2vec_folder(tmp_path / "model", max_tokens=max_tokens)
    texts = ["a b c d e f g h", "x" * 90, "remove error raise return " * 30, "the cat"]
    encoder = TextEncoder.open(folder)
    ours = encoder.encode(texts, "document")
    np.testing.assert_allclose(
        ours.vectors, StaticModel.from_pretrained(folder).encode(texts), atol=1e-6
    )
    if max_tokens is not None:
        kept = encoder.tokenise(texts, "document")
        assert (kept.lengths + kept.lost + 0 >= encoder.count_tokens(texts) - kept.unknown).all()
        assert kept.lost[2] > 0


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize("direction", ["left", "right"])
def test_truncation_of_tokenizer_json_in_a_static_folder_of_sentence_transformers(
    direction: str, tmp_path: Path
) -> None:
    folder = sentence_transformers_folder(tmp_path / "model")
    file = folder / "tokenizer.json"
    stated = json.loads(file.read_text())
    stated["truncation"] = {
        "direction": direction.title(),
        "max_length": 4,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    file.write_text(json.dumps(stated))
    assert_same_as_sentence_transformers(
        folder, ["how to sort a list of numbers", "cat", "the a an of to and in"]
    )
    stated["truncation"]["strategy"] = "OnlySecond"
    file.write_text(json.dumps(stated))
    with pytest.raises(
        InputError,
        match=r"tokenizer\.json: truncation\.strategy is "
        r"\"OnlySecond\"",
    ):
        TextEncoder.open(folder)
