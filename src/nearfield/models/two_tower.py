"""A tower for images and one for text, as torch runs them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nearfield.errors import ModelError
from nearfield.extras import require
from nearfield.formats.remote_code import remote_code
from nearfield.formats.towers.towers import IMAGE_TOWER, TEXT_TOWER, Logits, Towers
from nearfield.formats.weights import weight_files
from nearfield.models.backbones.backbone import from_files, quiet, refuse_unusable
from nearfield.models.backbones.unread import some_of
from nearfield.models.image.processor import UNFIT, image_processor
from nearfield.models.lora.attached import Attached, shared_by_all
from nearfield.store.foreign import foreign

if TYPE_CHECKING:
    from PIL.Image import Image


NETWORKS = {TEXT_TOWER: "text_model", IMAGE_TOWER: "vision_model"}
"""What transformers calls the tower, without its projection."""


class TwoTower(torch.nn.Module):
    """transformers' model of the folder, with its tokeniser and its image processor, and the
    low-rank adapters of the towers that were given some.

    Raises ModelError where files are missing or damaged, or weights do not fit.
    """

    def __init__(self, folder: Towers) -> None:
        super().__init__()
        require("PIL.Image", extra="vision")
        from transformers import AutoTokenizer

        from nearfield.models.image.clip_layers import lighten

        self.folder = folder
        remote_code(folder.path, trusted=False)  # refuses code, which is never run here
        weight_files(folder.path)  # refuses an index that names files outside the folder
        with foreign(folder.path, UNFIT):
            with quiet():
                self.model = _model(folder)
            self.tokeniser: Any = AutoTokenizer.from_pretrained(folder.path)
            self.processor: Any = image_processor(folder.path, folder.processor)
            self.has_bias = hasattr(self.model, "logit_bias")  # CLIP has none
            scale = self.model.logit_scale.detach().exp()  # its logarithm is what is trained
            bias = self.model.logit_bias.detach() if self.has_bias else 0.0
            self.logits = Logits(float(scale), float(bias))
        lighten(self.model)
        self.model.eval()
        self.adapters: dict[str, Attached] = {}

    def texts(self, texts: Sequence[str]) -> Tensor:
        """(n, dim) float32, of any length."""
        return self.written(self.tokenised(texts))

    def tokenised(
        self, texts: Sequence[str], *, max_tokens: int | None = None
    ) -> dict[str, Tensor]:
        """What `written` takes: ids and mask, (n, length). Texts are cut to `max_tokens`, unless
        they are padded to one length always.
        """
        most = self.folder.contract.max_tokens
        padding = "max_length"
        if self.folder.pad_to is None:
            padding = "longest"
            most = min(most, max_tokens or most)
        with foreign(self.folder.path, UNFIT):
            return dict(
                self.tokeniser(
                    list(texts),
                    padding=padding,
                    truncation=True,
                    max_length=most,
                    return_tensors="pt",
                )
            )

    def written(self, tokenised: dict[str, Tensor]) -> Tensor:
        """(n, dim) float32, of any length."""
        with foreign(self.folder.path, UNFIT), self._adapted(TEXT_TOWER):
            return _features(self.model.get_text_features(**self._moved(tokenised)))

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
        with foreign(self.folder.path, UNFIT), self._adapted(IMAGE_TOWER):
            return _features(self.model.get_image_features(**self._moved(prepared)))

    def weights(self) -> dict[str, Tensor]:
        """The model's, by name, with the adapters merged into them."""
        found: dict[str, Tensor] = dict(self.model.state_dict())
        for tower, adapters in self.adapters.items():
            prefix = f"{NETWORKS[tower]}."
            own = {
                name.removeprefix(prefix): weight
                for name, weight in found.items()
                if name.startswith(prefix)
            }
            for name, weight in adapters.merged(own, 0).items():
                found[prefix + name] = weight
        return found

    def _moved(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors on the model's device."""
        return {name: tensor.to(self.model.device) for name, tensor in given.items()}

    def _adapted(self, tower: str) -> AbstractContextManager[None]:
        return shared_by_all(self.adapters.get(tower))


def _features(made: Any) -> Tensor:
    features: Tensor = made if isinstance(made, Tensor) else made.pooler_output
    return features.float()


def _model(folder: Towers) -> Any:
    from transformers import AutoConfig, AutoModel

    refuse_unusable(folder.config, folder.path)
    # transformers' own files may hold more than it reads; what is converted must fit without a rest
    if folder.weights is None or folder.convert is None:
        model, report = from_files(AutoModel, folder.path)
        missing = sorted(report["missing_keys"])
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
            f"{folder.path}: the weights lack, or have beside the model's own, {some_of(missing)}"
        )
    return model
