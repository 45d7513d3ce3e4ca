"""A cross-encoder's folder: how sentence-transformers writes one, or transformers alone.

Two shapes: a transformer with a classification head of one label, and a decoder whose score is what
the logit of one token ("yes") is above that of another ("no"). Read here without importing torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield.errors import ModelError
from nearfield.formats.honoured import LOGIT_SCORE, refuse_unhonoured
from nearfield.formats.layout import open_files
from nearfield.formats.remote_code import refuse_code
from nearfield.formats.stated import default_prompt_name
from nearfield.formats.transformer_settings import max_tokens_of, read_settings
from nearfield.store.fields import Fields, read_fields, read_optional
from nearfield.types.contract import Contract

ACTIVATIONS = ("identity", "sigmoid")
# the tasks, as transformers calls them
CLASSIFIER = "sequence-classification"
DECODER = "text-generation"
SHAPES = (
    "wanted a Transformer with one label (config.json: ...ForSequenceClassification), or a "
    "Transformer (...ForCausalLM) and LogitScore"
)


@dataclass(frozen=True)
class RerankerFolder:
    """What the files of a cross-encoder's folder say.

    `task` is sequence-classification or text-generation. `activation`, identity or sigmoid, is what
    turns logits into scores. `prompt` is put before each query. `tokens` are the ids of a decoder's
    token for relevant and, where there is one, for not relevant; None where the folder leaves it at
    "yes" and "no".
    """

    path: Path
    name: str
    transformer: Path
    max_tokens: int
    task: str = CLASSIFIER
    activation: str = "sigmoid"
    prompt: str = ""
    lower_case: bool = False
    tokens: tuple[int, int | None] | None = None

    pairs = True
    head_name = "pairs"
    static = False
    code = ()
    adapters = ()

    @property
    def contract(self) -> Contract:
        """The contract of what the model gives: the logit of each pair, as a vector of one
        dimension.
        """
        return Contract(
            self.name, 1, self.max_tokens, pooling="cls", normalise=False, similarity="dot"
        )


def read_reranker_folder(path: str | Path) -> RerankerFolder:
    """What the folder at `path` says of its cross-encoder.

    Raises ModelError where there is no such folder, or it holds no cross-encoder, one of several
    labels, or an activation that is not known; ContractError where nothing says how many tokens it
    reads.
    """
    files = open_files(path)
    path = files.path
    config = files.config
    transformer = files.transformer
    limits = read_settings(transformer, "reranker")
    task = _task(path, files.kinds, config)
    refuse_code(transformer, task=task)
    if task == CLASSIFIER and _labels(config) != 1:
        raise ModelError(
            f"{path}: its classifier gives {_labels(config)} labels, and a cross-encoder that "
            "ranks gives one; score with one trained for relevance, or ask the label that you "
            "want of it elsewhere"
        )
    own = _own(files.own)
    stated = _stated(path)
    default = default_prompt_name(own)
    # a default name without a prompt is query or document, of which the folder states none
    prompt = "" if default is None else own.named_texts("prompts").get(default, "")
    tokens = None
    for folder in files.folders("LogitScore"):  # at most one
        logit = read_fields(folder / "config.json")
        refuse_unhonoured(logit, LOGIT_SCORE)
        tokens = logit.integer("true_token_id"), logit.integer("false_token_id", None)
    return RerankerFolder(
        path=path,
        name=stated.get("name", path.resolve().name),
        transformer=transformer,
        max_tokens=max_tokens_of(transformer, config, limits, stated),
        task=task,
        activation=_activation(path, own, config),
        prompt=prompt,
        lower_case=limits.flag("do_lower_case", False),
        tokens=tokens,
    )


def is_reranker(path: Path) -> bool:
    """Whether the folder says of itself that it holds a cross-encoder."""
    own = read_optional(path / "config_sentence_transformers.json")
    if own.get("model_type") == "CrossEncoder":
        return True
    # modules say what a folder is, whatever class its backbone was saved as
    if (path / "modules.json").exists():
        return False
    config = read_optional(path / "config.json")
    return _architecture(config).endswith("ForSequenceClassification")


def reranker_json(name: str, max_tokens: int) -> dict[str, Any]:
    """What nearfield.json holds beside a cross-encoder."""
    return {"format": 1, "reranker": {"name": name, "max_tokens": max_tokens}}


def _own(own: Fields) -> Fields:
    """What sentence-transformers states of a cross-encoder. It reads nothing there that is stated
    of a model of another kind.
    """
    if own.get("model_type") == "CrossEncoder":
        return own
    return Fields({}, own.path)


def _stated(path: Path) -> dict[str, Any]:
    """What nearfield.json states of a cross-encoder: its name and how many tokens it reads, where
    it does.
    """
    stated = read_optional(path / "nearfield.json").object("reranker", None)
    if stated is None:
        return {}
    known = {
        "name": stated.text("name", None),
        "max_tokens": stated.integer("max_tokens", None, low=1),
    }
    return {key: value for key, value in known.items() if value is not None}


def _task(path: Path, modules: list[str], config: Fields) -> str:
    architecture = _architecture(config)
    if modules in ([], ["Transformer"]) and architecture.endswith("ForSequenceClassification"):
        return CLASSIFIER
    if modules in ([], ["Transformer", "LogitScore"]) and architecture.endswith("ForCausalLM"):
        return DECODER
    held = f"its architecture is {architecture or 'not stated'}"
    if modules:
        held = f"its modules are {', '.join(modules)} and {held}"
    raise ModelError(f"{path}: is not a cross-encoder: {held}; {SHAPES}")


def _architecture(config: Fields) -> str:
    """The first of the classes that config.json names, "" where it names none."""
    named = config.texts("architectures", [])
    return str(named[0]) if named else ""


def _labels(config: Fields) -> int:
    """How many labels transformers gives a classifier of this config.json."""
    named = config.object("id2label", {})
    # two are transformers' default
    return int(config.integer("num_labels", 0) or len(named) or 2)


def _activation(path: Path, own: Fields, config: Fields) -> str:
    """The activation's name in lower case, looked for where sentence-transformers does; sigmoid
    where none is stated.
    """
    stated = own.text("activation_fn", None)
    beside = config.object("sentence_transformers", None)
    if not stated and beside is not None:
        stated = beside.text("activation_fn", None)
    stated = stated or config.text("sbert_ce_default_activation_function", None) or "sigmoid"
    name = stated.rsplit(".", 1)[-1].lower()
    if name not in ACTIVATIONS:
        raise ModelError(
            f"{path}: scores go through {stated}, which is not supported; wanted "
            f"{' or '.join(ACTIVATIONS)}"
        )
    return name
