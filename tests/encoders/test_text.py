"""TextEncoder against sentence-transformers, and its invariances."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from tokenizers import processors
from transformers import BartConfig, BartModel, T5Config, T5Model

from nasty import nasty_texts
from nearfield.batch.packed import Packed
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, InputError, ModelError, TruncationWarning
from nearfield.models.model import TextModel
from nearfield.runtimes.options import OpenOptions
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.similarity.embeddings import Embeddings
from peer import assert_same_as_sentence_transformers
from tiny import tiny_model, tiny_tokenizer

REAL = ("minilm", "minilm-l3", "bge-small", "e5-small", "gte-small", "mpnet")


@pytest.mark.parametrize("name", REAL)
def test_real_models_give_sentence_transformers_vectors(
    name: str, local_model: Callable[[str], Path]
) -> None:
    assert_same_as_sentence_transformers(local_model(name), nasty_texts(longest=20))


@pytest.mark.parametrize("pooling", ["cls", "lasttoken", "max", "mean", "weightedmean"])
def test_every_pooling(pooling: str, tmp_path: Path) -> None:
    assert_same_as_sentence_transformers(
        tiny_model(tmp_path / "model", pooling=pooling), nasty_texts()
    )


@pytest.mark.parametrize(
    "kind", ["bert", "modernbert", "mpnet", "nomic_bert", "roberta", "xlm-roberta"]
)
@pytest.mark.parametrize("normalise", [True, False])
def test_every_architecture(kind: str, normalise: bool, tmp_path: Path) -> None:
    texts = nasty_texts() if normalise else nasty_texts(60)
    assert_same_as_sentence_transformers(
        tiny_model(tmp_path / "model", kind=kind, normalise=normalise), texts
    )


@pytest.mark.parametrize("pooling", ["mean", "cls", "weightedmean"])
def test_prompts_within_and_outside_of_the_pooling(pooling: str, tmp_path: Path) -> None:
    prompts = {
        "prompts": {"query": "query: ", "document": "passage: "},
        "default_prompt_name": None,
        "similarity_fn_name": "dot",
    }
    folder = tiny_model(tmp_path / "model", pooling=pooling, config_sentence_transformers=prompts)
    assert_same_as_sentence_transformers(folder, nasty_texts(60))
    config = json.loads((folder / "1_Pooling/config.json").read_text())
    (folder / "1_Pooling/config.json").write_text(json.dumps(config | {"include_prompt": False}))
    texts = [text for text in nasty_texts(60) if text.strip()]
    assert_same_as_sentence_transformers(folder, texts)
    assert TextEncoder.open(folder).contract.similarity == "dot"


def test_weights_of_a_left_out_prompt_keep_their_positions(tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "query : ", "document": "a cat : a dog : "}}
    folder = tiny_model(
        tmp_path / "model", pooling="weightedmean", config_sentence_transformers=prompts
    )
    (folder / "1_Pooling/config.json").write_text(
        '{"embedding_dimension": 32, "pooling_mode": "weightedmean", "include_prompt": false}'
    )
    assert_same_as_sentence_transformers(folder, ["cat", "the dog", "how to sort list"])


def test_of_an_encoder_decoder_the_encoder_is_loaded(tmp_path: Path) -> None:
    from nearfield.models.saving.save import save_encoder

    folder = tiny_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    sizes = {
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
        "pad_token_id": 0,
        "decoder_start_token_id": 0,
    }
    T5Model(T5Config(vocab_size=tiny_tokenizer().get_vocab_size(), **sizes)).save_pretrained(folder)
    assert_same_as_sentence_transformers(folder, nasty_texts(60))
    encoder = TextEncoder.open(folder)
    save_encoder(TextModel.open(folder), tmp_path / "saved", name="t5")
    assert_same_as_sentence_transformers(tmp_path / "saved", ["cat", "tax law"], encoder=encoder)
    assert_same_as_sentence_transformers(tmp_path / "saved", ["cat", "tax law"])


def test_an_encoder_decoder_without_an_encoder_of_its_own_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    sizes = {
        "d_model": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
    }
    BartModel(
        BartConfig(vocab_size=200, encoder_ffn_dim=32, decoder_ffn_dim=32, **sizes)
    ).save_pretrained(folder)
    with pytest.raises(ModelError, match="bart is an encoder-decoder"):
        TextEncoder.open(folder)


@pytest.mark.parametrize("pooling", ["cls", "lasttoken", "max", "mean", "weightedmean"])
def test_a_text_without_any_token_is_the_zero_vector(pooling: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", pooling=pooling)
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    tokenizer.save(str(folder / "tokenizer.json"))
    encoder = TextEncoder.open(folder)
    assert not encoder.encode([""], "query").vectors.any()
    mixed = encoder.encode(["", "cat", "tax law court"], "query").vectors
    assert not mixed[0].any()
    np.testing.assert_allclose(
        mixed[1:], encoder.encode(["cat", "tax law court"], "query").vectors, atol=1e-6
    )
    # the others give what lies in the padding, or NaN
    if pooling in ("lasttoken", "mean", "weightedmean"):
        assert_same_as_sentence_transformers(folder, ["", "cat", "tax law court"])


def test_a_text_without_any_token_has_a_finite_gradient(tiny: Path) -> None:
    model = TextModel.open(tiny)
    model.embed(Packed(np.zeros(2, np.int32), np.array([0, 2, 2]), np.arange(2))).sum().backward()
    assert all(
        weight.grad is None or torch.isfinite(weight.grad).all()
        for weight in model.parameters().values()
    )


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_a_prompt_that_leaves_nothing_to_pool_is_an_error(pooling: str, tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "query : the a an", "document": "query : "}}
    folder = tiny_model(
        tmp_path / "model", pooling=pooling, max_tokens=6, config_sentence_transformers=prompts
    )
    (folder / "1_Pooling/config.json").write_text(
        f'{{"embedding_dimension": 32, "pooling_mode": "{pooling}", "include_prompt": false}}'
    )
    encoder = TextEncoder.open(folder)
    with pytest.raises(
        ContractError, match="prompt of role 'query' has 6 tokens and the model reads 6"
    ):
        encoder.encode(["cat"], "query")
    assert encoder.encode(["cat"], "document").vectors.any()


def test_a_dense_module_between_pooling_and_normalising(tmp_path: Path) -> None:
    from sentence_transformers.base.modules import Dense

    folder = tiny_model(tmp_path / "model")
    peer = SentenceTransformer(str(folder), device="cpu")
    peer.insert(2, Dense(32, 12, activation_function=torch.nn.Tanh()))
    peer.save(str(tmp_path / "projected"))
    assert TextEncoder.open(tmp_path / "projected").contract.dim == 12
    assert_same_as_sentence_transformers(tmp_path / "projected", nasty_texts(60))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny")


@pytest.mark.parametrize("facts", [{"return_dict": False}, {"chunk_size_feed_forward": 4}])
def test_how_states_are_handed_back_changes_none(facts: dict[str, object], tiny: Path) -> None:
    plain = (
        TextEncoder.open(tiny, OpenOptions(runtime="torch"))
        .encode(["the cat", "a dog of the sun"], "query")
        .vectors
    )
    config = json.loads((tiny / "config.json").read_text())
    (tiny / "config.json").write_text(json.dumps(config | facts))
    stated = (
        TextEncoder.open(tiny, OpenOptions(runtime="torch"))
        .encode(["the cat", "a dog of the sun"], "query")
        .vectors
    )
    np.testing.assert_array_equal(stated, plain)


def test_an_encoder_that_is_stated_to_be_causal_is_refused(tiny: Path) -> None:
    config = json.loads((tiny / "config.json").read_text())
    (tiny / "config.json").write_text(json.dumps(config | {"is_causal": True}))
    with pytest.raises(
        ModelError, match="is_causal is true, and the attention of bert looks both ways"
    ):
        TextEncoder.open(tiny, OpenOptions(runtime="torch"))


@pytest.mark.parametrize("runtime", ["native", "torch"])
def test_types_of_a_texts_tokens_that_are_not_run_are_refused(runtime: str, tiny: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:1 $A:0", special_tokens=[("[CLS]", 2)]
    )
    tokenizer.save(str(tiny / "tokenizer.json"))
    TextEncoder.open(tiny, OpenOptions(runtime=runtime))  # its class gives no types
    settings = json.loads((tiny / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (tiny / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(
        ModelError, match="gives the tokens of a text the types 0, 1, and only 0 is run"
    ):
        TextEncoder.open(tiny, OpenOptions(runtime=runtime))


def test_a_model_that_is_written_over_after_it_was_opened_is_not_taken_for_the_new_one(
    tiny: Path,
) -> None:
    encoder = TextEncoder.open(tiny)
    weights = tiny / "model.safetensors"
    about, held = weights.stat(), bytearray(weights.read_bytes())
    held[-1] ^= 1
    weights.write_bytes(held)
    os.utime(weights, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert encoder.identity is None
    assert TextEncoder.open(tiny).identity is not None


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_vectors_depend_neither_on_batches_nor_on_order(tiny: Path) -> None:
    texts = nasty_texts(80)
    encoder = TextEncoder.open(tiny)
    whole = encoder.encode(texts, "document").vectors
    order = np.random.default_rng(0).permutation(len(texts))
    np.testing.assert_allclose(
        encoder.encode([texts[at] for at in order], "document").vectors, whole[order], atol=2e-6
    )
    for budget in (1, 100, 100_000):
        np.testing.assert_allclose(
            TextEncoder.open(tiny, batch_tokens=budget).encode(texts, "document").vectors,
            whole,
            atol=2e-6,
        )
    alone = np.concatenate([encoder.encode([text], "document").vectors for text in texts])
    np.testing.assert_allclose(alone, whole, atol=2e-6)


class Streamed(TorchRuntime):
    """torch as a runtime that wants three threads, and that may fail on a text's token."""

    streams = 3
    refused = -1

    def run(self, batch: Packed) -> Embeddings:
        if self.refused in batch.ids:
            raise InputError(f"token {self.refused} is refused")
        return super().run(batch)


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_threads_and_chunks_change_nothing(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, model = nasty_texts(50), TextModel.open(tiny)
    whole = TextEncoder(model.folder, TorchRuntime(model)).encode(texts, "document")
    monkeypatch.setattr("nearfield.encoders.collect.CHUNK", 16)
    encoder, told = TextEncoder(model.folder, Streamed(model), batch_tokens=50), list[int]()
    parted = encoder.encode(texts, "document", progress=lambda done, *_: told.append(done))
    np.testing.assert_allclose(parted.vectors, whole.vectors, atol=2e-6)
    assert (parted.usage.tokens, parted.usage.truncated) == (
        whole.usage.tokens,
        whole.usage.truncated,
    )
    assert told == sorted(told)
    assert told[-1] == len(texts)
    encoder.runtime.refused = int(encoder.tokenise(["cat"], "document").ids[1])
    with pytest.raises(InputError, match="is refused"):
        encoder.encode(["dog " * 20] * 20 + ["cat"], "document")


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_bfloat16_keeps_the_directions(minilm: Path) -> None:
    texts = [text for text in nasty_texts(60) if text.strip()]
    exact, fast = (
        TextEncoder.open(minilm, OpenOptions(precision=precision)).encode(texts, "document").vectors
        for precision in ("float32", "bfloat16")
    )
    assert (exact * fast).sum(1).min() > 0.999
    assert np.abs(np.linalg.norm(fast, axis=1) - 1).max() < 1e-5


def test_truncation_is_counted_and_told(tiny: Path) -> None:
    encoder = TextEncoder.open(tiny)
    with pytest.warns(TruncationWarning, match="1 of 3 texts were longer and lost 38 tokens"):
        vectors = encoder.encode(["the cat", "cat " * 100, "dog"], "document")
    usage = vectors.usage
    assert (usage.items, usage.truncated, usage.tokens_lost, usage.tokens) == (3, 1, 38, 4 + 64 + 3)


def test_prompt_tokens_are_counted(tmp_path: Path) -> None:
    folder = tiny_model(
        tmp_path / "m", config_sentence_transformers={"prompts": {"query": "query: "}}
    )
    # query :
    assert TextEncoder.open(folder).encode(["cat", "dog"], "query").usage.prompt_tokens == 2 * 2


def test_no_items_give_no_vectors(tiny: Path) -> None:
    assert TextEncoder.open(tiny).encode([], "query").vectors.shape == (0, 32)


def test_an_unknown_role_is_refused_with_the_known_ones(tiny: Path) -> None:
    with pytest.raises(
        ContractError,
        match=r"no role 'qery'; it has document, query. Did you "
        r"mean 'query'",
    ):
        TextEncoder.open(tiny).encode(["x"], "qery")


def test_an_unknown_precision_is_refused(tiny: Path) -> None:
    with pytest.raises(ContractError, match="no precision 'float16'"):
        TextEncoder.open(tiny, OpenOptions(precision="float16"))


def test_a_missing_folder_and_an_unknown_name() -> None:
    with pytest.raises(ModelError, match="no/such: there is no such folder"):
        load("no/such")
    with pytest.raises(
        ModelError,
        match=r"minilmm: is neither a folder nor a model of the "
        r"catalog.*Did you mean 'minilm'",
    ):
        load("minilmm")


def test_an_unknown_architecture(tiny: Path) -> None:
    config = json.loads((tiny / "config.json").read_text())
    (tiny / "config.json").write_text(
        json.dumps(config | {"model_type": "transformerest", "architectures": ["Best"]})
    )
    with pytest.raises(
        ModelError,
        match=r"architecture is not one that transformers "
        r"knows.*transformerest",
    ):
        TextEncoder.open(tiny)


def damage(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_nan_weight_is_named(tiny: Path) -> None:
    damage(tiny, lambda weights: weights["encoder.layer.1.output.dense.bias"].fill_(float("nan")))
    with pytest.raises(
        ModelError,
        match=r"weight encoder\.layer\.1\.output\.dense\.bias holds "
        r"NaN",
    ):
        TextEncoder.open(tiny)


def test_a_missing_weight_is_never_random(tiny: Path) -> None:
    damage(tiny, lambda weights: weights.pop("encoder.layer.0.attention.self.query.weight"))
    with pytest.raises(
        ModelError, match=r"missing.*encoder\.layer\.0\.attention\.self\.query\.weight"
    ):
        TextEncoder.open(tiny)


def test_a_missing_pooler_is_none_that_is_read(tiny: Path) -> None:
    texts = ["the cat", "tax law"]
    whole = TextEncoder.open(tiny).encode(texts, "document").vectors
    damage(
        tiny,
        lambda weights: [
            weights.pop(name) for name in ("pooler.dense.weight", "pooler.dense.bias")
        ],
    )
    np.testing.assert_array_equal(TextEncoder.open(tiny).encode(texts, "document").vectors, whole)


def test_cut_off_weights(tiny: Path) -> None:
    data = (tiny / "model.safetensors").read_bytes()
    (tiny / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="cut off or damaged"):
        TextEncoder.open(tiny)


def test_no_weights(tiny: Path) -> None:
    (tiny / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"holds no weights; wanted model\.safetensors"):
        TextEncoder.open(tiny)


def test_a_broken_tokeniser(tiny: Path) -> None:
    (tiny / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="tokeniser could not be read"):
        TextEncoder.open(tiny)


def test_the_command_line_gives_exit_code_2(tiny: Path, cli: Callable[..., object]) -> None:
    (tiny / "config.json").unlink()
    result = cli("similarity", "a", "b", "--model", str(tiny))
    assert result.exit_code == 2
    assert "is not a model folder" in result.stderr


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("one text", r"wanted; write \['one text'\]"),
        ([1], "item 0 is 1"),
        (["a", None], "item 1 is None"),
    ],
)
def test_items_that_are_no_texts(items: list[str], message: str, tiny: Path) -> None:
    with pytest.raises(InputError, match=message):
        TextEncoder.open(tiny).encode(items, "document")
