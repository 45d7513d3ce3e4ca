from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nearfield.errors import InputError, StorageError
from nearfield.store.atomic import (
    check_writable,
    staged_file,
    staged_folder,
    storage,
    write_json,
    write_text,
)
from nearfield.store.fields import read_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with staged_folder(tmp_path / "a" / "made") as stage:
            (stage / "inner").mkdir()
            (stage / "inner" / "file").write_text(content)
            assert (tmp_path / "a" / "made").exists() == (content == "new")
        assert (tmp_path / "a" / "made" / "inner" / "file").read_text() == content
        assert names(tmp_path / "a") == ["made"]


def test_an_error_inside_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "old")
    with pytest.raises(ZeroDivisionError), staged_file(tmp_path / "file") as stage:
        stage.write_text("new")
        _ = 1 / 0
    with pytest.raises(ZeroDivisionError), staged_folder(tmp_path / "folder") as folder:
        (folder / "part").write_text("new")
        _ = 1 / 0
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_killed_process_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    code = f"""
import os, signal
from nearfield.store.atomic import staged_file, staged_folder
with staged_folder({str(tmp_path / "folder")!r}) as folder, staged_file({str(tmp_path / "file")!r}) as file:
    (folder / "part").write_text("half")
    file.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert all(name.startswith(".") for name in names(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_a_storage_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="there is no permission to write there"):
            write_text(tmp_path / "file", "text")
    finally:
        tmp_path.chmod(0o700)


def test_a_file_where_a_folder_is_needed_is_a_storage_error(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "text")
    with pytest.raises(StorageError, match="could not be written"):
        write_text(tmp_path / "file" / "below", "text")


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(tmp_path: Path) -> None:
    code = f"""
import resource, signal
from nearfield.errors import StorageError
from nearfield.store.atomic import write_json
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_json({str(tmp_path / "facts.json")!r}, list(range(10_000)))
except StorageError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        "facts.json: could not be written: the file would be larger than this process may write. "
        "Raise the limit (ulimit -f)" in ran.stdout
    )
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (28, "the disk is full"),
        (122, "the disk quota is used up"),
        (30, "the file system is read-only"),
    ],
)
def test_the_systems_numbers_are_said_in_words(number: int, said: str) -> None:
    with (
        pytest.raises(StorageError, match=f"x.bin: could not be written: {said}"),
        storage("x.bin"),
    ):
        raise OSError(number, os.strerror(number))


@dataclass(frozen=True)
class Facts:
    name: str
    folder: Path


def test_json_there_and_back(tmp_path: Path) -> None:
    write_json(tmp_path / "facts.json", {"facts": Facts("naïve", Path("a/b")), "list": [1, None]})
    assert read_json(tmp_path / "facts.json") == {
        "facts": {"name": "naïve", "folder": "a/b"},
        "list": [1, None],
    }
    with pytest.raises(TypeError, match="complex does not go into JSON"):
        write_json(tmp_path / "facts.json", {"number": 1j})
    assert read_json(tmp_path / "facts.json")["list"] == [1, None]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{\n "a": 1,\n}', r"facts.json:3: is not JSON"),
        (b'"\xff"', r"facts.json: is not UTF-8: .* at byte 1"),
        (None, r"facts.json: does not exist"),
    ],
)
def test_bad_json_names_the_file_and_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "facts.json").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_json(tmp_path / "facts.json")


def test_the_advice_fits_the_reason(tmp_path: Path) -> None:
    for number, said in (
        (28, "Free space"),
        (30, "Give another place"),
        (13, "Give another place"),
        (17, "Remove what is in the way"),
    ):
        with pytest.raises(StorageError, match=said) as caught, storage("x.bin"):
            raise OSError(number, os.strerror(number))
        assert ("Free space" in str(caught.value)) == (number == 28)


def test_a_staged_part_goes_by_its_final_name(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError) as caught,
        staged_folder(tmp_path / "made") as stage,
        storage(stage / ".part.json.partial-12"),
    ):
        raise OSError(28, "full")
    assert str(caught.value).startswith(
        f"{tmp_path / 'made' / 'part.json'}: could not be written: the disk is full"
    )


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b" / "c")
    assert names(tmp_path) == []
    write_text(tmp_path / "file", "text")
    with pytest.raises(StorageError, match="a part of the path is a file"):
        check_writable(tmp_path / "file" / "below")
    assert names(tmp_path) == ["file"]
