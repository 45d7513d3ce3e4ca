"""Models with fewer layers against the whole model with those layers taken out in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, ModernBertConfig

from adapters import peft_adapter
from nasty import nasty_texts
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.models.surgery.layers import drop_layers
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder
from tiny import tiny_model


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize(
    ("kind", "stack"),
    [("bert", "encoder.layer"), ("mpnet", "encoder.layer"), ("distilbert", "transformer.layer")],
)
def test_the_folder_is_the_model_without_the_other_layers(
    kind: str, stack: str, tmp_path: Path
) -> None:
    whole = tiny_model(
        tmp_path / "whole", kind=kind, normalise=False, sizes={"num_hidden_layers": 4}
    )
    made = drop_layers(whole, to=tmp_path / "made", keep=[0, 3])
    assert (made.name, made.after < made.before) == ("whole-2-layers", True)
    texts = nasty_texts(30)
    assert_same_as_sentence_transformers(made.folder, texts)
    model, read = AutoModel.from_pretrained(whole).eval(), AutoTokenizer.from_pretrained(whole)
    held = model.get_submodule(stack)
    model.get_submodule(stack.rpartition(".")[0]).layer = torch.nn.ModuleList([held[0], held[3]])
    with torch.no_grad():
        state = (
            model(**read("parse the json file", return_tensors="pt", return_token_type_ids=False))
            .last_hidden_state[0]
            .mean(0)
        )
    np.testing.assert_allclose(
        TextEncoder.open(made.folder).encode(["parse the json file"], "query").vectors[0],
        state.numpy(),
        atol=1e-5,
    )


def test_layers_of_several_kinds_keep_their_kind(tmp_path: Path) -> None:
    whole = tiny_model(tmp_path / "whole")
    config = ModernBertConfig(
        vocab_size=AutoModel.from_pretrained(whole).config.vocab_size,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=130,
        local_attention=4,
        pad_token_id=0,
    )
    AutoModel.from_config(config).save_pretrained(whole)
    made = drop_layers(whole, to=tmp_path / "made", keep=[0, 2, 3])
    kinds = [
        json.loads((folder / "config.json").read_text())["layer_types"]
        for folder in (whole, made.folder)
    ]
    assert kinds[1] == [kinds[0][layer] for layer in (0, 2, 3)]
    assert_same_as_sentence_transformers(
        made.folder, ["parse the json file and read all the text", "cat"]
    )
    with pytest.raises(ModelError, match="keep layer 0 in its place"):
        drop_layers(whole, to=tmp_path / "no", keep=[1, 2])


def test_impossible_layers_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    whole = tiny_model(tmp_path / "whole")
    for keep in ([], [2], [1, 0], [0, 0], [-1]):
        with pytest.raises(InputError, match="wanted some of 0 to 1, each once and in order"):
            drop_layers(whole, to=tmp_path / "made", keep=keep)
    with pytest.raises(ModelError, match="a static model"):
        drop_layers(model2vec_folder(tmp_path / "static"), to=tmp_path / "made", keep=[0])
    for role in ("query", "document"):
        peft_adapter(whole / role, tmp_path / "whole")
    with pytest.raises(
        ModelError,
        match=r"adapters \(document, query\), and they name layers by "
        r"their old places",
    ):
        drop_layers(whole, to=tmp_path / "made", keep=[1])
    assert not (tmp_path / "made").exists()
