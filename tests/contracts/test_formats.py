"""What every layout of model folders promises: written and read it says the same and gives the same
vectors, here and in sentence-transformers, and a field of the wrong type is named.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.sparse_encoder import SparseEncoder

from late_models import LAYOUTS as LATE
from late_models import tiny_late
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, NearfieldError
from nearfield.formats import LAYOUTS
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.runtimes.options import OpenOptions
from sparse_models import tiny_splade
from static_models import model2vec_folder, sentence_transformers_folder
from three_head_models import tiny_three_heads
from tiny import tiny_model

TEXTS = ["the cat and a dog", "tax law court", "rain", "how to sort a list"]
FOLDERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "pooled": ("pooled", tiny_model),
    "three": ("three", tiny_three_heads),
    "splade": ("splade", tiny_splade),
    "model2vec": ("static", model2vec_folder),
    "static": ("static", sentence_transformers_folder),
    **{
        name: ("late-interaction", lambda path, name=name: tiny_late(path, layout=name))
        for name in LATE
    },
}
PEERS: dict[str, type[Any]] = {
    "pooled": SentenceTransformer,
    "static": SentenceTransformer,
    "splade": SparseEncoder,
    "late-interaction": MultiVectorEncoder,
}
OWN = "config_sentence_transformers.json"
WRONG = [
    (OWN, "prompts", 3),
    (OWN, "similarity_fn_name", ["cosine"]),
    ("nearfield.json", "contract", "mean"),
    ("modules.json", "type", 5),
]


def saved(folder: Path, to: Path) -> Path:
    save_encoder(TextModel.open(folder), to, name="saved")
    return to


def arrays(folder: Path) -> dict[str, Any]:
    encoder = TextEncoder.open(folder, OpenOptions(runtime="torch"))
    return {role: encoder.encode(TEXTS, role).arrays() for role in ("query", "document")}


def test_every_layout_has_a_folder_here() -> None:
    assert {layout for layout, _ in FOLDERS.values()} == set(LAYOUTS)


@pytest.mark.parametrize("case", FOLDERS)
def test_what_is_written_reads_as_the_same_model(case: str, tmp_path: Path) -> None:
    layout, make = FOLDERS[case]
    make(tmp_path / "model")
    before = read_model_folder(tmp_path / "model")
    after = read_model_folder(saved(tmp_path / "model", tmp_path / "saved"))
    assert before.layout == after.layout == layout
    assert (before.within(40).contract.max_tokens, after.contract.name) == (40, "saved")
    for key in vars(before.contract):
        if key != "name":
            assert getattr(after.contract, key) == getattr(before.contract, key), key
    for key in ("lower_case", "activation", "drops_unknown"):
        assert getattr(after, key) == getattr(before, key), key
    first, second = arrays(tmp_path / "model"), arrays(tmp_path / "saved")
    for role, parts in first.items():
        for name, values in parts.items():
            np.testing.assert_array_equal(second[role][name], values, err_msg=f"{role} {name}")


@pytest.mark.parametrize("case", [case for case in FOLDERS if case != "three"])
def test_sentence_transformers_gives_the_same_vectors(case: str, tmp_path: Path) -> None:
    layout, make = FOLDERS[case]
    make(tmp_path / "model")
    folder = saved(tmp_path / "model", tmp_path / "saved")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = PEERS[layout](str(folder), device="cpu")
        encoder = TextEncoder.open(folder, OpenOptions(runtime="torch"))
        for role, encode in (("query", peer.encode_query), ("document", peer.encode_document)):
            ours, theirs = encoder.encode(TEXTS, role), encode(TEXTS)
            for at, text in enumerate(TEXTS):
                own, other = ours[[at]], theirs[at]
                if layout == "late-interaction":
                    values = own.tokens.floats()
                elif layout == "splade":
                    values, other = own.matrix().toarray()[0], other.to_dense()
                else:
                    values = own.vectors[0]
                np.testing.assert_allclose(values, np.asarray(other), atol=1e-5, err_msg=text)


@pytest.mark.parametrize(("file", "key", "value"), WRONG, ids=[key for _, key, _ in WRONG])
@pytest.mark.parametrize("case", FOLDERS)
def test_a_field_of_the_wrong_type_is_named(
    case: str, file: str, key: str, value: object, tmp_path: Path
) -> None:
    _, make = FOLDERS[case]
    make(tmp_path / "model")
    if case == "stanford" and file == OWN:  # it states the like in a file of its own
        file, key = "artifact.metadata", "query_token_id"
    place = tmp_path / "model" / file
    stated = json.loads(place.read_text()) if place.exists() else {}
    if file == "modules.json":
        if not stated:
            pytest.skip("it has no modules")
        stated[0][key] = value
    else:
        stated[key] = value
    place.write_text(json.dumps(stated))
    with pytest.raises(InputError, match=rf"{file}.*{key}"):
        read_model_folder(tmp_path / "model")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value within a JSON value is, of long lists the first three."""
    if path:
        yield path
    held = value.items() if isinstance(value, dict) else enumerate(value[:3])
    for key, inner in held:
        if isinstance(inner, dict | list):
            yield from leaves(inner, (*path, key))
        else:
            yield (*path, key)


@pytest.mark.parametrize("case", FOLDERS)
def test_any_value_in_any_field_is_read_or_refused(case: str, tmp_path: Path) -> None:
    _, make = FOLDERS[case]
    make(tmp_path / "model")
    refused = 0
    for file in sorted((tmp_path / "model").rglob("*")):
        # tokenizer.json is read by the tokenizers library
        if file.suffix not in (".json", ".metadata") or file.name == "tokenizer.json":
            continue
        before = file.read_bytes()
        for path in leaves(json.loads(before)):
            for value in (None, -1, 0, 10**20, "x", [["a"]], {"a": 1}):
                whole = json.loads(before)
                reduce(getitem, path[:-1], whole)[path[-1]] = value
                file.write_text(json.dumps(whole))
                try:
                    read_model_folder(tmp_path / "model")
                except NearfieldError:  # any other error fails the test
                    refused += 1
        file.write_bytes(before)
    assert refused > 9
