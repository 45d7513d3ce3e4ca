"""Which architectures the native runtime runs, and under which names their checkpoints keep
what.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from nearfield.errors import ModelError

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


@dataclass(frozen=True)
class LanguageHead:
    """A masked-language-model head: where a checkpoint keeps the layer, and the norm, before the
    vocabulary, and the vocabulary's layer, whose bias may lie at `bias` and whose weight may be the
    word embeddings. `activation`: None for that of the feed-forward layers.
    """

    transform: str
    norm: str
    decoder: str
    bias: str
    activation: str | None = "gelu"


@dataclass(frozen=True)
class Architecture:
    """A post-norm encoder with learned absolute positions.

    `prefix` may stand before each name of a checkpoint. `layer` is a layer's name with its number
    left open, `parts` what is under it. `keys` says what config.json calls the facts that BERT's
    calls otherwise, `defaults` what they are where it leaves them out, and `fixed` what they are
    whatever it says, as transformers does not read them. `padded_positions`: positions count from
    the padding's id + 1. `distances`: the name of the bias by relative position. `language`: the
    language-model head, where it is run.
    """

    prefix: str
    layer: str = "encoder.layer.{}."
    parts: Mapping[str, str] = field(default_factory=lambda: _BERT_LAYER)
    keys: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    types: str | None = "embeddings.token_type_embeddings.weight"
    padded_positions: bool = False
    distances: str | None = None
    language: LanguageHead | None = None

    def fact(self, config: Mapping[str, Any], key: str) -> Any:
        """What config.json says under BERT's name `key`, or what transformers takes where it says
        nothing.
        """
        if key in self.fixed:
            return self.fixed[key]
        return config.get(self.keys.get(key, key), {**_DEFAULTS, **self.defaults}.get(key))


_DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
_LM_HEAD = LanguageHead("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias")
_ROBERTA = Architecture(
    "roberta.", padded_positions=True, defaults={"pad_token_id": 1}, language=_LM_HEAD
)

ARCHITECTURES = {
    "bert": Architecture(
        "bert.",
        language=LanguageHead(
            "cls.predictions.transform.dense",
            "cls.predictions.transform.LayerNorm",
            "cls.predictions.decoder",
            "cls.predictions.bias",
            activation=None,
        ),
    ),
    "camembert": _ROBERTA,
    "distilbert": Architecture(
        "distilbert.",
        layer="transformer.layer.{}.",
        parts=_DISTILBERT_LAYER,
        keys=_DISTILBERT_KEYS,
        defaults={"num_hidden_layers": 6},
        fixed={"layer_norm_eps": 1e-12},
        types=None,
        language=LanguageHead(
            "vocab_transform",
            "vocab_layer_norm",
            "vocab_projector",
            "vocab_projector.bias",
            activation=None,
        ),
    ),
    "electra": Architecture(
        "electra.",
        defaults={
            "embedding_size": 128,
            "hidden_size": 256,
            "num_attention_heads": 4,
            "intermediate_size": 1024,
        },
        language=LanguageHead(
            "generator_predictions.dense",
            "generator_predictions.LayerNorm",
            "generator_lm_head",
            "generator_lm_head.bias",
        ),
    ),
    "mpnet": Architecture(
        "mpnet.",
        parts=_MPNET_LAYER,
        types=None,
        padded_positions=True,
        fixed={"pad_token_id": 1},
        distances="encoder.relative_attention_bias.weight",
        language=_LM_HEAD,
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}
"""By transformers' `model_type`."""


_READ = (
    "embedding_size",
    "max_position_embeddings",
    "model_type",
    "type_vocab_size",
    "vocab_size",
    *_DEFAULTS,
)
_CHECKED = (
    "add_cross_attention",
    "is_decoder",
    "is_encoder_decoder",
    "position_embedding_type",
    "pruned_heads",
    "quantization_config",
    "relative_attention_num_buckets",
    "sinusoidal_pos_embds",
    "tie_word_embeddings",
)
"""Keys of which one value is run."""
_WITHOUT_EFFECT = (
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "auto_map",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cls_token_id",
    "directionality",
    "dropout",
    "dtype",
    "eos_token_id",
    "finetuning_task",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "label2id",
    "mask_token_id",
    "max_length",
    "name",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "problem_type",
    "qa_dropout",
    "return_dict",
    "sbert_ce_default_activation_function",
    "sentence_transformers",
    "seq_classif_dropout",
    "sep_token_id",
    "summary_activation",
    "summary_last_dropout",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "tie_weights_",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "unk_token_id",
    "use_cache",
    "xla_device",
)
"""Keys that change no state of a text: names, training, generation, heads that are not run."""
_HEADS = (
    "classifier",
    "cls",
    "discriminator_predictions",
    "generator_lm_head",
    "generator_predictions",
    "lm_head",
    "pooler",
    "pre_classifier",
    "qa_outputs",
    "sequence_summary",
    "vocab_layer_norm",
    "vocab_projector",
    "vocab_transform",
)
_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


def why_not_names(names: Collection[str], config: Mapping[str, Any]) -> str | None:
    """In words which of a checkpoint's weights, by `names`, would not be read under a config that
    `why_not_config` passes.

    Raises ModelError where the config asks for more layers than there are weights.
    """
    architecture = ARCHITECTURES[config["model_type"]]
    layers = architecture.fact(config, "num_hidden_layers")
    if layers > len(names):
        raise ModelError(
            f"config.json says {layers:,} layers, and the checkpoint holds {len(names):,} weights"
        )
    read = {
        f"embeddings.{part}"
        for part in (
            "word_embeddings.weight",
            "position_embeddings.weight",
            "position_ids",
            "token_type_ids",
        )
    }
    read |= {part for part in (architecture.types, architecture.distances) if part}
    modules = ["embeddings.LayerNorm"]
    if _narrower(config):
        modules.append("embeddings_project")
    for at in range(layers):
        modules += [architecture.layer.format(at) + part for part in architecture.parts.values()]
    read |= {
        f"{module}.{part}" for module in modules for part in ("weight", "bias", "gamma", "beta")
    }
    bare = [name.removeprefix(architecture.prefix) for name in names]
    unread = sorted(name for name in bare if name not in read and name.split(".")[0] not in _HEADS)
    twice = len(set(bare)) < len(bare)
    return (
        f"does not read the weights {', '.join(unread[:3])}"
        if unread
        else "reads each weight once"
        if twice
        else None
    )


def _narrower(config: Mapping[str, Any]) -> bool:
    """Whether the embeddings have another width than the states."""
    architecture = ARCHITECTURES[config["model_type"]]
    hidden = architecture.fact(config, "hidden_size")
    return bool(
        config["model_type"] == "electra" and architecture.fact(config, "embedding_size") != hidden
    )


def why_not_config(config: Mapping[str, Any]) -> str | None:
    """In words what of a config.json the native runtime cannot run, or None where it runs it."""
    kind = config.get("model_type")
    architecture = ARCHITECTURES.get(str(kind))
    if architecture is None:
        return f"does not run the architecture {kind}, only {', '.join(ARCHITECTURES)}"
    known = {*_READ, *architecture.keys.values(), *_CHECKED, *_WITHOUT_EFFECT}
    unknown = next((key for key in config if key not in known), None)
    if unknown is not None:
        return f"does not know what {unknown} of config.json means"
    sizes = {key: architecture.fact(config, key) for key in _SIZES}
    sizes |= {
        key: config.get(key, 1)
        for key in ("max_position_embeddings", "type_vocab_size", "vocab_size")
    }
    sizes |= (
        {"embedding_size": architecture.fact(config, "embedding_size")} if kind == "electra" else {}
    )
    wrong = next(
        (key for key, size in sizes.items() if type(size) is not int or not 0 < size < 2**31), None
    )
    if wrong is not None:
        return f"takes no {wrong} of {sizes[wrong]!r}"
    activation, epsilon, padding = (
        architecture.fact(config, key) for key in ("hidden_act", "layer_norm_eps", "pad_token_id")
    )
    hidden, heads = sizes["hidden_size"], sizes["num_attention_heads"]
    wider = kind == "electra" and sizes["embedding_size"] > hidden
    counted = type(padding) is int and padding >= 0
    hindrances = (
        (
            type(epsilon) not in (int, float) or not 0 <= epsilon < 1,
            f"takes no layer_norm_eps of {epsilon!r}",
        ),
        (
            architecture.padded_positions and not counted,
            f"counts positions from a pad_token_id, not from {padding!r}",
        ),
        (
            bool(config.get("pruned_heads") or config.get("is_encoder_decoder")),
            "runs encoders with all of their heads",
        ),
        (
            not isinstance(activation, str) or activation not in ACTIVATIONS,
            f"has no activation {activation}, only {', '.join(ACTIVATIONS)}",
        ),
        (
            config.get("position_embedding_type") not in (None, "absolute"),
            "has absolute positions only",
        ),
        (
            bool(config.get("is_decoder") or config.get("add_cross_attention")),
            "does not run decoders",
        ),
        (config.get("quantization_config") is not None, "does not read quantised weights"),
        (hidden % heads != 0, f"cannot share {hidden} dimensions among {heads} heads"),
        (wider, "does not take embeddings that are wider than the states"),
        (bool(config.get("sinusoidal_pos_embds")), "has learned positions only"),
        (
            kind == "mpnet" and config.get("relative_attention_num_buckets", 32) != 32,
            "wants 32 buckets of relative positions",
        ),
    )
    return next((words for hinders, words in hindrances if hinders), None)
