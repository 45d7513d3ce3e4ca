"""Data sets of the Hugging Face hub: the files of rows of a repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from nearfield.data.record import SPLIT_NAMES
from nearfield.errors import InputError, first_line, nearest

SCHEME: Final = "hf://"
_NAME = re.compile(r"hf://(?:datasets/)?([\w.-]+/[\w.-]+)(?:/([\w.-]+))?(?::([\w.-]+))?")
_FORMATS = ("*.parquet", "*.jsonl", "*.json", "*.csv", "*.tsv", "*.jsonl.gz", "*.csv.gz")
_PART = re.compile(r"[a-z]+")
_SPLIT = re.compile(rf"(?:^|[-_.])(?:{'|'.join(SPLIT_NAMES)})(?=[-_.]|$)|\.")


def hub_files(name: str) -> list[Path]:
    """The files of `hf://owner/name[/config][:split]`, fetched, or in the hub's cache.

    A configuration is a folder or the start of a file's name. Raises InputError for what is no such
    name, could not be fetched, or has no such configuration or split.
    """
    from huggingface_hub import snapshot_download

    found = _NAME.fullmatch(name)
    if found is None:
        raise InputError(
            "is not a data set's name; wanted hf://owner/name[/config][:split]", path=name
        )
    repository, config, split = found.groups()
    try:
        # offline it gives what lies in the hub's cache
        folder = Path(
            snapshot_download(repository, repo_type="dataset", allow_patterns=list(_FORMATS))
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"could not be fetched and is not in the cache: {first_line(error)}; check the name "
            "and the network, or open its files",
            path=name,
        ) from error
    files = []
    for path in sorted(folder.rglob("*")):
        about = path.name.startswith(("dataset_info", "dataset_dict"))  # JSON, and not of rows
        if not about and path.is_file() and any(map(path.match, _FORMATS)):
            files.append(path)
    return _of_split(_of_config(files, folder, config, name), split, name)


def split_in(path: Path) -> str:
    """The split that a file's name says, as in train-00000-of-00002.parquet; "" for none."""
    for word in _PART.findall(path.name.partition(".")[0].lower()):
        if word in SPLIT_NAMES:
            return SPLIT_NAMES[word]
    return ""


def _of_config(files: list[Path], folder: Path, config: str | None, name: str) -> list[Path]:
    """The files of a configuration: those in its folder, or with its name before the split's."""
    if not files:
        raise InputError(f"has no file of rows; wanted one of {', '.join(_FORMATS)}", path=name)
    by_config: dict[str, list[Path]] = {}
    for path in files:
        *folders, file = path.relative_to(folder).parts
        configuration = _SPLIT.split(file.lower())[0].strip("-_.")
        for part in folders:  # the innermost folder that is called so, not data or train
            if part.lower() not in ("data", *SPLIT_NAMES):
                configuration = part
        by_config.setdefault(configuration, []).append(path)
    known = ", ".join(map(repr, sorted(by_config)))
    if config is None:
        # files without a configuration's name are the data set's main one
        if len(by_config) > 1 and "" not in by_config:
            raise InputError(f"has several configurations; name one of {known}", path=name)
        config = "" if "" in by_config else next(iter(by_config))
    if config not in by_config:
        near = nearest(config, by_config)
        raise InputError(f"has no configuration {config!r}; it has {known}.{near}", path=name)
    return by_config[config]


def _of_split(files: list[Path], split: str | None, name: str) -> list[Path]:
    if split is None:
        return files
    wanted = SPLIT_NAMES.get(split.lower(), split)
    chosen = [path for path in files if wanted in (split_in(path), path.name.partition(".")[0])]
    if chosen:
        return chosen
    known = sorted({split_in(path) for path in files} - {""})
    raise InputError(
        f"has no split {split!r}; it has {', '.join(known) or 'none'}.{nearest(split, known)}",
        path=name,
    )
