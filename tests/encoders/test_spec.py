"""What a model runs on, by arguments and by what follows an @ in its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from nearfield.cli.opened import ran_by
from nearfield.encoders.load import load
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import ContractError
from nearfield.runtimes.options import OpenOptions
from static_models import model2vec_folder
from tiny import tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.parametrize(
    ("words", "options", "ran"),
    [
        ("@torch", {}, "torch float32"),
        ("@bfloat16,torch", {}, "torch bfloat16"),
        ("@torch,float32,cpu", {"precision": "bfloat16"}, "torch float32"),
        ("", {"runtime": "torch", "precision": "bfloat16", "device": "cpu"}, "torch bfloat16"),
    ],
)
def test_words_after_an_at_go_before_options(
    words: str, options: dict[str, str], ran: str, tiny: Path
) -> None:
    assert ran_by(load(f"{tiny}{words}", **options)) == ran


def test_a_folder_with_an_at_in_its_name_is_a_folder(tmp_path: Path) -> None:
    assert load(str(tiny_model(tmp_path / "a@torch"))).contract.dim == 32


def test_other_words_are_refused(tiny: Path) -> None:
    with pytest.raises(
        ContractError,
        match=r"'touch' is not a runtime, precision or device; known: "
        r".*Did you mean 'torch'",
    ):
        load(f"{tiny}@touch")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("minilm", ("minilm", None)),
        ("minilm@torch,bfloat16", ("minilm@torch,bfloat16", None)),
        ("a/e5@task=Find x, y @ z", ("a/e5", "Find x, y @ z")),
        (
            "e5@torch,task=Given a claim,\nfind = proof",
            ("e5@torch", "Given a claim,\nfind = proof"),
        ),
        ("e5@task=", ("e5", "")),
    ],
)
def test_a_task_is_last_and_may_hold_anything(name: str, parts: tuple[str, str | None]) -> None:
    spec = ModelSpec.parse(name)
    assert (spec.name + spec.after.partition("task=")[0].rstrip("@,"), spec.task) == parts


def test_a_model_is_told_its_task(tmp_path: Path) -> None:
    template = {"contract": {"templates": {"query": "find {task} : "}}}
    folder = tiny_model(tmp_path / "told", nearfield=template)
    model = load(f"{folder}@torch,task=the cat, a dog")
    assert ran_by(model) == "torch float32"
    assert model.contract.prompt("query") == "find the cat, a dog : "
    assert ModelSpec.parse(f"{folder}@task=a/b").short == "told@task=a/b"
    assert ModelSpec.parse(f"{folder}@task=a/b").lasting == f"{folder}@task=a/b"
    assert load(f"{folder}@task={'a cat ' * 100}").contract.prompt("query").endswith("cat  : ")
    np.testing.assert_array_equal(
        model.encode(["rain"], "document").vectors,
        load(f"{folder}@torch").encode(["rain"], "document").vectors,
    )
    by_hand = load(f"{folder}@torch").encode(["find the cat, a dog : rain"], "document").vectors
    np.testing.assert_array_equal(model.encode(["rain"], "query").vectors, by_hand)
    with pytest.raises(ContractError, match="takes no task in words"):
        load(f"{tiny_model(tmp_path / 'plain')}@task=find it")


def test_a_spec_is_named_and_found_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.parent)
    spec = ModelSpec.parse("tiny@torch,bfloat16")
    assert spec == ModelSpec("tiny", "torch", "bfloat16", after="@torch,bfloat16")
    assert spec.lasting == f"{tiny}@torch,bfloat16"
    assert spec.short == "tiny@torch,bfloat16"
    assert ModelSpec.parse("minilm").lasting == "minilm"
    assert spec.options(OpenOptions("native", "int8", "cpu")) == OpenOptions(
        "torch", "bfloat16", "cpu"
    )


def test_a_contract_may_be_changed(tmp_path: Path) -> None:
    """Each by what the states say: pooled by hand, and at its own length."""
    folder = tiny_model(tmp_path / "mean")
    states = AutoModel.from_pretrained(folder).eval()
    texts = ["a cat in the sun", "tax law"]
    for runtime in ("native", "torch"):
        model = load(f"{folder}@{runtime},pooling=cls,normalise=no,similarity=dot")
        assert (model.contract.pooling, model.contract.similarity) == ("cls", "dot")
        made = model.encode(texts)
        for row, text in enumerate(texts):
            ids = torch.tensor(model.tokenise([text], "query").ids[None].astype(np.int64))
            with torch.inference_mode():
                first = states(ids).last_hidden_state[0, 0].numpy()
            np.testing.assert_allclose(made[row], first, atol=2e-4)
    plain, euclidean = load(folder), load(f"{folder}@similarity=euclidean")
    np.testing.assert_array_equal(plain.encode(texts).vectors, euclidean.encode(texts).vectors)
    assert plain.facts("query") == euclidean.facts("query")  # which share their vectors
    assert plain.facts("query") != load(f"{folder}@pooling=cls").facts("query")
    assert ModelSpec.parse("minilm@pooling=cls").short == "minilm@pooling=cls"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("minilm@pooling=first", "pooling is 'first'; wanted one of cls, last"),
        ("minilm@similarity=cosin", "Did you mean 'cosine'"),
        ("minilm@normalise=maybe", "normalise is 'maybe'; wanted one of yes, no"),
        ("openai:text-embedding-3-small@pooling=cls", "how it runs is up to its server"),
    ],
)
def test_a_change_that_there_is_not(spec: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    with pytest.raises(ContractError, match=said):
        load(spec)


def test_what_pools_nothing_is_not_changed(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="leave out pooling"):
        load(f"{model2vec_folder(tmp_path / 'static')}@pooling=cls")
