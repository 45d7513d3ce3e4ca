"""A dense head gives the same vectors of numpy arrays and of torch tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nasty import nasty_texts
from nearfield.batch.packed import packed_batches
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.head import Given
from nearfield.models.model import TextModel
from nearfield.models.tokeniser import tokeniser_of
from tiny import tiny_model


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken", "max", "weightedmean"])
def test_states_to_vectors(pooling: str, include_prompt: bool, tmp_path: Path) -> None:
    config = {
        "1_Pooling/config": {
            "embedding_dimension": 32,
            "pooling_mode": pooling,
            "include_prompt": include_prompt,
        }
    }
    folder = read_model_folder(tiny_model(tmp_path / "tiny", normalise=pooling != "max", **config))
    model, head = TextModel(folder), DenseHead.open(Given(folder, hidden=32))
    tokens = tokeniser_of(folder).tokenise(nasty_texts(50), "query: ")
    # nothing is left beside the prompt
    short = tokeniser_of(folder).tokenise(["", "a"], "query: ", max_tokens=3)
    with torch.inference_mode():
        for batch in (*packed_batches(tokens, 300), *packed_batches(short, 300)):
            np.testing.assert_allclose(
                head.forward(model.states(batch).numpy(), batch),
                model.embed(batch).numpy(),
                atol=2e-6,
            )
