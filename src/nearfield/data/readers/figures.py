"""Documents whose rows have figures beside their text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nearfield.data.readers.image import file_of, image_url
from nearfield.data.readers.rows import Rows
from nearfield.data.record import Record
from nearfield.errors import InputError
from nearfield.store.inside import inside
from nearfield.types.figures import COLUMN, LONGEST, Figure, with_figures
from nearfield.types.item import is_image_url


def has_figures(rows: Rows) -> bool:
    """Whether the rows' documents have figures, whose files may change while theirs stay."""
    try:
        return COLUMN in rows.names()
    except InputError:  # which reading them raises again
        return False


def document_text(record: Record, column: str) -> str:
    """The text in `column` with the row's figures behind it.

    Its column `figures` holds one or a list: images, or objects with an `image` and its `caption`.
    An image is a file in the folder of the rows' own, or below it; rows in memory have paths, the
    bytes of files or data URLs. Raises InputError for what is none of these.
    """
    text = record.text(column)
    given = record.values.get(COLUMN)
    if given is None or given == "":
        return text
    if not isinstance(given, list | tuple):
        given = [given]
    return with_figures(text, [_figure(record, each) for each in given])


def _figure(record: Record, given: object) -> Figure:
    image = given
    caption = ""
    if isinstance(given, Mapping):
        image = given.get("image")
        caption = record.checked(given.get("caption") or "", f"{COLUMN}.caption")
    if len(caption) > LONGEST:
        raise record.error(f"a caption has {len(caption):,} characters; {LONGEST:,} at most")
    in_file = isinstance(record.place, Path)
    if isinstance(image, str) and not is_image_url(image) and in_file:
        image = inside(Path(record.place).parent, image, path=Path(record.place))
    elif in_file or not (isinstance(image, bytes | Path) or is_image_url(image)):
        wanted = "a file beside the rows" if in_file else "a Path, the bytes of a file, a data URL"
        raise record.error(f"{COLUMN!r} has the image {str(image)[:60]!r}; wanted {wanted}")
    try:
        return Figure(image_url(file_of(image)), caption)
    except InputError as error:
        raise record.error(f"{COLUMN!r}: {error}") from error
