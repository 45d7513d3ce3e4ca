"""Every key of a module's file is honoured or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from late_models import tiny_late
from nearfield.errors import NearfieldError
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.model import TextModel
from sparse_models import tiny_splade
from tiny import tiny_model

STATED: list[tuple[str, str, dict[str, Any]]] = [
    ("dense", "1_Pooling/config.json", {"pooling_mode_layers": 2}),
    ("dense", "1_Pooling/config.json", {"use_residual": True}),
    ("dense", "2_Normalize/config.json", {"module_input_name": "token_embeddings"}),
    ("dense", "2_Normalize/config.json", {"module_output_name": "other"}),
    ("dense", "2_Normalize/config.json", {"p": 1}),
    ("dense", "config_sentence_transformers.json", {"truncate_dim": 8}),
    ("sparse", "1_SpladePooling/config.json", {"temperature": 2.0}),
    ("late", "2_MultiVectorMask/config.json", {"keep_every": 2}),
    ("late", "1_Dense/config.json", {"module_output_name": "other"}),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    return {
        "dense": tiny_model(place / "dense"),
        "sparse": tiny_splade(place / "sparse"),
        "late": tiny_late(place / "late"),
    }


@pytest.mark.parametrize(("kind", "name", "stated"), STATED, ids=lambda part: json.dumps(part))
def test_what_is_not_honoured_is_refused_by_name(
    kind: str, name: str, stated: dict[str, Any], folders: dict[str, Path]
) -> None:
    file = folders[kind] / name
    file.parent.mkdir(exist_ok=True)
    before = file.read_bytes() if file.exists() else None
    file.write_text(json.dumps((json.loads(before) if before else {}) | stated))
    try:
        with pytest.raises(NearfieldError) as caught:
            TextModel.open(folders[kind])
    finally:
        file.unlink() if before is None else file.write_bytes(before)
    assert name in str(caught.value)
    assert next(iter(stated)) in str(caught.value) or next(iter(stated.values())) in str(
        caught.value
    )
    read_model_folder(folders[kind])  # without it, the folder is read
