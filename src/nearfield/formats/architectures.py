"""The one table of architectures: how texts go through each, and under which names its checkpoints
keep what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIVATIONS = {
    "gelu": 2,
    "gelu_python": 2,
    "gelu_new": 3,
    "gelu_pytorch_tanh": 3,
    "relu": 4,
    "silu": 5,
    "swish": 5,
}
"""Those of a feed-forward layer, by transformers' names, as matrix.h numbers them."""

# attended and finished are the layer norms behind attention and behind the feed-forward layer
_BERT_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "attended": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "finished": "output.LayerNorm",
}
_MPNET_LAYER = _BERT_LAYER | {
    "query": "attention.attn.q",
    "key": "attention.attn.k",
    "value": "attention.attn.v",
    "out": "attention.attn.o",
    "attended": "attention.LayerNorm",
}
_DISTILBERT_LAYER = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "out": "attention.out_lin",
    "attended": "sa_layer_norm",
    "up": "ffn.lin1",
    "down": "ffn.lin2",
    "finished": "output_layer_norm",
}
_DISTILBERT_KEYS = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
}


GELU = "gelu"  # which is no module of transformers' language heads


@dataclass(frozen=True)
class LanguageHead:
    """A masked-language-model head: the modules of transformers' *ForMaskedLM that run before the
    vocabulary's layer `decoder`, in their order.

    `transform` and `norm` are where a checkpoint keeps the layer and the norm of these, and `bias`
    where the vocabulary's bias may lie; its weight may be the word embeddings. `activation`: None
    for that of the feed-forward layers. The native runtime runs one with a `bias`.
    """

    steps: tuple[str, ...]
    decoder: str
    transform: str = ""
    norm: str = ""
    bias: str = ""
    activation: str | None = GELU


@dataclass(frozen=True)
class ScoreLayers:
    """The layers of a classifier over the first token's state, as checkpoints name them, and what
    follows the first.
    """

    first: str
    activation: str
    second: str = "classifier"


@dataclass(frozen=True)
class Names:
    """A post-norm encoder with learned absolute positions, as checkpoints name its parts.

    `prefix` may stand before each name of a checkpoint. `layer` is a layer's name with its number
    left open, `parts` what is under it. `keys` says what config.json calls the facts that BERT's
    calls otherwise, `defaults` what they are where it leaves them out, and `fixed` what they are
    whatever it says, as transformers does not read them. `narrower`: the embeddings may have fewer
    dimensions than the states. `distances`: the name of the bias by relative position.
    """

    prefix: str
    layer: str = "encoder.layer.{}."
    parts: Mapping[str, str] = field(default_factory=lambda: _BERT_LAYER)
    keys: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    types: str | None = "embeddings.token_type_embeddings.weight"
    narrower: bool = False
    distances: str | None = None

    def fact(self, config: Mapping[str, Any], key: str) -> Any:
        """What config.json says under BERT's name `key`, or what transformers takes where it says
        nothing.
        """
        if key in self.fixed:
            return self.fixed[key]
        default = self.defaults.get(key, DEFAULTS.get(key))
        return config.get(self.keys.get(key, key), default)


@dataclass(frozen=True)
class Architecture:
    """How texts go through an architecture.

    `packs`: texts lie end to end, each as if it were alone, which a test holds it to; else a test
    holds it to the same beside longer ones and padded. `after_padding`: positions count from the
    padding's id + 1, so that the rows up to it are of no token. `classifier`: what its
    *ForSequenceClassification makes of the states, by its name in classifiers.py, or WHOLE. `names`
    and `scores`: what the native runtime reads of the backbone and of the classifier, where it runs
    them.
    """

    packs: bool = True
    after_padding: bool = False
    classifier: str = ""
    language: LanguageHead | None = None
    names: Names | None = None
    scores: ScoreLayers | None = None


WHOLE = "whole"  # a classifier that is run with its backbone, in padded rows
# BertConfig's
DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
_BERT_HEAD = LanguageHead(
    ("cls.predictions.transform",),
    "cls.predictions.decoder",
    "cls.predictions.transform.dense",
    "cls.predictions.transform.LayerNorm",
    "cls.predictions.bias",
    activation=None,
)
_LM_HEAD = LanguageHead(
    ("lm_head.dense", GELU, "lm_head.layer_norm"),
    "lm_head.decoder",
    "lm_head.dense",
    "lm_head.layer_norm",
    "lm_head.bias",
)
_SCORES = ScoreLayers("classifier.dense", "tanh", "classifier.out_proj")
_ROBERTA = Architecture(
    after_padding=True,
    classifier="whole_head",
    language=_LM_HEAD,
    names=Names("roberta.", defaults={"pad_token_id": 1}),
    scores=_SCORES,
)
_DECODER = Architecture(classifier="last_state")
# known to take no notice of padding; docs/log.md (Packed rows in torch) says why T5 is not packed
_PADDED = Architecture(packs=False)

ARCHITECTURES = {
    "albert": Architecture(classifier="albert"),
    "bert": Architecture(
        classifier="pooler",
        language=_BERT_HEAD,
        names=Names("bert."),
        scores=ScoreLayers("bert.pooler.dense", "tanh"),
    ),
    "camembert": _ROBERTA,
    "deberta": Architecture(packs=False, classifier=WHOLE),
    "deberta-v2": Architecture(packs=False, classifier=WHOLE),
    "distilbert": Architecture(
        classifier="distilbert",
        language=LanguageHead(
            ("vocab_transform", "activation", "vocab_layer_norm"),
            "vocab_projector",
            "vocab_transform",
            "vocab_layer_norm",
            "vocab_projector.bias",
            activation=None,
        ),
        names=Names(
            "distilbert.",
            layer="transformer.layer.{}.",
            parts=_DISTILBERT_LAYER,
            keys=_DISTILBERT_KEYS,
            defaults={"num_hidden_layers": 6},
            fixed={"layer_norm_eps": 1e-12},
            types=None,
        ),
        scores=ScoreLayers("pre_classifier", "relu"),
    ),
    "electra": Architecture(
        classifier="whole_head",
        language=LanguageHead(
            ("generator_predictions",),
            "generator_lm_head",
            "generator_predictions.dense",
            "generator_predictions.LayerNorm",
            "generator_lm_head.bias",
        ),
        names=Names(
            "electra.",
            defaults={
                "embedding_size": 128,
                "hidden_size": 256,
                "num_attention_heads": 4,
                "intermediate_size": 1024,
            },
            narrower=True,
        ),
        scores=ScoreLayers("classifier.dense", "gelu", "classifier.out_proj"),
    ),
    "eurobert": Architecture(),
    "gemma": _DECODER,
    "gemma2": _PADDED,
    "gemma3_text": Architecture(),
    "gpt2": _PADDED,
    "gpt_neox": _PADDED,
    "gte": Architecture(),
    "jina_embeddings_v3": Architecture(),
    "llama": _DECODER,
    "mistral": _DECODER,
    "modernbert": Architecture(
        classifier="modernbert", language=LanguageHead(("head",), "decoder")
    ),
    "mpnet": Architecture(
        after_padding=True,
        classifier="whole_head",
        language=_LM_HEAD,
        names=Names(
            "mpnet.",
            parts=_MPNET_LAYER,
            types=None,
            fixed={"pad_token_id": 1},
            distances="encoder.relative_attention_bias.weight",
        ),
        scores=_SCORES,
    ),
    "mt5": _PADDED,
    "nomic_bert": Architecture(
        classifier="pooler",
        language=LanguageHead(("cls.predictions.transform",), "cls.predictions.decoder"),
    ),
    "opt": _PADDED,
    "phi3": _PADDED,
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "roberta": _ROBERTA,
    "t5": _PADDED,
    "umt5": _PADDED,
    "xlm-roberta": _ROBERTA,
    "xlm-roberta-xl": Architecture(after_padding=True, classifier="whole_head"),
    "xlnet": _PADDED,
}
"""By transformers' `model_type`."""
UNKNOWN = Architecture(packs=False)
NATIVE = {kind: known.names for kind, known in ARCHITECTURES.items() if known.names is not None}
"""Those that the native runtime runs."""
