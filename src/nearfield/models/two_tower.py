"""A tower for images and one for text, as torch runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nearfield.errors import ModelError
from nearfield.extras import require
from nearfield.formats.remote_code import remote_code
from nearfield.formats.towers.towers import Logits, Towers
from nearfield.formats.weights import weight_files
from nearfield.models.backbones.backbone import quiet, refuse_unusable
from nearfield.models.image.processor import UNFIT, image_processor
from nearfield.store.foreign import foreign

if TYPE_CHECKING:
    from PIL.Image import Image


class TwoTower(torch.nn.Module):
    """transformers' model of the folder, with its tokeniser and its image processor.

    Raises ModelError where files are missing or damaged, or weights do not fit.
    """

    def __init__(self, folder: Towers) -> None:
        super().__init__()
        require("PIL.Image", extra="vision")
        from transformers import AutoTokenizer

        self.folder = folder
        remote_code(folder.path, trusted=False)  # refuses code, which is never run here
        weight_files(folder.path)  # refuses an index that names files outside the folder
        with foreign(folder.path, UNFIT):
            with quiet():
                self.model = _model(folder)
            self.tokeniser: Any = AutoTokenizer.from_pretrained(folder.path)
            self.processor: Any = image_processor(folder.path, folder.processor)
            bias = getattr(self.model, "logit_bias", torch.zeros(()))  # which CLIP has not
            self.logits = Logits(float(self.model.logit_scale.detach().exp()), float(bias.detach()))
        self.model.eval()

    def texts(self, texts: Sequence[str]) -> Tensor:
        """(n, dim) float32, of any length."""
        padding = "longest" if self.folder.pad_to is None else "max_length"
        with foreign(self.folder.path, UNFIT):
            given = self.tokeniser(
                list(texts),
                padding=padding,
                truncation=True,
                max_length=self.folder.contract.max_tokens,
                return_tensors="pt",
            )
            return _features(self.model.get_text_features(**given.to(self.model.device)))

    def count(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, with special ones, before any is cut."""
        with foreign(self.folder.path, UNFIT):
            found = self.tokeniser(list(texts), padding=False, truncation=False, verbose=False)
        return [len(ids) for ids in found["input_ids"]]

    def prepared(self, images: Sequence[Image]) -> dict[str, Tensor]:
        """What `images` takes: pixels, or patches with their mask and shapes."""
        with foreign(self.folder.path, UNFIT):
            return dict(self.processor(images=list(images), return_tensors="pt"))

    def images(self, prepared: dict[str, Tensor]) -> Tensor:
        """(n, dim) float32, of any length."""
        given = {name: tensor.to(self.model.device) for name, tensor in prepared.items()}
        with foreign(self.folder.path, UNFIT):
            return _features(self.model.get_image_features(**given))


def _features(made: Any) -> Tensor:
    features: Tensor = made if isinstance(made, Tensor) else made.pooler_output
    return features.float()


def _model(folder: Towers) -> Any:
    from transformers import AutoConfig, AutoModel

    refuse_unusable(folder.config, folder.path)
    if folder.weights is None or folder.convert is None:
        model, loaded = AutoModel.from_pretrained(
            folder.path, dtype=torch.float32, output_loading_info=True
        )
        missing = sorted(loaded["missing_keys"])
    else:
        from safetensors.torch import load_file

        config = AutoConfig.for_model(**folder.config)
        model = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
        result = model.load_state_dict(folder.convert(load_file(folder.weights)), strict=False)
        missing = sorted({*result.missing_keys, *result.unexpected_keys})
    # ids of positions are no weights: they follow from the length
    missing = [name for name in missing if not name.endswith("position_ids")]
    if missing:
        raise ModelError(
            f"{folder.path}: the weights lack, or have beside the model's own, {missing[0]} and "
            f"{len(missing) - 1} more"
        )
    return model
