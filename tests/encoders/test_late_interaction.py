"""Multi-vector models of every layout against sentence-transformers' MultiVectorEncoder,
and back.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from late_models import DIM, KINDS, LAYOUTS, assert_same_as_peer, assert_same_tokens, tiny_late
from nasty import BASE, nasty_texts
from nearfield.catalog.agree import contradictions
from nearfield.catalog.card import card
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.formats.model_folder import read_model_folder
from nearfield.kernels.library import runnable
from nearfield.models.find import runnable as runnable_card
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.similarity.multi_vector import MultiVector

FIXED = {"query_expansion": {"strategy": "fixed", "length": 24}, "document_length": 50}
LEAST = {
    "query_expansion": {"strategy": "min", "length": 16, "attend": True, "token": "[unused0]"},
    "query_length": 40,
}
PLAIN = {"query_length": 20}
TEXTS = nasty_texts()


CASES: list[tuple[str, str, dict[str, Any]]] = [
    *(("sentence-transformers", kind, FIXED) for kind in sorted(KINDS)),
    *(("sentence-transformers", kind, LEAST) for kind in ("bert", "modernbert")),
    ("sentence-transformers", "bert", PLAIN),
    (
        "pylate",
        "bert",
        {"model_type": "ColBERT", "skiplist_words": [","], "attend_to_expansion_tokens": True},
    ),
    ("pylate", "modernbert", {}),
    ("pylate", "bert", {"do_query_expansion": False, "similarity_fn_name": "MaxSim"}),
    ("stanford", "bert", {}),
    (
        "stanford",
        "bert",
        {"mask_punctuation": False, "attend_to_mask_tokens": True, "query_token_id": "[unused1]"},
    ),
]


@pytest.mark.parametrize(("layout", "kind", "settings"), CASES)
@pytest.mark.filterwarnings("ignore")
def test_a_folder_gives_the_peers_vectors_here_and_ours_gives_them_there(
    tmp_path: Path, layout: str, kind: str, settings: dict[str, Any]
) -> None:
    folder = tiny_late(
        tmp_path / "theirs", kind, layout=layout, bias=layout == "sentence-transformers", **settings
    )
    opened = load(folder)
    assert (opened.contract.kind, opened.contract.dim, opened.contract.pooling) == (
        "multi-vector",
        DIM,
        "tokens",
    )
    whole = (
        settings is FIXED if layout == "sentence-transformers" else not settings and kind == "bert"
    )
    assert_same_as_peer(folder, opened, TEXTS if whole else BASE)
    save_encoder(TextModel.open(folder), tmp_path / "ours", name="ours")
    again = load(tmp_path / "ours")
    assert again.folder.late is not None
    assert opened.folder.late is not None
    assert again.contract.prompts == opened.contract.prompts
    assert (again.folder.late.query_tokens, again.folder.late.document_tokens) == (
        opened.folder.late.query_tokens,
        opened.folder.late.document_tokens,
    )
    assert_same_as_peer(tmp_path / "ours", again, BASE)


def rows(embeddings: MultiVector) -> list[MultiVector]:
    return [embeddings[[at]] for at in range(len(embeddings))]


@pytest.mark.skipif(not runnable(), reason="the kernels are not compiled here")
@pytest.mark.filterwarnings("ignore")
def test_the_kernels_give_the_same_vectors(tmp_path: Path) -> None:
    expansion = {"strategy": "min", "length": 16, "attend": True}
    folder = tiny_late(tmp_path / "m", query_expansion=expansion, document_length=50)
    torch_, native = (load(folder, runtime=name) for name in ("torch", "native"))
    for role in ("query", "document"):
        assert_same_tokens(
            native.encode(BASE, role),
            [row.tokens.vectors for row in rows(torch_.encode(BASE, role))],
        )
    with pytest.raises(
        ModelError, match="no token looks at those that this model's queries are filled up with"
    ):
        load(tiny_late(tmp_path / "unseen", **FIXED), runtime="native")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore")
def test_an_item_does_not_depend_on_its_batch(tmp_path: Path, layout: str) -> None:
    opened = load(tiny_late(tmp_path / "m", layout=layout))
    small = TextEncoder(opened.folder, opened.runtime, batch_tokens=70)
    for role in ("query", "document"):
        whole = opened.encode(TEXTS[:25], role)
        assert_same_tokens(
            small.encode(TEXTS[:25][::-1], role)[np.arange(25)[::-1]],
            [row.tokens.vectors for row in rows(whole)],
        )


def test_what_counts_is_what_the_folder_says(tmp_path: Path) -> None:
    opened = load(tiny_late(tmp_path / "m", **FIXED))
    queries, documents = (
        opened.encode(["a cat", ""], "query"),
        opened.encode(["a , cat .", ",", "a cat"], "document"),
    )
    assert queries.lengths.tolist() == [24, 24], "queries are filled up"
    assert documents.lengths.tolist() == [5, 3, 5], (
        "[CLS], the marker, the words and [SEP], without punctuation"
    )
    assert queries.usage.tokens == 48


def test_the_mean_is_over_the_querys_tokens(tmp_path: Path) -> None:
    folder = tiny_late(tmp_path / "m", **PLAIN)
    file = folder / "config_sentence_transformers.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"similarity_fn_name": "meanmaxsim"}))
    assert_same_as_peer(folder, load(folder), TEXTS[:30])


@pytest.mark.parametrize(
    ("name", "layout", "settings"),
    [
        ("colbertv2", "stanford", {"query_maxlen": 32, "doc_maxlen": 180}),
        ("gte-moderncolbert", "pylate", {"query_length": 32, "document_length": 300}),
    ],
)
def test_what_the_catalog_says_of_a_model_is_what_such_a_folder_says(
    tmp_path: Path, name: str, layout: str, settings: dict[str, int]
) -> None:
    read = read_model_folder(tiny_late(tmp_path / "m", layout=layout, **settings)).contract
    assert contradictions(card(name), replace(read, dim=128)) == []
    assert runnable_card(card(name)).kind == "multi-vector"


def broken(folder: Path, name: str, change: dict[str, Any]) -> Path:
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    return folder


def test_what_cannot_be_honoured_is_an_error(tmp_path: Path) -> None:
    images = broken(
        tiny_late(tmp_path / "a"), "2_MultiVectorMask/config.json", {"keep_only_token_ids": [7]}
    )
    with pytest.raises(ModelError, match="keep_only_token_ids is for models of images"):
        read_model_folder(images)
    pooled = tiny_late(tmp_path / "b")
    modules = json.loads((pooled / "modules.json").read_text())
    modules.append(
        {
            "idx": 4,
            "name": "4",
            "path": "4_X",
            "type": "sentence_transformers.x.HierarchicalTokenPooling",
        }
    )
    (pooled / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="module HierarchicalTokenPooling is not supported"):
        read_model_folder(pooled)
    with pytest.raises(InputError, match='strategy is "all"; wanted one of fixed, min'):
        read_model_folder(
            tiny_late(tmp_path / "c", query_expansion={"strategy": "all", "length": 3})
        )
    unknown = tiny_late(
        tmp_path / "d", query_expansion={"strategy": "fixed", "length": 8, "token": "<no such>"}
    )
    with pytest.raises(ModelError, match="filled up with '<no such>', which its tokeniser lacks"):
        load(unknown)
    stanford = tiny_late(tmp_path / "e", layout="stanford", dim=None)
    (stanford / "model.safetensors").unlink()
    plain = tiny_late(tmp_path / "f")
    (plain / "model.safetensors").rename(stanford / "model.safetensors")
    with pytest.raises(
        ModelError,
        match=r"has its projection as linear\.weight among the "
        r"weights, and this has none",
    ):
        read_model_folder(stanford)
