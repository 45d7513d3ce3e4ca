"""The JSON file beside the tables of a folder that nearfield wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nearfield.errors import InputError
from nearfield.store.atomic import write_json
from nearfield.store.fields import Fields, read_fields
from nearfield.store.kept import check_file, checksums

_LONGEST = 255  # characters: a name becomes part of the names of folders


def read_manifest(path: Path, *, kind: str, format: int) -> Fields:
    """The manifest at `path` of a collection or of pairs. Raises InputError where it is not of
    this format.

    Its name may become part of a folder's, and is refused where it could lead elsewhere.
    """
    about = read_fields(path)
    if about.get("format") != format:
        raise about.error(
            "format", f"{format}, that of a {kind}; import it again with `nearfield data import`"
        )
    name = about.text("name")
    if name in ("", ".", "..") or len(name) > _LONGEST or set(name) & set("/\\\0"):
        raise about.error("name", f"a name of up to {_LONGEST} characters without slashes")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            "name holds half of a surrogate pair, which is not a character", path=path
        ) from error
    return about


def write_manifest(path: Path, facts: Mapping[str, object], tables: Sequence[str]) -> None:
    """Write the manifest at `path`: `facts`, and the checksums of the `tables`, which lie beside it
    and are finished.
    """
    write_json(path, dict(facts) | {"checksums": checksums(path.parent, tables)})


def check_tables(about: Fields, tables: Sequence[str]) -> None:
    """Raise InputError where a table is not as it was written. A manifest from before checksums
    were kept says nothing of that.
    """
    noted = about.object("checksums", None)
    if noted is None:
        return
    for name in tables:
        check_file(about.path.parent / name, noted.integer(name, high=2**32 - 1))
