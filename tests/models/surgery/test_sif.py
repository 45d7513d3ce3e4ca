"""SIF-weighted static models against the paper's algorithm written out, and against the libraries
that read the folder.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel

from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.models.surgery.sif import sif
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder, sentence_transformers_folder
from tiny import WORDS, tiny_model

TEXTS = [
    "the cat and the dog",
    "the law of the sea",
    "parse the json",
    "",
    *(" ".join(WORDS[at::9]) for at in range(9)),
]


@pytest.mark.parametrize("components", [0, 1, 2])
def test_the_vectors_are_those_of_the_papers_algorithm(components: int, tmp_path: Path) -> None:
    folder = model2vec_folder(tmp_path / "plain", normalise=False, max_tokens=None)
    made = sif(folder, to=tmp_path / "sif", texts=TEXTS, a=0.01, components=components)
    table = TextEncoder.open(folder).runtime.table
    read = [TextEncoder.open(folder).tokenise([text], "document").ids.tolist() for text in TEXTS]
    counts = Counter(id_ for ids in read for id_ in ids)
    total = sum(counts.values())
    vectors = np.zeros((len(TEXTS), table.shape[1]))
    for row, ids in enumerate(read):
        for id_ in ids:
            vectors[row] += 0.01 / (0.01 + counts[id_] / total) * table[id_] / len(ids)
    common = np.linalg.svd(vectors)[2][:components]
    wanted = vectors - vectors @ common.T @ common
    np.testing.assert_allclose(
        TextEncoder.open(made.folder).encode(TEXTS, "document").vectors, wanted, atol=1e-5
    )
    np.testing.assert_allclose(
        StaticModel.from_pretrained(made.folder).encode(TEXTS), wanted, atol=1e-5
    )


def test_a_folder_of_sentence_transformers_stays_one(tmp_path: Path) -> None:
    made = sif(
        sentence_transformers_folder(tmp_path / "plain"),
        to=tmp_path / "sif",
        texts=TEXTS,
        components=1,
    )
    assert_same_as_sentence_transformers(made.folder, [*TEXTS, "unseen words"])
    assert made.name == "plain-sif"


def test_what_cannot_be_weighted_is_refused(tmp_path: Path) -> None:
    static, to = model2vec_folder(tmp_path / "static"), tmp_path / "sif"
    for options in ({"texts": []}, {"texts": TEXTS, "a": 0.0}, {"texts": TEXTS, "components": -1}):
        with pytest.raises(InputError, match="wanted texts, a above 0, 0 components or more"):
            sif(static, to=to, **options)
    with pytest.raises(InputError, match="8 components are to be taken out of 8 dimensions"):
        sif(static, to=to, texts=TEXTS, components=8)
    with pytest.raises(ModelError, match="is not a static model"):
        sif(tiny_model(tmp_path / "transformer"), to=to, texts=TEXTS)
    assert not to.exists()
