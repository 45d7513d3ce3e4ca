"""The transformer of a model folder."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from nearfield.batch.tokens import Tokeniser
from nearfield.errors import ModelError, StorageError
from nearfield.formats.architectures import ARCHITECTURES, UNKNOWN
from nearfield.formats.lora_folder import CONFIG
from nearfield.formats.remote_code import TASKS
from nearfield.formats.weights import weight_files
from nearfield.models.backbones.habits import (
    Habits,
    habits_of,
    packed_habits,
    refuse_growing_positions,
)
from nearfield.models.backbones.unread import refuse_misfits, refuse_relative_positions
from nearfield.store.fields import read_optional
from nearfield.store.foreign import foreign
from nearfield.store.regular import open_regular
from nearfield.store.tensor_places import tensor_places


@dataclass(frozen=True)
class Backbone:
    """A transformer, the id that fills its padded places, and the weights that its file left out
    and nothing reads.

    `whole` is what the checkpoint holds: the transformer itself, or with it the head of a task.
    `habits`: how it reads texts beside each other where it takes no packed row.
    """

    model: Any
    whole: Any
    fill: int
    unread: frozenset[str]
    habits: Habits


# a text to run a backbone on that is not known
_SAMPLE = (
    "A lazy dog sleeps in the warm sun while the quick brown fox, who is not tired at all, "
    "jumps over it."
)
MOST_LAYERS = 1000  # ten times those of the deepest encoder; more are a damaged config
_DEPTH = re.compile(r"(.*_)?(layers?|depths?)")


def refuse_unusable(config: Mapping[str, Any], folder: Path) -> None:
    """Raise ModelError where a transformers config, or one inside it, states more layers than any
    model has, which transformers would make one by one, without end, or a NaN, which passes its
    checks and fails in use.
    """
    for name, value in config.items():
        if isinstance(value, Mapping):
            refuse_unusable(value, folder)
        if value != value:  # as NaN alone
            raise ModelError(f"{folder}: {name} is NaN")
        if not _DEPTH.fullmatch(str(name)):
            continue
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and number > MOST_LAYERS:
                raise ModelError(f"{folder}: {name} is {number:,}; at most {MOST_LAYERS:,}")


def load_backbone(
    folder: Path, *, task: str = "", also: str = "", trust_remote_code: bool = False
) -> Backbone:
    """The transformer in `folder`, float32, in evaluation mode, with the head of `task`, one of
    TASKS, where there is one.

    Of an encoder-decoder its encoder. `also`: a weight of the checkpoint that something else reads.
    `trust_remote_code`: the classes that the folder names of its own are run. Raises ModelError for
    an architecture that transformers does not know or that does not run on a text alone, for an
    encoder-decoder whose encoder it does not load alone, for weights that are missing or that
    nothing reads (a pooler, or the head of a task, may be), cut off, or not finite.
    """
    import transformers
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding
    from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

    refuse_unusable(read_optional(folder / "config.json"), folder)
    with quiet():
        with foreign(folder, "the architecture is not one that transformers knows"):
            config = AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=trust_remote_code
            )
        refuse_growing_positions(config)
        # both change how states are made and handed back, and no state
        config.return_dict = True
        config.chunk_size_feed_forward = 0
        _check_files(folder)
        auto: Any = getattr(transformers, TASKS[task])
        # of an encoder-decoder as T5, this opens the encoder
        if not task and not trust_remote_code and type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING:
            auto = AutoModelForTextEncoding
        if auto is AutoModel and config.is_encoder_decoder:
            raise ModelError(
                f"{folder}: {config.model_type} is an encoder-decoder, and "
                "transformers does not load its encoder alone"
            )
        with foreign(folder, "the weights could not be read"):
            # what is missing is drawn at random and only reported: refuse_misfits looks at the
            # report
            whole, report = from_files(
                auto, folder, config=config, trust_remote_code=trust_remote_code
            )
        refuse_misfits(whole, report, folder, pooled=task == "sequence-classification", also=also)
    refuse_relative_positions(whole, folder)
    # one NaN makes all vectors NaN, and training goes on with them
    for name, weight in whole.named_parameters():
        if not torch.isfinite(weight).all():
            raise ModelError(
                f"{folder}: weight {name} holds NaN or infinite values; the file is "
                "damaged or its training failed"
            )
    base = whole.eval().base_model if task else whole.eval()
    both_ways = [part for part in base.modules() if getattr(part, "is_causal", True) is False]
    if getattr(config, "is_causal", False) and both_ways:
        raise ModelError(
            f"{folder / 'config.json'}: is_causal is true, and the attention of "
            f"{config.model_type} looks both ways where texts are padded; wanted false, or no "
            "is_causal"
        )
    # padding is masked, so that any id will do where the config names none (or -1)
    fill = getattr(config, "pad_token_id", None) or 0
    return Backbone(
        base,
        whole,
        max(0, int(fill)),
        frozenset(report["missing_keys"]),
        _habits(folder, base, own=trust_remote_code),
    )


def from_files(
    auto: Any, folder: Path, *, config: Any = None, trust_remote_code: bool = False
) -> tuple[Any, dict[str, Any]]:
    """The model that transformers' class `auto` makes of the files in `folder`, float32, and its
    report of loading: the keys that are missing, unexpected or mismatched. Raises whatever
    transformers does.
    """
    model, report = auto.from_pretrained(
        folder,
        config=config,
        dtype=torch.float32,
        local_files_only=True,
        output_loading_info=True,
        trust_remote_code=trust_remote_code,
    )
    return model, report


def _habits(folder: Path, backbone: Any, *, own: bool) -> Habits:
    """The habits of a backbone; `own`: by code of the folder, whose name for the architecture says
    nothing.
    """
    if ARCHITECTURES.get(backbone.config.model_type, UNKNOWN).packs and not own:
        return packed_habits(backbone.config)
    try:
        ids = Tokeniser.open(folder, max_tokens=64).tokenise([_SAMPLE]).ids
        return habits_of(backbone, torch.from_numpy(ids).long(), known=not own)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """transformers without its progress bar and its load report, which are ours to give; as it was,
    afterwards.
    """
    from transformers.utils import logging

    level = logging.get_verbosity()
    bar = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def write_backbone(whole: Any, folder: Path, *, weights: dict[str, Tensor] | None = None) -> None:
    """Write config and weights of `whole`, a model of transformers, to `folder`; `weights` by name
    instead of its own where given. Raises StorageError.
    """
    with quiet():
        try:
            whole.save_pretrained(folder, state_dict=weights)
        except SafetensorError as error:
            raise StorageError(f"{folder}: the weights could not be written: {error}") from error


def _check_files(folder: Path) -> None:
    """Raise ModelError where transformers would find no weights, weights outside, or those of the
    base of an adapter.
    """
    if (folder / CONFIG).exists():
        raise ModelError(
            f"{folder}: has {CONFIG}, of a LoRA adapter, beside a model; wanted "
            "either of them alone"
        )
    files = weight_files(folder)
    if not files:
        raise ModelError(f"{folder}: holds no weights; wanted model.safetensors")
    for file in files:
        if file.suffix == ".safetensors":
            tensor_places(file)
        else:
            open_regular(file).close()
