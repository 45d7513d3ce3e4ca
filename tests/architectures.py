"""A tiny random model of every text architecture that transformers has, as a sentence-transformers
folder.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)

from tiny import sentence_folder, tiny_tokenizer

_SMALL = (
    (r"^(text_)?vocab_size$", tiny_tokenizer().get_vocab_size()),
    (
        r"(num_key_value_heads|num_kv_heads|num_global_key_value_heads|multi_query_group_num|n_head_kv)$",
        2,
    ),
    (
        r"(^|_)(head_dim|attention_head_size|kv_channels|d_kv|rope_head_dim|nope_head_dim|v_head_dim|rotary_dim)$",
        8,
    ),
    (r"^((num|n|encoder|decoder)_.*heads?|n_head|nhead)$", 4),
    (
        r"(num_hidden_layers|n_layers?|num_(en|de)coder_layers|num_layers|(en|de)coder_layers|depth)$",
        2,
    ),
    (
        r"(intermediate_size|ffn_dim|d_ff|n_inner|ffn_hidden_size|hidden_dim|mlp_dim|inner_dim|d_inner)$",
        64,
    ),
    (
        r"^(hidden_size|d_model|n_embd|dim|emb_dim|embed_dim|embedding_size|word_embed_proj_dim|true_hidden_size)$",
        32,
    ),
    (
        r"^(entity_emb_size|projection_dim|input_hidden_size|model_dim|out_hidden_size|lru_width|attention_hidden_size)$",
        32,
    ),
    (
        r"(max_position_embeddings|n_positions|n_ctx|max_(target|source)_positions|max_seq_len)$",
        130,
    ),
    (r"(num_experts|n_routed_experts|num_local_experts|moe_num_experts)$", 4),
    (r"(num_experts_per_tok|moe_topk|moe_k|top_k_experts)$", 2),
    (r"^(n_group|topk_group)$", 1),
    (r"^([qk]v?_lora_rank|mamba_d_state|state_size|ssm_state_size)$", 16),
)
"""Sizes by the names that configs give them, and the most that they are here."""
_TOKENS = {
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "cls_token_id": 2,
    "sep_token_id": 3,
}
_LATENT = {
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "num_key_value_heads": 4,
    "head_dim": 8,
}
_SECTIONS = {
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
}
_HALVED = {
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [1, 1, 0],
        "partial_rotary_factor": 0.5,
    }
}
_OWN: dict[str, dict[str, Any]] = {
    "axk1": _LATENT,
    "axk2": _LATENT,
    "bamba": {"mamba_n_heads": 4, "mamba_d_head": 16},
    "cosmos3_edge_text": _SECTIONS,
    "deepseek_v2": _LATENT | {"num_experts_per_tok": 2},
    "deepseek_v3": _LATENT,
    "deepseek_v32": _LATENT,
    "dots3_note_text": {"num_key_value_heads": 4},
    "embedding_gemma2_text": {"embedding_dim": 32},
    "esmc": {"num_key_value_heads": 4},
    "glm4_moe_lite": _LATENT,
    "glm4v_moe_text": _HALVED,
    "glm4v_text": _HALVED,
    "glm5_next_text": {"num_key_value_heads": 4},
    "glm_image_text": _HALVED,
    "glm_moe_dsa": _LATENT,
    "glm_ocr_text": _HALVED,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"mamba_n_heads": 4, "mamba_d_head": 16},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "luke": {"entity_vocab_size": 10},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "minicpm3": _LATENT,
    "ministral": {"head_dim": 8},
    "mistral_large4_text": _LATENT,
    "mobilebert": {
        "embedding_size": 32,
        "hidden_size": 32,
        "intra_bottleneck_size": 16,
        "true_hidden_size": 16,
    },
    "nemotron": {"head_dim": 8, "num_key_value_heads": 2},
    "qwen2_5_vl_text": _SECTIONS,
    "qwen2_vl_text": _SECTIONS,
    "reformer": {
        "axial_pos_embds_dim": [16, 16],
        "axial_pos_shape": [8, 8],
        "attn_layers": ["local", "local"],
    },
    "roc_bert": {"pronunciation_vocab_size": 9, "shape_vocab_size": 9},
    "xmod": {"default_language": "en_XX"},
    "youtu": _LATENT,
}
"""What the config of an architecture needs besides."""


def tiny_architecture(folder: Path, kind: str, **facts: Any) -> Path:
    """A folder with a model of the architecture `kind`, mean pooling, and random weights; `facts`
    go into its config.
    """
    sentence_folder(folder, random_model(kind, **facts), hidden=32, max_tokens=400)
    return folder


def random_model(kind: str, **facts: Any) -> Any:
    """The model that `tiny_architecture` saves."""
    config = tiny_config(kind, **facts)
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = model_class(kind)(config).eval()
        for weight in model.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.2)
    return model


def tiny_config(kind: str, **facts: Any) -> PreTrainedConfig:
    """The config of a tiny model of the architecture `kind`."""
    made: PreTrainedConfig = CONFIG_MAPPING[kind](
        **{**_sizes(CONFIG_MAPPING[kind]()), **_OWN.get(kind, {}), **facts}
    )
    return made


def model_class(kind: str) -> Any:
    """transformers' class of the plain model, of an encoder-decoder of its encoder where there is
    one.
    """
    name = MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES.get(kind, MODEL_MAPPING_NAMES[kind])
    return getattr(transformers, name if isinstance(name, str) else name[0])


def takes_ids(kind: str) -> bool:
    """Whether the plain model of the architecture is one of token ids, and what it needs is
    installed.
    """
    try:
        made = model_class(kind)
        return (
            made.main_input_name == "input_ids"
            and "input_ids" in inspect.signature(made.forward).parameters
        )
    except (ImportError, AttributeError):  # it needs a package that is not installed
        return False


def _sizes(usual: PreTrainedConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in vars(usual).items():
        if key in _TOKENS:
            found |= (
                {}
                if key == "pad_token_id" and isinstance(value, int) and value < 100
                else {key: _TOKENS[key]}
            )
        elif type(value) is int:
            small = next((most for pattern, most in _SMALL if re.search(pattern, key)), value)
            found |= {key: small} if small < value else {}
    return found
