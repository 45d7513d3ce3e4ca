"""Every text architecture that transformers has: a text's vector beside longer and shorter ones is
its vector alone.
"""

from __future__ import annotations

import inspect
import json
import re
import string
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from architectures import model_class, random_model, takes_ids, tiny_architecture
from nearfield.batch.packed import Packed
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError, TruncationWarning
from nearfield.models.model import TextModel
from nearfield.runtimes.options import OpenOptions
from nearfield.types.role import QUERY
from tiny import sentence_folder, tiny_model
from tokens import packed

TEXTS = [
    "the cat",
    "a dog and the sun and rain " * 3,
    "law tax",
    "the sun and rain " * 14,
    "game team red green blue",
    "a law of the rain " * 30,  # longer than any of these models has positions: cut
]
REFUSED = {
    "bros": "bbox",
    "dpr": "last_hidden_state",
    "funnel": "does not run on a text of 4 tokens",
    "higgs_audio_v2": "last_hidden_state",
    "lxmert": "visual_feats",
    "reformer": "the states have 64 dimensions",
    "vilt": "pixel_values",
}
"""Architectures that no text alone can be run through, or not as their config says, and what the
error names.
"""
REFUSED_ENCODER = "is an encoder-decoder, and transformers does not load its encoder alone"
NOT_TINY = {
    "bailing_hybrid": "sizes that depend on each other",
    "cohere_compass_text": "no layer types by default",
    "dots1": "no sizes by default",
    "esmc": "the vocabulary is that of proteins",
    "falcon_h1": "ten seconds",
    "gemma3n_text": "layers that share states by number",
    "gemma4_text": "a table of 134 million weights",
    "hunyuan_vl_text": "no rotary sections by default",
    "kimi_linear": "sizes that depend on each other",
    "layoutlmv2": "needs detectron2",
    "lilt": "sizes that depend on each other",
    "longcat_flash": "sizes that depend on each other",
    "mistral4": "sizes that depend on each other",
    "neomme": "sizes that depend on each other",
    "openai_privacy_filter": "ten seconds",
    "vits": "the vocabulary is that of sounds",
    "xlstm": "sizes that depend on each other",
    "zamba": "sizes that depend on each other",
    "zamba2": "sizes that depend on each other",
}
"""Architectures of which no tiny model is made here, and why."""


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize("initial", string.ascii_lowercase)
def test_a_vector_does_not_depend_on_its_neighbours(tmp_path: Path, initial: str) -> None:
    wrong: dict[str, float | str] = {}
    for kind in MODEL_MAPPING_NAMES:
        if (
            kind.startswith(initial)
            and kind not in NOT_TINY
            and not CONFIG_MAPPING[kind].sub_configs
            and takes_ids(kind)
        ):
            model = random_model(kind)
            sentence_folder(tmp_path / kind, model, hidden=32, max_tokens=400)
            found = _difference(tmp_path / kind, kind, model)
            fine = (
                found <= 1e-5
                if isinstance(found, float) and kind not in REFUSED
                else found in ("refused", REFUSED_ENCODER)
            )
            wrong |= {} if fine else {kind: found}
    assert not wrong


def _difference(folder: Path, kind: str, model: Any) -> float | str:
    """The greatest difference of a text's vector among others to the same alone, here and in
    transformers; or what was refused.
    """
    try:
        encoder = TextEncoder.open(folder)
        mixed = encoder.encode(TEXTS, QUERY).vectors
    except ModelError as error:
        return (
            REFUSED_ENCODER
            if REFUSED_ENCODER in str(error)
            else "refused"
            if REFUSED.get(kind, "?") in str(error)
            else str(error)
        )
    alone = np.concatenate([encoder.encode([text], QUERY).vectors for text in TEXTS])
    return float(max(abs(mixed - alone).max(), abs(mixed - _by_transformers(model, encoder)).max()))


def _by_transformers(model: Any, encoder: TextEncoder) -> np.ndarray:
    rows = []
    cache = (
        {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}
    )
    tokens = encoder.tokenise(TEXTS, QUERY)
    for item in range(len(TEXTS)):
        ids = torch.from_numpy(tokens.of(item)).long()[None]
        with torch.no_grad():
            states = model(
                input_ids=ids, attention_mask=torch.ones_like(ids), **cache
            ).last_hidden_state[0]
        rows.append(torch.nn.functional.normalize(states.mean(0), dim=0).numpy())
    return np.stack(rows)


def changed(
    folder: Path, facts: dict[str, object], weights: dict[str, torch.Tensor] | None = None
) -> Path:
    """The folder with `facts` in its config.json and further `weights` in its checkpoint."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | facts), encoding="utf-8")
    file = folder / "model.safetensors"
    save_file(load_file(file) | (weights or {}), file, metadata={"format": "pt"})
    return folder


DISTANCES = "encoder.layer.0.attention.self.distance_embedding.weight"


@pytest.mark.parametrize(
    ("facts", "extra", "named"),
    [
        ({"position_embedding_type": "relative_key"}, DISTANCES, DISTANCES),
        ({}, DISTANCES, DISTANCES),
        (
            {"position_embedding_type": "relative_key"},
            "",
            "position_embedding_type is 'relative_key'",
        ),
        ({"num_hidden_layers": 1}, "", "encoder.layer.1.attention"),
        ({"num_hidden_layers": 3}, "", "encoder.layer.2.attention"),
        ({"num_hidden_layers": 10**9}, "", "1,000,000,000 layers"),
        ({"vocab_size": 77}, "", "embeddings.word_embeddings.weight"),
        ({"max_position_embeddings": 77}, "", "embeddings.position_embeddings.weight"),
        ({"type_vocab_size": 5}, "", "embeddings.token_type_embeddings.weight"),
        ({"intermediate_size": 60}, "", "encoder.layer.0.intermediate.dense.weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, facts: dict[str, object], extra: str, named: str
) -> None:
    weights = {extra: torch.zeros(259, 8)} if extra else {}
    with pytest.raises(ModelError, match=re.escape(named)):
        TextEncoder.open(changed(tiny_model(tmp_path / "tiny"), facts, weights))


@pytest.mark.parametrize("kind", ["bert", "mpnet", "modernbert"])
def test_sizes_that_cannot_be_run_are_an_error_when_a_text_is(tmp_path: Path, kind: str) -> None:
    """transformers opens such a folder, and fails in the middle of a text."""
    folder = changed(tiny_model(tmp_path / "tiny", kind=kind), {"num_attention_heads": -1})
    with pytest.raises(ModelError, match=r"does not run on these texts|could not be read"):
        TextEncoder.open(folder, OpenOptions(runtime="torch")).encode(["the cat"], QUERY)


def test_a_head_that_is_not_run_is_no_obstacle(tmp_path: Path) -> None:
    folder = changed(
        tiny_model(tmp_path / "tiny"),
        {},
        {"cls.predictions.bias": torch.zeros(9), "embeddings.position_ids": torch.arange(9)},
    )
    for runtime in ("native", "torch"):
        assert TextEncoder.open(folder, OpenOptions(runtime=runtime)).encode(
            ["the cat"], QUERY
        ).vectors.shape == (1, 32)


@pytest.mark.parametrize("pooling", ["cls", "lasttoken"])
def test_a_model_without_layers_has_the_states_of_its_embeddings(
    tmp_path: Path, pooling: str
) -> None:
    folder = tiny_model(tmp_path / "tiny", pooling=pooling, sizes={"num_hidden_layers": 0})
    encoder = TextEncoder.open(folder)
    assert encoder.runtime.name == "torch"
    with torch.no_grad():
        ids = torch.from_numpy(encoder.tokenise(["the cat"], QUERY).ids).long()[None]
        state = (
            model_class("bert")
            .from_pretrained(folder)
            .eval()(ids)
            .last_hidden_state[0, 0 if pooling == "cls" else -1]
        )
    np.testing.assert_allclose(
        encoder.encode(["the cat"], QUERY).vectors[0], state / state.norm(), atol=1e-6
    )


@pytest.mark.parametrize("padding", [0, 1, 7])
@pytest.mark.parametrize(
    "kind",
    ["data2vec-text", "gpt2", "ibert", "luke", "roberta-prelayernorm", "xmod", "roberta", "mpnet"],
)
def test_texts_are_cut_at_the_places_that_positions_leave(
    tmp_path: Path, kind: str, padding: int
) -> None:
    folder = tiny_architecture(tmp_path / "tiny", kind, pad_token_id=padding)
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": 500}), encoding="utf-8"
    )
    encoder = TextEncoder.open(folder)
    places = 130 if kind == "gpt2" else 128 if kind == "mpnet" else 130 - padding - 1
    assert encoder.contract.max_tokens == places
    with pytest.warns(TruncationWarning, match=f"reads {places} tokens: 1 of 1 texts"):
        encoder.encode(["the " * 300], QUERY)


def test_training_sees_a_text_alone_too(tmp_path: Path) -> None:
    """The gradient cache goes through the same states: those of a padding batch would mix
    in FNet.
    """
    model = TextModel.open(tiny_architecture(tmp_path / "tiny", "fnet"))
    batch = packed([9, 4, 4, 2])
    states = model.states(batch)
    for start, end in pairwise(batch.offsets.tolist()):
        alone = Packed(batch.ids[start:end], np.array([0, end - start]), np.array([0]))
        torch.testing.assert_close(states[start:end], model.states(alone), atol=1e-5, rtol=0)
