"""Code that a folder names runs only where it is trusted; else the folder is refused, with what
names it.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import Qwen2Config, Qwen2Model
from typer.testing import Result

from nearfield.encoders.load import load
from nearfield.errors import ModelError
from nearfield.formats.model_folder import read_model_folder
from nearfield.formats.reranker_folder import read_reranker_folder
from nearfield.models.model import TextModel
from tiny import tiny_model, tiny_tokenizer

BOTH_SIDES = '''
import torch
from transformers import Qwen2Config, Qwen2Model


class Both(Qwen2Model):
    """Tokens see both sides."""

    config_class = Qwen2Config

    def forward(self, input_ids=None, attention_mask=None, **kwargs):
        seen = torch.zeros(len(input_ids), 1, input_ids.shape[1], input_ids.shape[1])
        seen = seen.masked_fill(attention_mask[:, None, None, :] == 0, float("-inf"))
        for layer in self.layers:
            layer.self_attn.is_causal = False
        return super().forward(input_ids=input_ids, attention_mask={"full_attention": seen}, use_cache=False)
'''
LOWER = '''
from transformers import PreTrainedTokenizerFast


class Ended(PreTrainedTokenizerFast):
    """Ends each text with [MASK]."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        from tokenizers.processors import TemplateProcessing
        self._tokenizer.post_processor = TemplateProcessing(single="$A [MASK]", special_tokens=[("[MASK]", 4)])
'''
TEXTS = ["the cat", "how to sort a list of numbers and strings", "a"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_model(tmp_path_factory.mktemp("base") / "model")
    (folder / "model.safetensors").unlink()
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
    }
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        Qwen2Model(
            Qwen2Config(
                vocab_size=tiny_tokenizer().get_vocab_size(), max_position_embeddings=130, **sizes
            )
        ).save_pretrained(folder)
    return folder


def naming(base: Path, to: Path, file: str, auto_map: Any, **stated: Any) -> Path:
    """A copy of `base` whose `file` has this auto_map, with the code beside it."""
    import shutil

    shutil.copytree(base, to)
    (to / file).write_text(
        json.dumps(json.loads((to / file).read_text()) | {"auto_map": auto_map, **stated})
    )
    (to / "modeling_both.py").write_text(BOTH_SIDES)
    (to / "tokenization_ended.py").write_text(LOWER)
    return to


CODE: list[tuple[str, Any]] = [
    ("config.json", {"AutoModel": "modeling_both.Both"}),
    ("tokenizer_config.json", {"AutoTokenizer": [None, "tokenization_ended.Ended"]}),
    ("tokenizer_config.json", [None, "tokenization_ended.Ended"]),
]


@pytest.mark.parametrize(("file", "auto_map"), CODE, ids=json.dumps)
def test_code_of_the_folder_runs_where_it_is_trusted(
    file: str, auto_map: Any, base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = naming(base, tmp_path / "model", file, auto_map)
    with pytest.raises(
        ModelError,
        match=rf"{file}: auto_map names "
        rf"(modeling_both|tokenization_ended)\..*--trust-remote-code",
    ):
        load(folder)
    with pytest.raises(ModelError, match="auto_map"):
        TextModel.open(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)
        plain = SentenceTransformer(str(base), device="cpu")
        theirs, other = (
            np.stack([one.encode([text])[0] for text in TEXTS]) for one in (peer, plain)
        )
    with caplog.at_level(logging.WARNING, logger="nearfield"):
        encoder = load(folder, trust_remote_code=True)
    np.testing.assert_allclose(encoder.encode(TEXTS, "document").vectors, theirs, atol=1e-5)
    assert np.abs(theirs - other).max() > 0.05  # the plain class is another model
    assert "modeling_both.py (sha256 " in caplog.text
    with pytest.raises(ModelError, match="does not run code of a model's folder"):
        load(folder, runtime="native", trust_remote_code=True)


REFUSED: list[tuple[str, str, Any]] = [
    (
        "code outside of the folder",
        "config.json",
        {"AutoModel": "someone/else--modeling_both.Both"},
    ),
    ("has no modeling_gone.py", "config.json", {"AutoModel": "modeling_gone.Both"}),
    (
        "names modeling_both.Config for AutoConfig",
        "config.json",
        {"AutoConfig": "modeling_both.Config", "AutoModel": "modeling_gone.Both"},
    ),
    (
        "code outside of the folder",
        "tokenizer_config.json",
        {"AutoTokenizer": ["someone/else--t.Slow", "someone/else--t.Fast"]},
    ),
]


@pytest.mark.parametrize(("why", "file", "auto_map"), REFUSED, ids=json.dumps)
def test_what_is_not_run_is_refused_even_where_it_is_trusted(
    why: str, file: str, auto_map: Any, base: Path, tmp_path: Path
) -> None:
    folder = naming(base, tmp_path / "model", file, auto_map)
    with pytest.raises(ModelError, match="auto_map names"):
        read_model_folder(folder)
    if "AutoConfig" not in auto_map:
        with pytest.raises(ModelError, match=why):
            read_model_folder(folder, trust_remote_code=True)


def test_a_class_for_another_task_is_not_what_runs(base: Path, tmp_path: Path) -> None:
    folder = naming(
        base,
        tmp_path / "model",
        "config.json",
        {"AutoModelForTokenClassification": "modeling_both.Both"},
    )
    assert read_model_folder(folder).code == ()


def test_published_code_that_transformers_took_over_runs_on_its_architecture(
    tmp_path: Path,
) -> None:
    published = {
        key: f"nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.{key}"
        for key in ("AutoConfig", "AutoModel")
    }
    folder = naming(
        tiny_model(tmp_path / "nomic", kind="nomic_bert"),
        tmp_path / "model",
        "config.json",
        published,
    )
    before = load(tmp_path / "nomic").encode(TEXTS, "query").vectors
    np.testing.assert_allclose(load(folder).encode(TEXTS, "query").vectors, before, atol=1e-6)
    # a file of the folder, whatever it is called
    own = {"AutoModel": "modeling_hf_nomic_bert.NomicBertModel"}
    with pytest.raises(ModelError, match=r"auto_map names modeling_hf_nomic_bert\.NomicBertModel"):
        read_model_folder(naming(tmp_path / "nomic", tmp_path / "own", "config.json", own))
    other = naming(tiny_model(tmp_path / "bert"), tmp_path / "other", "config.json", published)
    with pytest.raises(ModelError, match="auto_map names nomic-ai/nomic-bert-2048"):
        read_model_folder(other)


@pytest.mark.parametrize(
    "kind",
    [
        "custom_st.Transformer",
        "modeling_both.Both",
        "other.sentence_transformers.models.Transformer",
    ],
)
def test_modules_of_other_packages_are_refused(kind: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(modules))
    for read in (read_model_folder, read_reranker_folder):
        with pytest.raises(ModelError, match=rf"modules.json: \[0\]\.type is {kind}"):
            read(folder)


def test_code_of_a_cross_encoder_is_refused(base: Path, tmp_path: Path) -> None:
    named = {"AutoModelForSequenceClassification": "modeling_both.Both"}
    folder = naming(
        base,
        tmp_path / "model",
        "config.json",
        named,
        architectures=["BothForSequenceClassification"],
    )
    (folder / "modules.json").unlink()
    with pytest.raises(
        ModelError,
        match=r"auto_map names modeling_both\.Both for "
        r"AutoModelForSequenceClassification",
    ):
        read_reranker_folder(folder)


def test_the_command_line_says_which_option_runs_it(
    base: Path, tmp_path: Path, cli: Callable[..., Result]
) -> None:
    folder = naming(base, tmp_path / "model", "config.json", {"AutoModel": "modeling_both.Both"})
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "a cat"}\n{"text": "the dog"}\n')
    refused = cli("encode", str(folder), str(texts), "--to", str(tmp_path / "vectors"))
    assert refused.exit_code == 2
    assert "--trust-remote-code" in refused.stderr
    ran = cli(
        "encode", str(folder), str(texts), "--to", str(tmp_path / "vectors"), "--trust-remote-code"
    )
    assert (ran.exit_code, "sha256" in ran.stderr) == (0, True), ran.stderr
    # it was said once only
    again = cli("encode", str(folder), str(texts), "--to", str(tmp_path / "other"))
    assert again.exit_code == 2
