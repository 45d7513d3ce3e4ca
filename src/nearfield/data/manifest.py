"""The JSON file beside the tables of a folder that nearfield wrote."""

from __future__ import annotations

from pathlib import Path

from nearfield.errors import InputError
from nearfield.store.fields import Fields, read_fields

_LONGEST = 255  # characters: a name becomes part of the names of folders


def read_manifest(path: Path, *, kind: str, format: int) -> Fields:
    """The manifest at `path` of a collection or of pairs. Raises InputError where it is none of this format.

    Its name may become part of a folder's, and is refused where it could lead elsewhere.
    """
    about = read_fields(path)
    if about.get("format") != format:
        raise about.error("format", f"{format}, that of a {kind}; import it again with `nearfield data import`")
    name = about.text("name")
    if name in ("", ".", "..") or len(name) > _LONGEST or any(character in "/\\\0" for character in name):
        raise about.error("name", f"a name of up to {_LONGEST} characters without slashes")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError("name holds half of a surrogate pair, which is no character", path=path) from error
    return about
