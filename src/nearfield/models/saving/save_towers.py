"""A checkpoint of two towers after training as a folder."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from nearfield.formats.towers.towers import Logits
from nearfield.models.backbones.backbone import write_backbone
from nearfield.models.image.trainable_towers import TrainableTowers
from nearfield.store.atomic import staged_folder, write_json


def save_towers(model: TrainableTowers, path: str | Path, logits: Logits) -> None:
    """Write the model as transformers does, whatever its layout was, with its weights as they
    stand, adapters merged into them, and the loss's `logits`. Whole or not at all. Raises
    StorageError.
    """
    tower = model.tower
    # CLIP and SigLIP keep the logarithm of the scale
    weights = tower.weights() | {"logit_scale": torch.tensor(math.log(logits.scale))}
    if tower.has_bias:
        weights["logit_bias"] = torch.tensor(logits.bias)
    # temperature and bias are of shape () in some models and (1,) in others
    shapes = tower.model.state_dict()
    weights = {name: weight.reshape(shapes[name].shape) for name, weight in weights.items()}
    with staged_folder(path) as stage:
        write_backbone(tower.model, stage, weights=weights)
        tower.tokeniser.save_pretrained(stage)
        write_json(stage / "preprocessor_config.json", dict(tower.folder.processor))
