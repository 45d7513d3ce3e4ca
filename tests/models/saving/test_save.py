"""A saved encoder, opened by sentence-transformers and by us."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.runtimes.options import OpenOptions
from nearfield.runtimes.torch_runtime import TorchRuntime
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder
from tiny import tiny_model

TEXTS = [
    "cat dog",
    "",
    "tax law court is not a thing",
    "how to sort list " + "read file " * 60,
    "Éa [SEP] cat",
]
PROMPTS = {"query": "query : ", "document": "passage : "}


def saved(folder: Path, to: Path) -> TextEncoder:
    """The encoder in `folder` with other weights, written to `to`."""
    model = TextModel.open(folder)
    with torch.no_grad():
        for weight in model.parameters().values():
            weight.mul_(1.01)
    save_encoder(model, to, name="mine")
    return TextEncoder(model.folder, TorchRuntime(model))


def state(folder: Path, **contract: Any) -> None:
    (folder / "nearfield.json").write_text(json.dumps({"contract": contract}))


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_it_opens_again_with_the_same_vectors_and_contract(tmp_path: Path) -> None:
    encoder = saved(
        tiny_model(tmp_path / "model", config_sentence_transformers={"prompts": PROMPTS}),
        tmp_path / "saved",
    )
    # what the model was trained with: equal bit for bit
    again = TextEncoder.open(tmp_path / "saved", OpenOptions(runtime="torch"))
    np.testing.assert_array_equal(
        again.encode(TEXTS, "query").vectors, encoder.encode(TEXTS, "query").vectors
    )
    assert again.contract.name == "mine"
    assert again.contract.prompts == encoder.contract.prompts
    assert_same_as_sentence_transformers(tmp_path / "saved", TEXTS, encoder=encoder)


@pytest.mark.parametrize("pooling", ["cls", "last", "max", "mean", "weighted"])
@pytest.mark.parametrize("normalise", [True, False])
def test_a_plain_transformer_becomes_a_sentence_transformers_folder(
    pooling: str, normalise: bool, tmp_path: Path
) -> None:
    folder = tiny_model(tmp_path / "plain")
    for name in ("modules.json", "sentence_bert_config.json"):
        (folder / name).unlink()
    shutil.rmtree(folder / "1_Pooling")
    state(
        folder,
        pooling=pooling,
        normalise=normalise,
        include_prompt=False,
        prompts=PROMPTS,
        similarity="dot",
        max_tokens=16,
    )
    encoder = saved(folder, tmp_path / "saved")
    assert_same_as_sentence_transformers(tmp_path / "saved", TEXTS, encoder=encoder)
    assert_same_as_sentence_transformers(tmp_path / "saved", TEXTS)


def test_what_only_nearfield_json_stated_is_stated_to_sentence_transformers_too(
    tmp_path: Path,
) -> None:
    own = {"prompts": {"document": "passage : ", "other": "red "}, "default_prompt_name": "other"}
    folder = tiny_model(tmp_path / "model", config_sentence_transformers=own)
    state(folder, prompts={"query": "query : "}, max_tokens=12, similarity="euclidean")
    encoder = saved(folder, tmp_path / "saved")
    assert encoder.contract.prompts == PROMPTS | {"other": "red "}
    assert_same_as_sentence_transformers(tmp_path / "saved", TEXTS, encoder=encoder)
    peer = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert (peer.max_seq_length, peer.similarity_fn_name, peer.default_prompt_name) == (
        12,
        "euclidean",
        "other",
    )


def test_folders_that_are_no_modules_stay_behind(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text("{}")
    saved(folder, folder / "run" / "model")
    assert sorted(path.name for path in (folder / "run" / "model").iterdir() if path.is_dir()) == [
        "1_Pooling",
        "2_Normalize",
    ]


def test_a_file_of_empty_space_is_not_copied(tmp_path: Path) -> None:
    """Of four terabytes by its length, of which nothing lies on the disk."""
    folder = tmp_path / "model"
    model2vec_folder(folder, shared=True)
    model = TextModel.open(folder)
    with open(folder / "tokenizer.json", "ab") as file:
        file.truncate(1 << 42)
    with pytest.raises(InputError, match="such a file is empty space"):
        save_encoder(model, tmp_path / "saved", name="saved")
    assert not (tmp_path / "saved").exists()
