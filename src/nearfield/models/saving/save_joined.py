"""A joined model after training as a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from nearfield.formats.towers.joined import FILE, FORMAT, IMAGES, PROJECTION, TEXT
from nearfield.formats.towers.towers import IMAGE_TOWER, TEXT_TOWER, Logits
from nearfield.models.image.trainable import TrainableJoined
from nearfield.models.saving.save import copy_files, save_encoder
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.regular import copy_regular


def save_joined(model: TrainableJoined, path: str | Path, logits: Logits) -> None:
    """Write the folder that it came from with the projection and what has learned of the two models
    as they stand, adapters merged into them, and with the loss's `logits`. Whole or not at all.
    Raises StorageError.
    """
    source = model.folder.path
    with staged_folder(path) as stage:
        for part in source.glob("[!.]*"):  # what says how it was made, among others
            if part.is_file():
                copy_regular(part, stage / part.name)
        if IMAGE_TOWER in model.towers:
            copy_files(source / IMAGES, stage / IMAGES)
            model.tower.network.save(stage / IMAGES, model.tower.weights())
        else:
            shutil.copytree(source / IMAGES, stage / IMAGES, copy_function=copy_regular)
        if TEXT_TOWER in model.towers:
            save_encoder(model.text, stage / TEXT, name=f"{model.text.contract.name}-adapted")
        else:
            shutil.copytree(source / TEXT, stage / TEXT, copy_function=copy_regular)
        model.projection.save(stage / PROJECTION)
        stated = {"format": FORMAT, "logit_scale": logits.scale, "logit_bias": logits.bias}
        write_json(stage / FILE, stated)
