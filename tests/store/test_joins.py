"""Every place of a model folder where a file names another: a name that leads outside is refused,
and nothing there is opened.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters import peft_adapter
from fuzz.models import _sharded
from fuzz.worker import Canary
from nearfield.encoders.load import load
from nearfield.encoders.reranker import Reranker
from nearfield.errors import NearfieldError
from nearfield.formats.router import CONFIG, looked_up
from nearfield.models.surgery.layers import drop_layers
from nearfield.similarity.dense import Dense
from nearfield.similarity.fused import Fused
from nearfield.similarity.open import open_embeddings
from tiny import tiny_model
from tiny_cross import tiny_cross


def changed(file: Path, change: Callable[[Any], Any]) -> None:
    value = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(change(value) or value), encoding="utf-8")


def named_by_modules(model: Path, name: str) -> None:
    changed(model / "modules.json", lambda rows: rows[1].update(path=name))


def named_by_the_index(model: Path, name: str) -> None:
    shutil.rmtree(model)
    _sharded(model)
    changed(
        model / "model.safetensors.index.json",
        lambda index: index["weight_map"].update(
            dict.fromkeys(index["weight_map"], f"{name}/model.safetensors")
        ),
    )


def named_by_an_adapter(model: Path, name: str) -> None:
    peft_adapter(model.parent / "adapter", model)
    shutil.rmtree(model)
    shutil.move(model.parent / "adapter", model)
    changed(model / "adapter_config.json", lambda facts: facts.update(base_model_name_or_path=name))


def named_for_a_role(model: Path, name: str) -> None:
    (model / "nearfield.json").write_text(json.dumps({"adapters": {"query": name}}))


def a_link_to_a_folder(model: Path, name: str) -> None:
    shutil.rmtree(model / "1_Pooling")
    (model / "1_Pooling").symlink_to((model / name).resolve())


NAMES = ("../outside", "1_Pooling/../../outside", "absolute")
JOINS = (named_by_modules, named_by_the_index, named_for_a_role)
CASES = [(join, name) for join in JOINS for name in NAMES]
# which may name its base by a whole path
CASES += [(named_by_an_adapter, name) for name in NAMES[:2]]
CASES += [(a_link_to_a_folder, "../outside")]


@pytest.mark.parametrize(("join", "name"), CASES)
def test_no_name_in_a_model_folder_leads_out_of_it(
    join: Callable[[Path, str], None], name: str, tmp_path: Path
) -> None:
    outside = tiny_model(tmp_path / "whole", adapter_config={"peft_type": "LORA"})
    files = {
        str(file.relative_to(outside)): file.read_bytes()
        for file in outside.rglob("*")
        if file.is_file()
    }
    files |= {"config.json": files["1_Pooling/config.json"]} if join is named_by_modules else {}
    model = tiny_model(tmp_path / "model")
    with Canary(tmp_path / "outside", files) as canary:
        join(model, str(canary.path) if name == "absolute" else name)
        for use in (
            lambda: load(model),
            lambda: drop_layers(model, to=tmp_path / "made" / "new", keep=[0]),
        ):
            canary.touched()
            with pytest.raises(NearfieldError):
                use()
            assert canary.touched() == ""
    assert not (tmp_path / "made" / "new").exists()


def test_a_part_of_vectors_stays_inside(tmp_path: Path) -> None:
    dense = Dense(np.eye(3, dtype=np.float32), 3)
    Fused({"one": dense, "two": dense}).save(tmp_path / "vectors")
    (part,) = {file.parent for file in (tmp_path / "vectors" / "two").rglob("vectors.json")}
    files = {file.name: file.read_bytes() for file in part.iterdir()}
    shutil.rmtree(part)
    with Canary(tmp_path / "outside", files) as canary:
        part.symlink_to(canary.path)
        with pytest.raises(NearfieldError, match="leads out of"):
            open_embeddings(tmp_path / "vectors")
        assert canary.touched() == ""


def test_the_modules_of_a_cross_encoder_and_of_a_router_stay_inside(tmp_path: Path) -> None:
    cross = tiny_cross(tmp_path / "cross")
    transformer = "sentence_transformers.models.Transformer"
    (cross / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "../outside", "type": transformer}])
    )
    router = tmp_path / "router"
    router.mkdir()
    kind = "sentence_transformers.models.Router"
    (router / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": kind}])
    )
    types = {"../outside": "sentence_transformers.models.SparseStaticEmbedding"}
    (router / CONFIG).write_text(
        json.dumps(
            {"types": types, "structure": {"query": ["../outside"], "document": ["../outside"]}}
        )
    )
    with Canary(tmp_path / "outside") as canary:
        for use in (lambda: Reranker.open(cross), lambda: looked_up(router)):
            with pytest.raises(NearfieldError, match="leads out of"):
                use()
            assert canary.touched() == ""
