"""Embeddings of another kind than dense go through the same encode call, in the order of
the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.heads.head import Given, Head
from nearfield.models.heads.represented import Rows
from nearfield.models.model import TextModel
from nearfield.runtimes import RUNTIMES
from nearfield.runtimes.choose import choose
from nearfield.runtimes.options import ON_CPU, OpenOptions
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.similarity.dense import Dense
from nearfield.similarity.multi_vector import MultiVector
from tiny import tiny_model

TEXTS = ["a cat", "", "the dog and the cat and the sun and the rain", "tax law", "read a file"]


class EveryToken(Head[Tensor]):
    """The state of every token as it is."""

    kind: ClassVar[str] = "multi-vector"

    @classmethod
    def open(cls, given: Given) -> EveryToken:
        return cls()

    def forward(self, states: Tensor, batch: Packed) -> Tensor:
        return states

    def embeddings(self, output: Tensor, batch: Packed) -> MultiVector:
        return MultiVector(Dense(output.numpy(), output.shape[1]), batch.offsets)

    def items(self, output: Tensor, parts: Sequence[Packed]) -> Rows:
        raise NotImplementedError("nothing trains here")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder[MultiVector]:
    folder = read_model_folder(tiny_model(tmp_path_factory.mktemp("kinds") / "tiny"))
    folder = replace(folder, contract=replace(folder.contract, kind="multi-vector"))
    model = TextModel(folder)
    model.head = EveryToken()
    return TextEncoder(folder, TorchRuntime(model))


def test_items_come_in_their_order_whatever_the_batches_were(
    encoder: TextEncoder[MultiVector],
) -> None:
    whole = encoder.encode(TEXTS, "document")
    assert whole.usage.items == len(whole) == len(TEXTS)
    assert whole.lengths.tolist() == encoder.count_tokens(TEXTS).tolist()
    small = TextEncoder(encoder.folder, encoder.runtime, batch_tokens=5).encode(TEXTS, "document")
    np.testing.assert_allclose(small.tokens.vectors, whole.tokens.vectors, atol=1e-5)
    for row, text in enumerate(TEXTS):
        (alone,) = [encoder.encode([text], "document")]
        np.testing.assert_allclose(alone.tokens.vectors, whole[[row]].tokens.vectors, atol=1e-5)


def test_no_items_are_no_embeddings_of_the_kind(encoder: TextEncoder[MultiVector]) -> None:
    nothing = encoder.encode([], "document")
    assert isinstance(nothing, MultiVector)
    assert (len(nothing), nothing.dim) == (0, 32)


def test_a_runtime_that_does_not_make_the_kind_is_not_chosen(tmp_path: Path) -> None:
    folder = read_model_folder(tiny_model(tmp_path / "tiny"))
    contract = replace(folder.contract, kind="sparse", pooling="max")
    folder = replace(folder, contract=contract, layout="splade")
    assert choose(folder, ON_CPU)[0].runtime == "native"
    summed = replace(folder, contract=replace(folder.contract, pooling="sum"))
    assert choose(summed, ON_CPU)[0].runtime == "torch"
    for name in set(RUNTIMES) - {"native", "torch", "lookup"}:
        with pytest.raises(
            ModelError,
            match=r"makes dense.* embeddings, and this model's are "
            r"sparse",
        ):
            choose(folder, OpenOptions(name, device="cpu"))
    with pytest.raises(ModelError, match="this model's queries are not looked up"):
        choose(folder, OpenOptions("lookup", device="cpu"))
