from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from adapters import peft_adapter
from nasty import nasty_texts
from nearfield.encoders.load import load
from nearfield.errors import InputError, ModelError
from nearfield.models.model import TextModel
from nearfield.models.surgery import start
from nearfield.models.surgery.new_head import NEW_HEADS, HeadOptions, new_head
from nearfield.models.surgery.start import usable_terms
from nearfield.models.surgery.start_splade import ACTIVE
from sparse_models import KINDS, assert_same_as_sentence_transformers, tell_apart
from tiny import SPECIAL, WORDS, tiny_model


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_splade_head_gives_what_sentence_transformers_gives(
    tmp_path: Path, kind: str
) -> None:
    sizes = {
        "electra": {"embedding_size": 16},
        "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    }
    layers = {"n_layers": 1} if kind == "distilbert" else {"num_hidden_layers": 1}
    source = tiny_model(tmp_path / "dense", kind=kind, sizes=sizes.get(kind, {}) | layers)
    tell_apart(source)
    made = new_head(source, "splade", to=tmp_path / "sparse")
    assert (made.contract.kind, made.contract.name) == ("sparse", "dense-splade")
    assert_same_as_sentence_transformers(tmp_path / "sparse", nasty_texts(), runtime="torch")
    # it magnifies how the kernels' sums round
    assert_same_as_sentence_transformers(tmp_path / "sparse", nasty_texts(60), within=5e-5)


def test_on_a_real_backbone_too(
    tmp_path: Path, minilm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "TOKENS", 512)
    new_head(minilm, "splade", to=tmp_path / "sparse")
    assert_same_as_sentence_transformers(tmp_path / "sparse", nasty_texts(20))


def test_it_starts_with_each_token_active_for_few_terms_its_own_among_them(tmp_path: Path) -> None:
    # states that are the word embeddings, nearly
    source = tiny_model(tmp_path / "dense", sizes={"num_hidden_layers": 0})
    new_head(source, "splade", to=tmp_path / "sparse")
    encoder = load(tmp_path / "sparse")
    weights = encoder.encode(sorted(set(WORDS)), "document").matrix().toarray()
    own = [encoder.tokeniser.vocabulary[word] for word in sorted(set(WORDS))]
    assert (weights[np.arange(len(own)), own] > 0).mean() > 0.9
    # the special tokens around a word are active for some, too
    assert 1 <= (weights > 0).sum(1).mean() <= 3 * ACTIVE
    special = [encoder.tokeniser.vocabulary[token] for token in SPECIAL]
    assert not weights[:, special].any()


def test_the_backbone_and_the_prompts_are_the_dense_models(tmp_path: Path) -> None:
    stated = {
        "prompts": {"query": "query : ", "document": "passage : "},
        "similarity_fn_name": "cosine",
    }
    source = tiny_model(tmp_path / "dense", config_sentence_transformers=stated)
    made = new_head(source, "splade", to=tmp_path / "sparse", name="mine")
    assert made.contract.name == "mine"
    assert made.contract.prompts == {"query": "query : ", "document": "passage : "}
    before, after = (
        TextModel.open(folder).backbone.state_dict() for folder in (source, tmp_path / "sparse")
    )
    assert after.keys() <= before.keys()
    for name, weight in after.items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)


def test_a_head_that_the_checkpoint_holds_is_kept(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "dense")
    model = AutoModelForMaskedLM.from_pretrained(source)
    model.save_pretrained(source)
    new_head(source, "splade", to=tmp_path / "sparse")
    kept = AutoModelForMaskedLM.from_pretrained(tmp_path / "sparse")
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(kept.state_dict()[name], weight, rtol=0, atol=0)


def test_nothing_is_left_to_chance(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "dense")
    state = torch.get_rng_state()
    for name in ("one", "two"):
        new_head(source, "splade", to=tmp_path / name)
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == (
        tmp_path / "two" / "model.safetensors"
    ).read_bytes()
    assert torch.equal(state, torch.get_rng_state())


def test_special_tokens_and_those_kept_for_later_are_no_terms(tmp_path: Path) -> None:
    encoder = load(tiny_model(tmp_path / "dense"))
    usable = usable_terms(encoder.tokeniser, encoder.tokeniser.size + 2)
    assert not usable[:5].any()
    assert not usable[-2:].any()
    assert usable[5:-2].all()


def test_what_cannot_have_a_head_says_why(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "dense")
    with pytest.raises(InputError, match=r"no new head 'spladee'.*Did you mean 'splade'"):
        new_head(source, "spladee", to=tmp_path / "to")
    with pytest.raises(InputError, match="Did you mean 'late-interaction'"):
        new_head(source, "colbert", to=tmp_path / "to")
    with pytest.raises(InputError, match="has no dim; leave it out"):
        new_head(source, "splade", to=tmp_path / "to", options=HeadOptions(dim=8))
    new_head(source, "splade", to=tmp_path / "sparse")
    with pytest.raises(ModelError, match="this one is sparse"):
        new_head(tmp_path / "sparse", "splade", to=tmp_path / "to")
    told = tiny_model(tmp_path / "told")
    peft_adapter(told / "query", told)
    for head in NEW_HEADS:
        with pytest.raises(
            ModelError,
            match=r"roles have adapters \(query\), and a new head is "
            r"trained without them",
        ):
            new_head(told, head, to=tmp_path / "to")
    other = tiny_model(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"model_type": "albert"}))
    with pytest.raises(
        ModelError,
        match=re.escape("architecture albert has no masked-language-model head that is known"),
    ):
        new_head(other, "splade", to=tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_the_command_line_writes_one(tmp_path: Path, cli: Any) -> None:
    source = tiny_model(tmp_path / "dense")
    told = cli("models", "head", source, "splade", "--to", tmp_path / "sparse", "--json")
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout)["kind"] == "sparse"
    assert load(tmp_path / "sparse").contract.kind == "sparse"
