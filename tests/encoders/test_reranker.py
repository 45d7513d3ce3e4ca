from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.cross_encoder import CrossEncoder
from tokenizers import processors
from transformers import AutoTokenizer

from nasty import nasty_texts
from nearfield.encoders.reranker import Reranker
from nearfield.errors import ContractError, InputError, ModelError, TruncationWarning
from nearfield.formats.reranker_folder import is_reranker, read_reranker_folder
from nearfield.kernels.library import runnable
from nearfield.models.backbones.classifiers import CLASSIFIERS, PADDED
from nearfield.models.model import TextModel
from nearfield.models.pair_model import PairModel
from nearfield.models.saving.save_reranker import new_reranker, save_reranker
from nearfield.runtimes.native import NativeRuntime
from nearfield.runtimes.native_pairs import LAYERS
from nearfield.runtimes.options import OpenOptions
from nearfield.runtimes.torch_runtime import TorchRuntime
from tiny import tiny_model
from tiny_cross import TEMPLATE, pair_tokenizer, tiny_cross, tiny_decoder

QUERIES, DOCUMENTS = nasty_texts(200, seed=1), nasty_texts(200, seed=2)[::-1]
MAIN = ("bert", "mistral", "modernbert", "mpnet", "nomic_bert", "qwen2", "qwen3", "xlm-roberta")


def assert_same_as_sentence_transformers(
    folder: Path, count: int = 40, *, skip_empty: bool = False
) -> Reranker:
    """Scores and logits of pairs of nasty texts are CrossEncoder's, on torch and, where it runs the
    model, on the native runtime.
    """
    pairs = list(zip(QUERIES[:count], DOCUMENTS[:count], strict=True))
    if skip_empty:
        pairs = [pair for pair in pairs if "".join(pair).strip()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer, ours = (
            CrossEncoder(str(folder), device="cpu"),
            Reranker.open(folder, OpenOptions(runtime="torch")),
        )
        scores, logits = peer.predict(pairs), peer.predict(pairs, activation_fn=torch.nn.Identity())
        asked, read = zip(*pairs, strict=True)
        at = np.arange(len(pairs))
        native = Reranker.open(folder)
        assert (native.runtime.name == "native") == (NativeRuntime.why_not(native.folder) is None)
        np.testing.assert_allclose(
            native.score_at(asked, read, (at, at)), logits, atol=1e-5, rtol=1e-5
        )
        np.testing.assert_allclose(ours.score_pairs(asked, read), scores, atol=1e-5, rtol=0)
        np.testing.assert_allclose(
            ours.score_at(asked, read, (at, at)), logits, atol=1e-5, rtol=1e-5
        )
    assert logits.std() > 1e-3
    return ours


def quietly(ours: Reranker, *arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        return ours.score_pairs(*arguments)


def torch_model(ours: Reranker) -> PairModel:
    assert isinstance(ours.runtime, TorchRuntime)
    assert isinstance(ours.runtime.model, PairModel)
    return ours.runtime.model


def stated(folder: Path, file: str, **facts: Any) -> Path:
    held = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps(held | facts), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", MAIN)
def test_scores_are_those_of_sentence_transformers_on_two_hundred_pairs(
    tmp_path: Path, kind: str
) -> None:
    assert_same_as_sentence_transformers(tiny_cross(tmp_path / "model", kind), 200)


@pytest.mark.parametrize("kind", sorted({*CLASSIFIERS, *PADDED} - set(MAIN)))
def test_so_are_those_of_every_other_architecture(tmp_path: Path, kind: str) -> None:
    assert_same_as_sentence_transformers(tiny_cross(tmp_path / "model", kind))


def test_modernbert_may_pool_the_mean(tmp_path: Path) -> None:
    assert_same_as_sentence_transformers(
        tiny_cross(tmp_path / "model", "modernbert", classifier_pooling="mean")
    )


@pytest.mark.parametrize(
    "function", ["torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid"]
)
def test_a_folder_that_sentence_transformers_saved_opens_with_its_prompt_and_activation(
    tmp_path: Path, function: str
) -> None:
    tiny_cross(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        activation = torch.nn.Identity() if "Identity" in function else torch.nn.Sigmoid()
        peer = CrossEncoder(
            str(tmp_path / "model"),
            prompts={"ask": "query : "},
            default_prompt_name="ask",
            activation_fn=activation,
        )
        peer.save_pretrained(str(tmp_path / "saved"))
    ours = assert_same_as_sentence_transformers(tmp_path / "saved")
    assert (ours.folder.prompt, ours.folder.activation) == (
        "query : ",
        function.rsplit(".", 1)[1].lower(),
    )
    assert [is_reranker(tmp_path / name) for name in ("saved", "model")] == [True, True]


def test_an_older_folder_states_its_activation_in_config_json(tmp_path: Path) -> None:
    legacy = stated(
        tiny_cross(tmp_path / "a"),
        "config.json",
        sbert_ce_default_activation_function="torch.nn.modules.linear.Identity",
    )
    newer = stated(
        tiny_cross(tmp_path / "b"),
        "config.json",
        sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity"},
    )
    for folder in (legacy, newer):
        assert assert_same_as_sentence_transformers(folder).folder.activation == "identity"


def test_what_is_said_of_a_model_of_another_kind_is_not_read(tmp_path: Path) -> None:
    identity = "torch.nn.modules.linear.Identity"
    facts = {
        "activation_fn": identity,
        "prompts": {"query": "query : "},
        "default_prompt_name": "query",
    }
    folder = stated(tiny_cross(tmp_path / "model"), "config_sentence_transformers.json", **facts)
    assert_same_as_sentence_transformers(folder)


def paired(folder: Path, pair: str) -> Path:
    tokenizer = pair_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize(
    "pair", ["[CLS]:1 $A:1 [SEP]:1 $B:0 [SEP]:0", "[CLS] $A [SEP] [SEP] $B:1 [SEP]:1"]
)
@pytest.mark.parametrize("name", ["BertTokenizer", "PreTrainedTokenizerFast"])
def test_two_texts_are_put_together_as_the_tokenisers_class_does(
    tmp_path: Path, name: str, pair: str
) -> None:
    folder = paired(tiny_cross(tmp_path / "model"), pair)
    assert_same_as_sentence_transformers(
        stated(folder, "tokenizer_config.json", tokenizer_class=name)
    )


@pytest.mark.parametrize("runtime", ["native", "torch"])
def test_more_types_than_two_are_refused(tmp_path: Path, runtime: str) -> None:
    folder = paired(tiny_cross(tmp_path / "model"), "[CLS] $A [SEP] $B:2 [SEP]:2")
    with pytest.raises(ModelError, match="types 0, 2; wanted 0 and 1"):
        Reranker.open(folder, OpenOptions(runtime=runtime))


def test_a_tokeniser_may_cut_from_the_left(tmp_path: Path) -> None:
    folder = stated(
        tiny_cross(tmp_path / "model", max_tokens=24),
        "tokenizer_config.json",
        truncation_side="left",
    )
    assert_same_as_sentence_transformers(folder)


def test_a_changed_model_is_written_so_that_sentence_transformers_gives_the_same(
    tmp_path: Path,
) -> None:
    model = PairModel(read_reranker_folder(tiny_cross(tmp_path / "model")))
    with torch.no_grad():
        for weight in model.parameters().values():
            weight.mul_(1.1)
    save_reranker(model, tmp_path / "saved", name="changed")
    ours = assert_same_as_sentence_transformers(tmp_path / "saved")
    assert (ours.name, ours.folder.max_tokens, is_reranker(tmp_path / "saved")) == (
        "changed",
        64,
        True,
    )
    before = quietly(Reranker.open(tmp_path / "model"), QUERIES[:40], DOCUMENTS[:40])
    assert np.abs(quietly(ours, QUERIES[:40], DOCUMENTS[:40]) - before).max() > 1e-3


def test_a_new_cross_encoder_on_an_encoders_backbone_opens_in_sentence_transformers(
    tmp_path: Path,
) -> None:
    folder = tiny_model(tmp_path / "encoder")
    pair_tokenizer().save(str(folder / "tokenizer.json"))
    for name in ("new", "again"):
        new_reranker(folder, tmp_path / name, name="new one", max_tokens=48)
    ours = assert_same_as_sentence_transformers(tmp_path / "new")
    assert (ours.name, ours.folder.max_tokens, ours.folder.activation) == (
        "new one",
        48,
        "identity",
    )
    backbone, taken = TextModel.open(folder).backbone, torch_model(ours).backbone
    for name, weight in backbone.named_parameters():
        if not name.startswith("pooler."):
            torch.testing.assert_close(taken.get_parameter(name), weight, atol=0, rtol=0)
    again = Reranker.open(tmp_path / "again", OpenOptions("torch"))
    np.testing.assert_array_equal(
        quietly(again, QUERIES[:9], DOCUMENTS[:9]), quietly(ours, QUERIES[:9], DOCUMENTS[:9])
    )


def test_a_score_depends_on_its_pair_alone(tmp_path: Path) -> None:
    ours = Reranker.open(tiny_cross(tmp_path / "model"))
    whole = quietly(ours, QUERIES, DOCUMENTS)
    order = np.random.default_rng(0).permutation(len(QUERIES))
    shuffled = quietly(ours, [QUERIES[at] for at in order], [DOCUMENTS[at] for at in order])
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-6)
    ours.batch_tokens = 1
    np.testing.assert_allclose(quietly(ours, QUERIES[:50], DOCUMENTS[:50]), whole[:50], atol=1e-6)


def test_one_query_against_many_documents_and_pairs_by_position(tmp_path: Path) -> None:
    ours = Reranker.open(tiny_cross(tmp_path / "model"))
    texts = ["red green", "blue music", "tax law court"]
    scores = ours.score("what green team", texts)
    np.testing.assert_allclose(scores, ours.score_pairs(["what green team"] * 3, texts), atol=1e-6)
    at = (np.array([0, 0]), np.array([2, 0]))
    np.testing.assert_allclose(
        ours.score_pairs(["what green team"], texts, pairs=at), scores[[2, 0]], atol=1e-6
    )
    assert ours.score("nothing", []).shape == (0,)


def test_pairs_that_were_cut_are_told(tmp_path: Path) -> None:
    ours = Reranker.open(tiny_cross(tmp_path / "model", max_tokens=10))
    with pytest.warns(
        TruncationWarning,
        match=r"reads 10 tokens: 1 of 2 pairs were longer "
        r"and lost 5 tokens",
    ):
        ours.score("cat dog", ["sun rain", "cat " * 10])


def test_what_is_no_cross_encoder_is_refused(tmp_path: Path) -> None:
    tanh = stated(
        tiny_cross(tmp_path / "tanh"),
        "config.json",
        sbert_ce_default_activation_function="torch.nn.Tanh",
    )
    cases = {
        "no such folder": tmp_path / "nowhere",
        "is not a cross-encoder: its modules are Transformer, Pooling": tiny_model(
            tmp_path / "encoder"
        ),
        "gives 3 labels": tiny_cross(tmp_path / "labels", labels=3),
        r"scores go through torch\.nn\.Tanh": tanh,
        "architecture roformer is not known": tiny_cross(tmp_path / "other", "roformer"),
        "a pair has 3 special ones alone": tiny_cross(tmp_path / "short", max_tokens=3),
    }
    for message, folder in cases.items():
        with pytest.raises(ModelError, match=message):
            Reranker.open(folder)
    (tmp_path / "other" / "tokenizer_config.json").write_text("{}")
    stated(tmp_path / "other", "config.json", max_position_embeddings=None)
    with pytest.raises(ContractError, match="how many tokens"):
        read_reranker_folder(tmp_path / "other")
    with pytest.raises(ModelError, match="makes no cross-encoder"):
        new_reranker(
            stated(tiny_model(tmp_path / "odd"), "config.json", model_type="roformer"),
            tmp_path / "new",
            name="new",
        )


def test_what_is_no_pair_of_texts_is_refused(tmp_path: Path) -> None:
    ours = Reranker.open(tiny_cross(tmp_path / "model"))
    with pytest.raises(InputError, match="got 2 queries and 1 documents"):
        ours.score_pairs(["a", "b"], ["c"])
    with pytest.raises(InputError, match="got one text"):
        ours.score("a", "one text")
    with pytest.raises(InputError, match="an item is None"):
        ours.score("a", [None])  # type: ignore[list-item]
    with pytest.raises(InputError, match="the device 'cuda:7' cannot be used"):
        Reranker.open(tmp_path / "model", OpenOptions(device="cuda:7"))


def test_the_tokens_are_those_of_transformers(tmp_path: Path) -> None:
    folder = tiny_cross(tmp_path / "model", max_tokens=31)
    ours, peer = Reranker.open(folder), AutoTokenizer.from_pretrained(folder)
    at = np.arange(len(QUERIES))
    tokens = ours.tokenise(QUERIES, DOCUMENTS, (at, at))
    theirs = peer(QUERIES, DOCUMENTS, truncation="longest_first", max_length=31)
    types = tokens.column("types")
    assert types is not None
    for row in at.tolist():
        span = slice(tokens.offsets[row], tokens.offsets[row + 1])
        assert tokens.ids[span].tolist() == theirs["input_ids"][row]
        assert types[span].tolist() == theirs["token_type_ids"][row]


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_at_less_precision_the_order_is_nearly_the_same(tmp_path: Path, precision: str) -> None:
    folder = tiny_cross(tmp_path / "model")
    exact, rough = (
        quietly(Reranker.open(folder, OpenOptions(precision=name)), QUERIES, DOCUMENTS)
        for name in ("float32", precision)
    )
    assert np.corrcoef(exact, rough)[0, 1] > 0.99
    assert np.abs(exact - rough).max() > 1e-6


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_a_decoder_ranks_by_the_logits_of_yes_and_no(tmp_path: Path, kind: str) -> None:
    assert_same_as_sentence_transformers(tiny_decoder(tmp_path / "model", kind), skip_empty=True)


@pytest.mark.parametrize("parts", [False, True])
def test_a_decoders_pairs_go_into_its_chat_template(tmp_path: Path, parts: bool) -> None:
    template = TEMPLATE.replace("message['content']", "message['content'][0]['text']") + (
        "{# 'type' #}" if parts else ""
    )
    ours = assert_same_as_sentence_transformers(
        tiny_decoder(tmp_path / "model", template=template if parts else TEMPLATE, max_tokens=40)
    )
    assert ours.chat is not None


def test_a_decoder_that_sentence_transformers_saved_opens_with_its_tokens_and_prompt(
    tmp_path: Path,
) -> None:
    tiny_decoder(tmp_path / "model", template=TEMPLATE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = CrossEncoder(
            str(tmp_path / "model"), prompts={"task": "find the law"}, default_prompt_name="task"
        )
        peer[1].true_token_id, peer[1].false_token_id = 40, None
        peer.save_pretrained(str(tmp_path / "saved"))
    ours = assert_same_as_sentence_transformers(tmp_path / "saved")
    assert (ours.folder.tokens, ours.folder.prompt) == ((40, None), "find the law")
    save_reranker(torch_model(ours), tmp_path / "again", name="again")
    assert_same_as_sentence_transformers(tmp_path / "again")


def test_a_decoder_that_cannot_rank_is_refused(tmp_path: Path) -> None:
    deaf = tiny_decoder(
        tmp_path / "deaf", template="{% for message in messages %}hello {% endfor %}"
    )
    with pytest.raises(ModelError, match="leaves out the role query or document"):
        Reranker.open(deaf)
    wordless = tiny_decoder(tmp_path / "wordless")
    tokenizer = json.loads((wordless / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [
        token for token in tokenizer["added_tokens"] if token["content"] not in ("yes", "no")
    ]
    (wordless / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelError, match="no tokens 'yes' and 'no'"):
        Reranker.open(wordless)


@pytest.mark.parametrize("name", ["minilm-l3", "mpnet"])
def test_real_backbones_and_their_tokenisers_give_the_scores_of_sentence_transformers(
    tmp_path: Path, local_model: Callable[[str], Path], name: str
) -> None:
    new_reranker(local_model(name), tmp_path / "new", name="new", max_tokens=96)
    assert_same_as_sentence_transformers(tmp_path / "new", 12)


def test_the_kernels_run_what_they_say_and_tell_a_pairs_texts_apart(tmp_path: Path) -> None:
    if not runnable():
        pytest.skip("the kernels are not compiled here")
    for kind in LAYERS:
        assert (
            NativeRuntime.why_not(read_reranker_folder(tiny_cross(tmp_path / kind, kind))) is None
        ), kind
    ours, torch_ = (
        Reranker.open(tmp_path / "bert", OpenOptions(runtime=name)) for name in ("native", "torch")
    )
    assert ours.runtime.typed
    swapped = [
        quietly(ours, DOCUMENTS[:20], QUERIES[:20]),
        quietly(torch_, DOCUMENTS[:20], QUERIES[:20]),
    ]
    np.testing.assert_allclose(*swapped, atol=1e-5)
    assert np.abs(swapped[0] - quietly(ours, QUERIES[:20], DOCUMENTS[:20])).max() > 1e-3
    unsaid = json.loads((tmp_path / "bert" / "tokenizer_config.json").read_text())
    del unsaid["model_input_names"]
    (tmp_path / "bert" / "tokenizer_config.json").write_text(json.dumps(unsaid))
    again = Reranker.open(tmp_path / "bert", OpenOptions(runtime="native"))
    assert (
        again.runtime.typed == Reranker.open(tmp_path / "bert", OpenOptions("torch")).runtime.typed
    )
    with pytest.raises(
        ModelError, match="does not run a cross-encoder of the architecture modernbert"
    ):
        Reranker.open(tiny_cross(tmp_path / "modern", "modernbert"), OpenOptions(runtime="native"))
    with pytest.raises(ModelError, match="onnx: does not run cross-encoders"):
        Reranker.open(tmp_path / "roberta", OpenOptions(runtime="onnx"))
    with pytest.raises(ModelError, match="native: runs on the processor, not on cuda"):
        Reranker.open(tmp_path / "roberta", OpenOptions(runtime="native", device="cuda"))
