"""What data is opened as, and what is said where that is not what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.errors import InputError
from nearfield.evaluate.open_task import open_task
from nearfield.evaluate.task import Options


def test_a_split_of_a_folder_of_scored_files_is_asked_for_by_its_file(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        rows = [f"a {at},b {at},{at}\n" for at in range(4)]
        (tmp_path / f"{name}.csv").write_text("sentence1,sentence2,score\n" + "".join(rows))
    with pytest.raises(InputError, match=r"has no split; name the file of that split instead of"):
        open_task(tmp_path, options=Options(split="dev"))
    assert open_task(tmp_path / "dev.csv").name == "similarity"
