"""Whether the native runtime runs a config.json, and reads all weights that come with it; and what
it reads of the config.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from nearfield.errors import ModelError
from nearfield.formats.architectures import ACTIVATIONS, ARCHITECTURES, DEFAULTS, NATIVE

_READ = (
    "embedding_size",
    "max_position_embeddings",
    "model_type",
    "type_vocab_size",
    "vocab_size",
    *DEFAULTS,
    # read by what runs a head or a bias over distances
    "relative_attention_num_buckets",
    "tie_word_embeddings",
)
# Keys of which one value can be run, which also holds where config.json leaves them out or at null;
# and what the error for any other value says.
_ONLY = {
    "add_cross_attention": (False, "does not run decoders"),
    "is_decoder": (False, "does not run decoders"),
    "is_encoder_decoder": (False, "runs encoders alone"),
    "position_embedding_type": ("absolute", "has absolute positions only"),
    "pruned_heads": ({}, "runs encoders with all of their heads"),
    "quantization_config": (None, "does not read quantised weights"),
    "sinusoidal_pos_embds": (False, "has learned positions only"),
}
# Keys that change no state of a text: names, training, generation, heads that are not run.
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
# Sizes that the architecture says where config.json leaves them out.
_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
# Sizes that the weights say, too.
_COUNTS = ("max_position_embeddings", "type_vocab_size", "vocab_size")
_LIKE_MPNET = 32  # buckets of relative positions


def model_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What nf_model holds of a config.json that `why_not_config` passes: numbers by its fields."""
    fact = partial(NATIVE[config["model_type"]].fact, config)
    return {
        "hidden": fact("hidden_size"),
        "heads": fact("num_attention_heads"),
        "intermediate": fact("intermediate_size"),
        "layer_count": fact("num_hidden_layers"),
        "activation": ACTIVATIONS[fact("hidden_act")],
        "epsilon": float(fact("layer_norm_eps")),
    }


def why_not_config(config: Mapping[str, Any]) -> str | None:
    """In words what of a config.json the native runtime cannot run, or None where it runs it."""
    kind = str(config.get("model_type"))
    if kind not in NATIVE:
        return f"does not run the architecture {kind}, only {', '.join(NATIVE)}"
    known = {*_READ, *NATIVE[kind].keys.values(), *_ONLY, *_WITHOUT_EFFECT}
    unknown = next((key for key in config if key not in known), None)
    if unknown is not None:
        return f"does not know what {unknown} of config.json means"
    return _why_not_sizes(config, kind) or _why_not_facts(config, kind) or _why_not_kind(config)


def _why_not_sizes(config: Mapping[str, Any], kind: str) -> str | None:
    names = NATIVE[kind]
    sizes = {key: names.fact(config, key) for key in _SIZES}
    sizes |= {key: config[key] for key in _COUNTS if key in config}
    if names.narrower:
        sizes["embedding_size"] = names.fact(config, "embedding_size")
    for key, size in sizes.items():
        if type(size) is not int or not 0 < size < 2**31:
            return f"takes no {key} of {size!r}"
    hidden = sizes["hidden_size"]
    heads = sizes["num_attention_heads"]
    if hidden % heads:
        return f"cannot share {hidden} dimensions among {heads} heads"
    if sizes.get("embedding_size", 0) > hidden:
        return "does not take embeddings that are wider than the states"
    return None


def _why_not_facts(config: Mapping[str, Any], kind: str) -> str | None:
    names = NATIVE[kind]
    epsilon = names.fact(config, "layer_norm_eps")
    if type(epsilon) not in (int, float) or not 0 <= epsilon < 1:
        return f"takes no layer_norm_eps of {epsilon!r}"
    padding = names.fact(config, "pad_token_id")
    counted = type(padding) is int and padding >= 0
    if ARCHITECTURES[kind].after_padding and not counted:
        return f"counts positions from a pad_token_id, not from {padding!r}"
    activation = names.fact(config, "hidden_act")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        return f"has no activation {activation}, only {', '.join(ACTIVATIONS)}"
    buckets = config.get("relative_attention_num_buckets", _LIKE_MPNET)
    if names.distances and buckets != _LIKE_MPNET:
        return f"wants {_LIKE_MPNET} buckets of relative positions"
    return None


def _why_not_kind(config: Mapping[str, Any]) -> str | None:
    for key, (run, why) in _ONLY.items():
        stated = config.get(key)
        if stated not in (None, [], run):
            return why
    return None


def why_not_names(names: Collection[str], config: Mapping[str, Any]) -> str | None:
    """In words which of a checkpoint's weights, by `names`, would not be read under a config that
    `why_not_config` passes.

    Raises ModelError where the config asks for more layers than there are weights.
    """
    known = NATIVE[config["model_type"]]
    layers = known.fact(config, "num_hidden_layers")
    if layers > len(names):
        raise ModelError(
            f"config.json says {layers:,} layers, and the checkpoint holds {len(names):,} weights"
        )
    read = {
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        # buffers that older files hold, and that follow from the places
        "embeddings.position_ids",
        "embeddings.token_type_ids",
        known.types,
        known.distances,
    }
    modules = ["embeddings.LayerNorm"]
    if known.narrower and known.fact(config, "embedding_size") != known.fact(config, "hidden_size"):
        modules.append("embeddings_project")
    for at in range(layers):
        modules += [known.layer.format(at) + part for part in known.parts.values()]
    for module in modules:  # gamma and beta are a norm's in files of the first BERTs
        read |= {f"{module}.{part}" for part in ("weight", "bias", "gamma", "beta")}
    bare = [name.removeprefix(known.prefix) for name in names]
    unread = [name for name in sorted(bare) if name not in read]
    unread = [name for name in unread if name.split(".")[0] not in _HEADS]
    if unread:
        return f"does not read the weights {', '.join(unread[:3])}"
    if len(set(bare)) < len(bare):
        return "reads each weight once"
    return None
