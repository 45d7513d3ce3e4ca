"""Merged models against the formulae written out, and sentence-transformers on the folder that is
written.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapters import peft_adapter
from nasty import nasty_texts
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, InputError, ModelError
from nearfield.models.model import TextModel
from nearfield.models.surgery.linear import linear
from nearfield.models.surgery.merge import HOW, merge
from nearfield.models.surgery.slerp import slerp
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder
from tiny import tiny_model

Tables = dict[str, torch.Tensor]


def weights(seed: int) -> Tables:
    random = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(*shape, generator=random) for name, shape in (("a", (3, 4)), ("b", (5,)))
    }


def test_linear_is_the_weighted_mean_number_by_number() -> None:
    models = [weights(seed) for seed in range(3)]
    merged = linear(models, [0.2, 0.5, 0.3])
    for name, weight in merged.items():
        for place in np.ndindex(*weight.shape):
            wanted = sum(
                share * float(model[name][place])
                for share, model in zip((0.2, 0.5, 0.3), models, strict=True)
            )
            assert float(weight[place]) == pytest.approx(wanted, abs=1e-6)
    with pytest.raises(InputError, match=r"sum to 1\.2; wanted 1"):
        linear(models, [0.4, 0.4, 0.4])


@given(ratio=st.floats(0, 1), seed=st.integers(0, 50))
def test_slerp_is_shoemakes_formula_and_keeps_to_the_arc(ratio: float, seed: int) -> None:
    first, second = weights(seed), weights(seed + 100)
    for name, found in slerp(first, second, ratio).items():
        x, y = (model[name].double().ravel() for model in (first, second))
        lengths = float(x.norm()), float(y.norm())
        angle = math.acos(float(x @ y) / (lengths[0] * lengths[1]))
        direction = (
            math.sin((1 - ratio) * angle) * x / lengths[0]
            + math.sin(ratio * angle) * y / lengths[1]
        ) / math.sin(angle)
        length = (1 - ratio) * lengths[0] + ratio * lengths[1]
        torch.testing.assert_close(found.ravel().double(), direction * length, atol=1e-5, rtol=1e-5)
        assert float(found.norm()) == pytest.approx(length, rel=1e-5)


def test_slerp_between_parallel_opposite_and_zero_weights_goes_straight() -> None:
    one = {"a": torch.tensor([1.0, 2.0])}
    for other in ({"a": one["a"] * 3}, {"a": -one["a"]}, {"a": one["a"] * 0}):
        torch.testing.assert_close(
            slerp(one, other, 0.25)["a"], torch.lerp(one["a"], other["a"], 0.25)
        )


def test_task_arithmetic_adds_what_each_tuning_changed(pair: list[Path], tmp_path: Path) -> None:
    made = merge(
        pair, to=tmp_path / "made", how="task-arithmetic", base=pair[0], weights=[0.7, -0.4]
    )
    base, tuned, found = (TextModel.open(place).parameters() for place in (*pair, made.folder))
    for name in (name for name in base if not name.startswith("pooler.")):
        wanted = base[name] - 0.4 * (tuned[name] - base[name])
        torch.testing.assert_close(found[name], wanted, atol=1e-6, rtol=1e-5)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("pair")
    return [tiny_model(place / name, seed=seed) for seed, name in enumerate(("first", "second"))]


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize("how", HOW)
def test_a_merged_folder_opens_in_sentence_transformers_with_the_same_vectors(
    how: str, pair: list[Path], tmp_path: Path
) -> None:
    made = merge(
        pair, to=tmp_path / "merged", how=how, base=pair[0] if how == "task-arithmetic" else None
    )
    assert (made.name, made.before) == ("first+second", made.after)
    assert_same_as_sentence_transformers(made.folder, nasty_texts(40))
    vectors = [
        TextEncoder.open(folder).encode(["cat and dog"], "query").vectors
        for folder in (*pair, made.folder)
    ]
    assert not np.allclose(vectors[2], vectors[0], atol=1e-3)
    assert not np.allclose(vectors[2], vectors[1], atol=1e-3)
    assert json.loads((made.folder / "algebra.json").read_text())["how"] == how


def test_a_share_of_one_is_the_model_itself(pair: list[Path], tmp_path: Path) -> None:
    whole = TextModel.open(pair[1]).parameters()
    for at, (how, shares) in enumerate(
        (("linear", [0, 1]), ("slerp", [1]), ("task-arithmetic", [0, 1]))
    ):
        base = pair[0] if how == "task-arithmetic" else None
        made = TextModel.open(
            merge(pair, to=tmp_path / str(at), how=how, base=base, weights=shares).folder
        ).parameters()
        for name in (name for name in whole if not name.startswith("pooler.")):
            torch.testing.assert_close(made[name], whole[name], atol=1e-6, rtol=1e-6)


def test_static_models_merge_too(tmp_path: Path) -> None:
    folders = [model2vec_folder(tmp_path / name, max_tokens=None) for name in ("a", "b")]
    made = TextModel.open(merge(folders, to=tmp_path / "merged").folder)
    torch.testing.assert_close(
        made.backbone.embeddings, TextModel.open(folders[0]).backbone.embeddings
    )


def test_what_does_not_go_together_is_refused(pair: list[Path], tmp_path: Path) -> None:
    wide = tiny_model(tmp_path / "wide", sizes={"intermediate_size": 48})
    other = tiny_model(tmp_path / "cls", pooling="cls")
    to = tmp_path / "merged"
    for models, options, error, said in (
        ([pair[0], wide], {}, ModelError, "a merge wants one architecture of one size"),
        ([pair[0], other], {}, ContractError, "pooling is 'mean' and 'cls'"),
        (pair, {"how": "liner"}, InputError, "Did you mean 'linear'?"),
        (pair, {"how": "task-arithmetic"}, InputError, "give --base"),
        (pair, {"base": pair[0]}, InputError, "leave out --base"),
        ([pair[0]], {}, InputError, "got 1 models; wanted at least two"),
        (pair, {"weights": [1.0]}, InputError, "got 1 weights; wanted 2, one per model"),
        (pair, {"how": "slerp", "weights": [1.5]}, InputError, "wanted 0 to 1"),
    ):
        with pytest.raises(error) as raised:
            merge(models, to=to, **options)
        assert said in str(raised.value)
        assert not to.exists()
    told = tiny_model(tmp_path / "told")
    peft_adapter(told / "query", told)
    with pytest.raises(ModelError, match=r"roles have adapters \(query\)"):
        merge([told, told], to=to)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match="is not a model that was made so"):
        merge(pair, to=tmp_path / "mine")
