"""Adapters of folders: beside the weights and merged into them, one for all and one a role."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from adapters import peft_adapter
from nearfield.batch.packed import packed_batches
from nearfield.batch.tokens import Tokens
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, InputError, ModelError
from nearfield.models.find import model_path
from nearfield.models.lora.merge import merge_adapter
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.runtimes.options import OpenOptions
from peer import assert_same_as_sentence_transformers
from tiny import tiny_model

TEXTS = [
    "the cat",
    "a dog and the sun",
    "",
    "tax law court",
    "how to sort a list in a queue",
    "rain",
]


def unknown(name: str) -> Path:
    raise ModelError(f"{name}: is no model here")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_model(
        tmp_path / "base", config_sentence_transformers={"prompts": {"query": "query : "}}
    )


@pytest.fixture
def by_role(base: Path, tmp_path: Path) -> Path:
    """A model with an adapter for queries, one for documents and one for classification."""
    folder = shutil.copytree(base, tmp_path / "by-role")
    for seed, role in enumerate(("query", "document", "classification")):
        peft_adapter(folder / "adapters" / role, base, seed=seed + 1)
    return folder


def test_the_folder_of_an_adapter_opens_as_what_it_makes_of_its_base(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    adapter = peft_adapter(tmp_path / "adapter", base)
    encoder = load(adapter)
    assert encoder.contract.name == "adapter"
    assert encoder.contract.prompts == {"query": "query : "}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = SentenceTransformer(str(base), device="cpu")
        peer.load_adapter(str(adapter))
        theirs = peer.encode_query(TEXTS)
    for runtime in ("native", "torch"):
        np.testing.assert_allclose(
            load(adapter, runtime=runtime).encode(TEXTS, "query").vectors, theirs, atol=1e-5
        )
    assert load(adapter).folder.path == encoder.folder.path


def test_a_folder_of_sentence_transformers_with_an_adapter_in_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = SentenceTransformer(str(base), device="cpu")
        peer.load_adapter(str(peft_adapter(tmp_path / "adapter", base)))
        peer.save_pretrained(str(tmp_path / "theirs"))
    assert not (tmp_path / "theirs" / "config.json").exists()
    assert_same_as_sentence_transformers(
        tmp_path / "theirs", TEXTS, encoder=load(tmp_path / "theirs")
    )


def test_each_role_goes_through_its_adapter(base: Path, by_role: Path, tmp_path: Path) -> None:
    encoder = TextEncoder.open(by_role)
    assert encoder.runtime.name == "torch"
    for role in ("query", "document", "classification"):
        merge_adapter(by_role, tmp_path / role, resolve=unknown, role=role)
        merged = TextEncoder.open(tmp_path / role)
        assert merged.runtime.name == "native"
        np.testing.assert_allclose(
            encoder.encode(TEXTS, role).vectors, merged.encode(TEXTS, role).vectors, atol=1e-5
        )
        assert_same_as_sentence_transformers(tmp_path / role, TEXTS, encoder=merged)
    assert (
        np.abs(
            encoder.encode(TEXTS, "query").vectors
            - TextEncoder.open(base).encode(TEXTS, "query").vectors
        ).max()
        > 0.01
    )


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
@pytest.mark.parametrize("include_prompt", [True, False])
def test_roles_mixed_in_one_batch_are_those_alone(
    kind: str, include_prompt: bool, tmp_path: Path
) -> None:
    folder = tiny_model(
        tmp_path / "base",
        kind=kind,
        config_sentence_transformers={"prompts": {"query": "query : ", "document": ""}},
    )
    (folder / "1_Pooling/config.json").write_text(
        json.dumps(
            {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": include_prompt}
        )
    )
    targets = ["q", "v", "dense"] if kind == "mpnet" else ["query", "dense"]
    for seed, role in enumerate(("query", "classification")):
        peft_adapter(folder / role, folder, seed=seed, target_modules=targets)
    encoder = TextEncoder.open(folder)
    roles = ["query", "document", "classification", "query", "classification", "document"]
    mixed = encoder.encode_mixed(TEXTS, roles)
    for at, role in enumerate(roles):
        np.testing.assert_allclose(
            mixed.vectors[at], encoder.encode([TEXTS[at]], role).vectors[0], atol=1e-6
        )
    assert mixed.usage.prompt_tokens == 2 * 2
    assert len(encoder.encode_mixed([], [])) == 0
    with pytest.raises(InputError, match="6 items and 1 roles"):
        encoder.encode_mixed(TEXTS, ["query"])


def test_padded_batches_mix_roles_too(by_role: Path) -> None:
    encoder = TextEncoder.open(by_role)
    roles = ["query", "document", "query", "classification", "document", "document"]
    packed = encoder.encode_mixed(TEXTS, roles).vectors
    model = TextModel.open(by_role)
    model.packs = False
    model.backbone.set_attn_implementation("sdpa")
    tokens = [encoder.tokenise([text], role) for text, role in zip(TEXTS, roles, strict=True)]
    (batch,) = packed_batches(reduce(Tokens.followed_by, tokens), 10_000)
    with torch.inference_mode():
        padded = model.embed(batch).numpy()
    np.testing.assert_allclose(padded, packed[batch.items], atol=1e-5)


def test_a_saved_model_keeps_its_adapters(by_role: Path, tmp_path: Path) -> None:
    save_encoder(TextModel.open(by_role), tmp_path / "saved", name="saved")
    before, after = TextEncoder.open(by_role), TextEncoder.open(tmp_path / "saved")
    assert set(after.folder.adapters) == {"query", "document", "classification"}
    for role in before.folder.adapters:
        np.testing.assert_array_equal(
            before.encode(TEXTS, role).vectors, after.encode(TEXTS, role).vectors
        )


def test_roles_may_share_an_adapter(by_role: Path) -> None:
    (by_role / "nearfield.json").write_text(
        '{"adapters": {"query": "adapters/query", "similarity": "adapters/query"}}'
    )
    encoder = TextEncoder.open(by_role)
    assert len(encoder.folder.adapter_folders) == 1
    assert encoder.contract.prompt("similarity") == ""
    (by_role / "nearfield.json").write_text('{"adapters": {"query": "elsewhere"}}')
    with pytest.raises(ModelError, match="the adapter of role 'query' is 'elsewhere'"):
        TextEncoder.open(by_role)


def test_nothing_is_read_through_a_module_that_leads_out_of_the_base(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    adapter = peft_adapter(tmp_path / "adapter", base)
    outside = (base / "1_Pooling").rename(tmp_path / "outside")
    (base / "1_Pooling").symlink_to(outside)
    # opening a FIFO is an error of its own
    (outside / "config.json").unlink()
    os.mkfifo(outside / "config.json")
    with pytest.raises(InputError, match="names '1_Pooling', which leads out of"):
        TextEncoder.open(model_path(adapter))


def test_what_cannot_be_merged(base: Path, by_role: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ContractError, match="an adapter for classification, document, query; say with a role"
    ):
        merge_adapter(by_role, tmp_path / "to", resolve=unknown)
    with pytest.raises(ModelError, match="holds no adapter"):
        merge_adapter(base, tmp_path / "to", resolve=unknown)
    lost = peft_adapter(tmp_path / "lost", base)
    file = lost / "adapter_config.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "somebody/model"})
    )
    with pytest.raises(
        ModelError,
        match=r"its base is 'somebody/model', which was not found .*; "
        r"get it",
    ):
        merge_adapter(lost, tmp_path / "to", resolve=unknown)
    merge_adapter(lost, tmp_path / "to", resolve=unknown, base=str(base))
    with pytest.raises(ModelError, match="does not run adapters beside a model"):
        TextEncoder.open(by_role, OpenOptions(runtime="native"))
