"""A joined model after training as a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from nearfield.formats.towers.joined import FILE, FORMAT, IMAGES, PROJECTION, TEXT
from nearfield.formats.towers.towers import Logits
from nearfield.models.image.trainable import TrainableJoined
from nearfield.models.saving.save import save_encoder
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.regular import copy_regular


def save_joined(model: TrainableJoined, path: str | Path, logits: Logits) -> None:
    """Write the folder that it came from with the projection as it stands, with the adapters of the
    texts' model merged into it, and with the loss's `logits`. Whole or not at all. Raises
    StorageError.
    """
    source = model.folder.path
    with staged_folder(path) as stage:
        for part in source.glob("[!.]*"):
            if part.is_file():
                copy_regular(part, stage / part.name)
        shutil.copytree(source / IMAGES, stage / IMAGES, copy_function=copy_regular)
        if model.text.adapters is None:
            shutil.copytree(source / TEXT, stage / TEXT, copy_function=copy_regular)
        else:
            save_encoder(model.text, stage / TEXT, name=f"{model.text.contract.name}-adapted")
        model.projection.save(stage / PROJECTION)
        stated = {"format": FORMAT, "logit_scale": logits.scale, "logit_bias": logits.bias}
        write_json(stage / FILE, stated)
