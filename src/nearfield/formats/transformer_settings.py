"""What sentence-transformers states of a transformer beside config.json:
sentence_bert_config.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfield.errors import ContractError, ModelError
from nearfield.formats.architectures import ARCHITECTURES, UNKNOWN
from nearfield.formats.honoured import ANY, Honoured, refuse_unhonoured
from nearfield.store.fields import Fields, read_fields, read_optional

# of the file's name, in the order in which sentence-transformers looks for them
_PREFIXES = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
# sentence-transformers gives transformers its own values of these, whatever the file says.
_OVERRULED = (
    "cache_dir",
    "local_files_only",
    "revision",
    "subfolder",
    "token",
    "trust_remote_code",
)
_TOKENISER = dict.fromkeys(
    (
        "add_bos_token",
        "add_eos_token",
        "add_prefix_space",
        "additional_special_tokens",
        "bos_token",
        "clean_up_tokenization_spaces",
        "cls_token",
        "do_lower_case",
        "eos_token",
        "extra_special_tokens",
        "mask_token",
        "max_length",
        "model_max_length",
        "pad_to_multiple_of",
        "pad_token",
        "padding",
        "padding_side",
        "sep_token",
        "split_special_tokens",
        "strip_accents",
        "tokenize_chinese_chars",
        "truncation_side",
        "unk_token",
        "use_fast",
        *_OVERRULED,
    ),
    ANY,
)
_MODEL = dict.fromkeys(
    (
        "attn_implementation",  # another way to the same states
        "device_map",
        "dtype",  # of the weights; what is computed in is said when a model is opened
        "low_cpu_mem_usage",
        "torch_dtype",
        "use_cache",
        "use_safetensors",
        *_OVERRULED,
    ),
    ANY,
)
_CALL: Honoured = {
    "padding": (True, "longest"),
    "return_attention_mask": ANY,
    "return_tensors": ANY,
    "return_token_type_ids": ANY,
    "truncation": (True, "longest_first"),
}
_PROCESSING: Honoured = {
    "text": _CALL,
    "common": _CALL,
    # of which nothing is read here
    "image": ANY,
    "audio": ANY,
    "video": ANY,
}
# each kind of arguments by today's name, and by that of older versions
_KEYS: Honoured = {
    "do_lower_case": ANY,
    "max_seq_length": ANY,
    "modality_config": ANY,  # looked into below
    "module_output_name": ("token_embeddings",),
    "processing_kwargs": _PROCESSING,
    "unpad_inputs": ANY,
    "processor_kwargs": _TOKENISER,
    "tokenizer_args": _TOKENISER,
    "model_kwargs": _MODEL,
    "model_args": _MODEL,
    "config_kwargs": ANY,  # compared with config.json below
    "config_args": ANY,
}
_OF_THE_KIND: dict[str, Honoured] = {
    "dense": {"transformer_task": ("feature-extraction",)},
    "multi-vector": {
        "transformer_task": ("feature-extraction",),
        "document_length": ANY,
        "query_expansion": ANY,
        "query_length": ANY,
    },
    "sparse": {"transformer_task": ("fill-mask",)},
    "reranker": {
        "transformer_task": ("sequence-classification", "text-generation"),
        "module_output_name": ("scores", "causal_logits"),
        "processing_kwargs": {**_PROCESSING, "chat_template": ANY},
    },
}
_OUTPUTS = {"sparse": ("logits",), "reranker": ("logits",)}

_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
_LONGEST = 10**30  # tokens: what transformers writes where there is no limit is about so much
_UNLIMITED = 1_000_000  # tokens: from here on a limit is none


def read_settings(transformer: Path, kind: str) -> Fields:
    """What the file states of the input of a transformer of this kind of model; nothing where there
    is no such file.

    `kind`: that of a contract, or reranker. Raises ModelError for whatever is stated and would not
    be honoured.
    """
    fields = settings_of(transformer)
    refuse_unhonoured(fields, {**_KEYS, **_OF_THE_KIND[kind]})
    _refuse_other_config(fields, transformer)
    _check_modalities(fields, kind)
    return fields


def settings_of(transformer: Path) -> Fields:
    """The same without a check, for a reader of single keys."""
    files = [transformer / f"sentence_{prefix}_config.json" for prefix in _PREFIXES]
    found = next((file for file in files if file.exists()), None)
    if found is None:
        return Fields({}, files[0])
    return read_fields(found)


def processor_arguments(transformer: Path) -> dict[str, Any]:
    """What the file has transformers build the tokeniser with. Raises ModelError for what would not
    be honoured, a path among it.
    """
    settings = settings_of(transformer)
    for name in ("tokenizer_args", "processor_kwargs"):  # where both are there, the older counts
        stated = settings.object(name, None)
        if stated is not None:
            refuse_unhonoured(stated, _TOKENISER)
            return {key: value for key, value in stated.items() if key not in _OVERRULED}
    return {}


def max_tokens_of(
    transformer: Path,
    config: Fields,
    limits: Fields,
    stated: Mapping[str, Any],
    *,
    own: int | None = None,
) -> int:
    """The least of what the files say: sentence-transformers' own limit, the tokeniser's, the
    number of positions.

    `own`: a limit in place of sentence-transformers'.
    """
    said = next((name for name in _POSITIONS if name in config), _POSITIONS[0])
    positions = config.integer(said, None, low=-1, high=_LONGEST)
    kind = config.get("model_type")
    if positions and ARCHITECTURES.get(str(kind), UNKNOWN).after_padding:
        # transformers' MPNet pads with 1 whatever config.json says
        padding = 1 if kind == "mpnet" else config.integer("pad_token_id", 1, low=-1)
        # RoBERTa's 514 rows are 512 places
        positions -= 1 + padding
    limit = (
        processor_arguments(transformer).get("model_max_length")
        or own
        or limits.integer("max_seq_length", None, low=1, high=_LONGEST)
    )
    if limit is None:
        tokenizer = read_optional(transformer / "tokenizer_config.json")
        older = tokenizer.number("max_len", None, low=1)
        limit = tokenizer.number("model_max_length", older, low=1)
    says = [limit, positions, stated.get("max_tokens")]
    # -1, 0 and huge numbers are how files say that there is no limit
    known = [int(value) for value in says if value is not None and 0 < value < _UNLIMITED]
    if not known:
        state = '{"contract": {"max_tokens": 512}}'
        raise ContractError(
            f"{transformer}: nothing says how many tokens the model reads; state "
            f"{state} in nearfield.json"
        )
    return min(known)


def dim_of(projections: Sequence[Path], config: Fields) -> int:
    """The dimensions of what the last of the Dense modules gives, else of the states."""
    if projections:
        return int(read_fields(projections[-1] / "config.json").integer("out_features", low=1))
    # a model of texts and images states those of its texts apart
    for sizes in (config.object("text_config", config), config):
        for name in ("hidden_size", "dim", "d_model", "n_embd", "emb_dim"):
            found = sizes.integer(name, None)
            if found:
                return int(found)
    raise ModelError(f"{config.path}: has no hidden_size; is this a text model?")


def _refuse_other_config(fields: Fields, transformer: Path) -> None:
    """Raise ModelError where the file changes a fact of config.json: weights and code here are
    those of config.json.
    """
    own = read_fields(transformer / "config.json")
    for name in ("config_args", "config_kwargs"):
        for key, value in fields.object(name, {}).items():
            if key not in _OVERRULED and (key not in own or own[key] != value):
                raise ModelError(
                    f"{fields.path}: {name}.{key} is {value!r}, which is not honoured here; "
                    f"state it in {own.path} itself, which says {own.get(key)!r}"
                )


def _check_modalities(fields: Fields, kind: str) -> None:
    """Raise ModelError where texts go another way than through the model's forward to its last
    hidden state, or its logits.
    """
    stated = fields.object("modality_config", None)
    if stated is None:
        return
    wanted = {
        "method": ("forward",),
        "method_output_name": _OUTPUTS.get(kind, ("last_hidden_state",)),
        "format": ANY,
    }
    if kind != "reranker" and "message" in stated:
        raise ModelError(
            str(stated.error("message", "text alone: texts are put into no chat template here"))
        )
    for modality in ("text", "message"):
        given = stated.object(modality, None)
        if given is not None:
            refuse_unhonoured(given, wanted)
    if not {"text", "message"} & set(stated):
        raise ModelError(str(stated.error("text", "a model that reads texts")))
