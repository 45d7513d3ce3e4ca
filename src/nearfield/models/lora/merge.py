"""An adapter and its base as one model folder, which every runtime and every other tool opens."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from nearfield.data.trained_on import keep_trained_on
from nearfield.errors import ContractError, ModelError, first_line, nearest
from nearfield.formats.lora_folder import CONFIG, WEIGHTS, LoRAFolder, adapter_place, read_lora
from nearfield.formats.model_folder import read_model_folder
from nearfield.formats.modules import read_modules
from nearfield.models.lora.attached import Attached
from nearfield.models.lora.low_rank import LowRank
from nearfield.store.fingerprint import model_hash
from nearfield.store.home import home
from nearfield.store.inside import inside
from nearfield.store.kept import kept_folder
from nearfield.types.role import Role

Resolve = Callable[[str], Path]
"""The folder of a model by its name."""


def merged_folder(path: Path, resolve: Resolve) -> Path:
    """The model that the adapter's folder at `path` makes of its base: a folder in the cache, made
    when it is not there.

    Raises ModelError where the base cannot be found or the adapter does not fit it, ContractError
    where neither says how it is used.
    """
    place = adapter_place(path)
    if place is None:
        raise ModelError(
            f"{path}: holds no adapter; wanted {CONFIG} in it, or where its first module lies"
        )
    base = find_base(read_lora(place), resolve)
    read_modules(base)  # hashing follows links: modules that lead out of the base are refused here
    key = hashlib.sha256(f"{model_hash(path)} {model_hash(base)}".encode()).hexdigest()[:32]
    # by the content of both: when either changes, another folder is made
    made = home() / "merged" / f"{path.resolve().name}-{key}"
    return kept_folder(made, lambda stage: merge_adapter(path, stage, resolve=resolve))


def merge_adapter(
    path: Path, to: Path, *, resolve: Resolve, role: Role | None = None, base: str | None = None
) -> None:
    """Write the model folder that the adapter at `path` and its base make together, whole or not at
    all.

    `path` is an adapter's folder, whose base `base` names where its own word for it does not hold;
    or a model folder with an adapter for `role`. Raises ModelError and ContractError as
    `merged_folder` does.
    """
    from nearfield.models.model import TextModel
    from nearfield.models.saving.save import save_encoder

    place = adapter_place(path)
    if place is None:
        _merge_role(path, to, role)
        return
    folder = read_lora(place)
    # a folder of links, so that base and adapter are read as any model folder is
    with tempfile.TemporaryDirectory(prefix="nearfield-") as work:
        whole = Path(work) / (path.resolve().name or "merged")
        start = find_base(folder, resolve, base)
        _join(path, place, start, whole)
        keep_trained_on([start, path], whole)
        model = TextModel.open(whole)
        adapter = LowRank.open(folder, model.whole)
        # whole weights stand in place of the base's; the others are added when the model is saved
        for name, weight in adapter.weights.items():
            model.whole.get_parameter(name).data.copy_(weight)
        model.adapters = Attached(model.whole, [adapter], shared=0)
        save_encoder(model, to, name=path.resolve().name)


def _merge_role(path: Path, to: Path, role: Role | None) -> None:
    """Write the model folder that the model at `path` and its adapter for `role` make."""
    from nearfield.models.model import TextModel
    from nearfield.models.saving.save import save_encoder

    model = TextModel.open(path)
    if model.adapters is None:
        raise ModelError(
            f"{path}: holds no adapter; wanted {CONFIG} in it, or in a folder of it for each role"
        )
    known = sorted(model.folder.adapters)
    if role not in known:
        raise ContractError(
            f"{path}: has an adapter for {', '.join(known)}; say with a role "
            f"which of them to merge{nearest(role or '', known)}"
        )
    model.adapters.shared = model.folder.adapter(role) or 0
    save_encoder(model, to, name=f"{model.contract.name}-{role}")


def find_base(folder: LoRAFolder, resolve: Resolve, name: str | None = None) -> Path:
    """The folder of the model that the adapter belongs to, or what `resolve` finds by name.

    `name` is a path from here; what the adapter's own folder says is a whole path or one within it,
    and no name leads out by "..".
    """
    wanted = name or folder.base
    if not wanted:
        raise ModelError(
            f"{folder.path / CONFIG}: does not say which model it belongs to; wanted "
            "base_model_name_or_path"
        )
    path = Path(wanted)
    if not name and not path.is_absolute():
        path = inside(folder.path, wanted, path=folder.path / CONFIG)
    if (path / "config.json").is_file() or (path / "modules.json").is_file():
        return path
    try:
        return resolve(wanted)
    except ModelError as error:
        advice = "get it, write its folder there, or merge with --base FOLDER"
        raise ModelError(
            f"{folder.path / CONFIG}: its base is {wanted!r}, which was not found "
            f"({first_line(error)}); {advice}"
        ) from error


# What a base's folder says of how it is used, which an adapter's folder with modules of its own
# says itself.
_OF_ITS_USE = ("README.md", "config_sentence_transformers.json", "modules.json", "nearfield.json")


def _join(path: Path, place: Path, base: Path, whole: Path) -> None:
    """Make at `whole` the model folder of base and adapter as yet unmerged, of links.

    It is used as the adapter's folder says where that has modules or a nearfield.json, else as the
    base.
    """
    transformer = base
    if (base / "modules.json").is_file():
        transformer = read_model_folder(base).transformer
    if (path / "modules.json").is_file():
        _link(path, whole, leave=(CONFIG, WEIGHTS))
        _link(transformer, whole / place.relative_to(path), leave=_OF_ITS_USE, pattern="*")
    else:
        _link(path, whole, leave=(CONFIG, WEIGHTS, *_OF_ITS_USE[:3]), pattern="nearfield.json")
        _link(base, whole)


def _link(
    source: Path, target: Path, *, leave: tuple[str, ...] = (), pattern: str = "**/*"
) -> None:
    """Links at `target` to the files of `source` that match, but for those to `leave`, hidden ones
    and what is there already.
    """
    for file in source.glob(pattern):
        place = file.relative_to(source)
        hidden = any(part.startswith(".") for part in place.parts)
        # what is there already counts: an adapter's own files were linked before its base's
        if hidden or file.name in leave or not file.is_file() or (target / place).exists():
            continue
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        (target / place).symlink_to(file.resolve())
