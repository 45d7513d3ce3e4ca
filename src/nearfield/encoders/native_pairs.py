"""The kernels of this package under a cross-encoder: BERT and its kin on a CPU, without padding,
without torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from nearfield.batch.packed import Packed
from nearfield.encoders.pair_scorer import Scores
from nearfield.errors import ModelError
from nearfield.formats.reranker_folder import CLASSIFIER, RerankerFolder
from nearfield.formats.weights import Weights
from nearfield.kernels.library import kernels, runnable
from nearfield.kernels.matrix import PRECISIONS
from nearfield.models.backbones.architectures import ARCHITECTURES, why_not_config, why_not_names
from nearfield.runtimes.native import NativeRuntime
from nearfield.runtimes.packed_model import PackedModel
from nearfield.store.fields import Fields, read_fields, read_optional
from nearfield.types.contract import Contract

Floats = npt.NDArray[np.float32]


def _gelu(x: Floats) -> Floats:
    halves: Floats = (0.5 * x * (1 + erf(x / np.float32(np.sqrt(2))))).astype(np.float32)
    return halves


def _relu(x: Floats) -> Floats:
    return np.maximum(x, 0)


def _plain(x: Floats) -> Floats:
    return x


_ROBERTA = (("classifier.dense", np.tanh), ("classifier.out_proj", _plain))
HEADS: dict[str, tuple[tuple[str, Callable[[Floats], Floats]], ...]] = {
    "bert": (("bert.pooler.dense", np.tanh), ("classifier", _plain)),
    "camembert": _ROBERTA,
    "distilbert": (("pre_classifier", _relu), ("classifier", _plain)),
    "electra": (("classifier.dense", _gelu), ("classifier.out_proj", _plain)),
    "mpnet": _ROBERTA,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}
"""The layers of a classification head over the first state, by architecture, and what
follows each.
"""


class NativePairs:
    """A cross-encoder's weights, laid out for the kernels. Each call runs on the thread that makes
    it.

    `typed`, `precision`, `batch_tokens`, `streams`: as of a `PairModel`.
    """

    name = "native"

    def __init__(self, folder: RerankerFolder, *, precision: str = "float32") -> None:
        hindrance = why_not(folder, precision)
        if hindrance:
            raise ModelError(f"{folder.path}: the native runtime {hindrance}")
        config, weights = (
            read_fields(folder.transformer / "config.json"),
            Weights(folder.transformer),
        )
        kind = config["model_type"]
        self.typed = _typed(folder, config)
        architecture = ARCHITECTURES[kind]
        model = PackedModel(
            kernels(None),
            weights,
            config,
            architecture=architecture,
            pooling="cls",
            precision=precision,
            typed=self.typed,
        )
        hidden = model.layout.hidden
        contract = Contract(folder.name, hidden, folder.max_tokens, pooling="cls", normalise=False)
        self._runtime = NativeRuntime(model, contract, precision=precision)
        self._words = model.layout.vocabulary // 2 if self.typed else 0
        self._head = [
            (weights.float32(f"{name}.weight"), weights.float32(f"{name}.bias"), then)
            for name, then in HEADS[kind]
        ]
        self.precision, self.batch_tokens, self.streams = (
            precision,
            self._runtime.batch_tokens,
            self._runtime.streams,
        )

    def logits(self, batch: Packed) -> Scores:
        """The logit of each pair, in the batch's order: (n,) float32, 0 for a pair without
        a token.
        """
        ids = batch.ids + np.int32(self._words) * (batch.filled("types") > 0)
        states = self._runtime.embed(replace(batch, ids=ids.astype(np.int32)))
        for weight, bias, then in self._head:
            states = then(states @ weight.T + bias)
        found: Scores = np.where(batch.lengths > 0, states[:, 0], 0.0).astype(np.float32)
        return found


def _typed(folder: RerankerFolder, config: Fields) -> bool:
    """Whether the model has two types of token and its tokeniser gives them; a BERT's and an
    ELECTRA's do where nothing is stated.
    """
    stated = read_optional(folder.transformer / "tokenizer_config.json")
    return _types(config) == 2 and "token_type_ids" in stated.texts(
        "model_input_names", ["token_type_ids"]
    )


def _types(config: Fields) -> int:
    """How many types of token there are: of an architecture without types one, whatever config.json
    says.
    """
    types: int = config.integer("type_vocab_size", 2)
    return types if ARCHITECTURES[str(config["model_type"])].types else 1


def why_not(folder: RerankerFolder, precision: str = "float32") -> str | None:
    """In words why the kernels cannot run the cross-encoder in `folder` here at this precision, or
    None where they can.
    """
    if precision not in PRECISIONS:
        return f"has no {precision}, only {', '.join(PRECISIONS)}"
    if not runnable():
        return (
            "is not compiled here, or not from these sources; with a C compiler, python -m "
            "nearfield.kernels.compile does it"
        )
    config = read_fields(folder.transformer / "config.json")
    if folder.task != CLASSIFIER or config.get("model_type") not in HEADS:
        return (
            f"does not run a cross-encoder of the architecture {config.get('model_type')}, "
            f"only {', '.join(HEADS)}"
        )
    if not any(folder.transformer.glob("model.safetensors*")):
        return "reads model.safetensors only"
    stated = read_optional(folder.transformer / "tokenizer_config.json")
    names = stated.texts("model_input_names", None)
    known = stated.text("tokenizer_class", "").removesuffix("Fast")
    if _types(config) not in (1, 2):
        return "tells one or two types of token apart"
    if names is None and _types(config) == 2 and known not in ("BertTokenizer", "ElectraTokenizer"):
        return (
            "does not know whether the tokeniser tells a pair's texts apart (model_input_names "
            "in tokenizer_config.json)"
        )
    return why_not_config(config) or why_not_names(Weights(folder.transformer).names(), config)
