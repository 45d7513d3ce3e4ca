from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.errors import InputError
from nearfield.store.inside import inside


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/../../x", "/etc/passwd", "a/../b", "link/x", "\0", None, 3, ["a"]]
)
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: object) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"modules\.json"):
        inside(folder, name, path=folder / "modules.json")


@pytest.mark.parametrize("name", ["", ".", "a", "1_Pooling", "a/b", "naïve name", "file"])
def test_a_name_inside_is_joined(tmp_path: Path, name: str) -> None:
    blob = tmp_path / "blob"
    blob.touch()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "file").symlink_to(blob)  # a hub's cache holds such links
    assert inside(folder, name, path=folder / "modules.json") == folder / name
