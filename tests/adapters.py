"""LoRA adapters with random weights, made and written by peft itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModel

from nearfield.models.backbones.backbone import quiet


def peft_adapter(folder: Path, base: Path, *, seed: int = 0, **config: Any) -> Path:
    """An adapter on the model in `base`, every matrix of it random, in a folder that peft wrote."""
    asked: dict[str, Any] = {
        "r": 4,
        "lora_alpha": 6,
        "target_modules": ["query", "value", "dense"],
        "init_lora_weights": False,
    } | config
    with torch.random.fork_rng(), warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        torch.random.manual_seed(seed)
        model = get_peft_model(AutoModel.from_pretrained(base), LoraConfig(**asked))
        for weight in (weight for weight in model.parameters() if weight.requires_grad):
            nn.init.normal_(weight, std=0.2)
        model.save_pretrained(folder)
    return folder
