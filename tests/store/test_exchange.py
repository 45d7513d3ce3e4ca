"""Replacing a folder: killed at every step, by two writers at once, and where the system cannot
exchange folders.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nearfield.store import atomic
from nearfield.store.atomic import recover, staged_file, staged_folder, write_text
from nearfield.store.exchange import exchange, held

# Forks a child for each event (open, rename, mkdir, remove, flock ...) of a replacement; the child
# kills itself there.
KILLED = """
import os, signal, sys
from pathlib import Path
from nearfield.store import atomic

root, able, readers_may_miss = Path(sys.argv[1]), sys.argv[2] == "able", sys.argv[2] != "able"
if not able:
    atomic.exchange = lambda one, other: False

def write(name):
    with atomic.staged_folder(root / "made") as stage:
        for part in ("one", "two"):
            (stage / part).write_text(name)

def held():
    return [(root / "made" / part).read_text() for part in ("one", "two")]

write("0")
kills = 0
for at in range(1, 1000):
    child = os.fork()
    if child == 0:
        seen = 0
        def count(event, arguments):
            global seen
            if event.partition(".")[0] in ("os", "open", "shutil", "tempfile", "fcntl"):
                seen += 1
                if seen == at:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        write(str(at))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not (root / "made").is_dir():
        assert readers_may_miss, f"nothing was there after a kill at event {at}"
        atomic.recover(root / "made")
    one, two = held()
    assert one == two and one in (str(at - 1), str(at)), (at, one, two)
    write(str(at))
    assert os.listdir(root) == ["made"], os.listdir(root)
    if os.WIFEXITED(status):
        break
    kills += 1
print(kills)
"""

# Replaces a folder over and over, and reads it as often.
RACING = """
import sys
from pathlib import Path
from nearfield.store.atomic import staged_folder, write_text

path, name = Path(sys.argv[1]), sys.argv[2]
for turn in range(60):
    with staged_folder(path) as stage:
        (stage / "one").write_text(f"{name} {turn}")
        (stage / "two").write_text(f"{name} {turn}")
    write_text(path.with_name("file"), f"{name} {turn}")
    assert path.with_name("file").read_text().count(" ") == 1
    assert path.is_dir()
"""


def can_exchange(folder: Path) -> bool:
    for name in ("a", "b"):
        (folder / name).mkdir()
    able = exchange(folder / "a", folder / "b")
    for name in ("a", "b"):
        (folder / name).rmdir()
    return able


@pytest.mark.parametrize("system", ["able", "unable"])
def test_a_kill_at_any_step_leaves_the_old_folder_or_the_new_one(
    tmp_path: Path, system: str
) -> None:
    if system == "able" and not can_exchange(tmp_path):
        pytest.skip("this system cannot exchange two folders in one step")
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), system],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 20


def test_two_writers_to_one_path_both_end_well(tmp_path: Path) -> None:
    path = tmp_path / "made"
    writers = [
        subprocess.Popen([sys.executable, "-c", RACING, str(path), name], stderr=subprocess.PIPE)
        for name in ("a", "b")
    ]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        if seen or path.exists():
            assert path.is_dir(), "a reader found nothing"
            seen += 1
    for writer in writers:
        _, said = writer.communicate()
        assert writer.returncode == 0, said.decode()
    assert (path / "one").read_text() == (path / "two").read_text()
    assert sorted(os.listdir(tmp_path)) == ["file", "made"]


def test_what_a_killed_process_took_away_is_put_back_when_it_is_looked_for(tmp_path: Path) -> None:
    taken = tmp_path / ".made.old-1" / "made"
    taken.mkdir(parents=True)
    (taken / "part").write_text("old")
    recover(tmp_path / "made")
    assert (tmp_path / "made" / "part").read_text() == "old"
    assert os.listdir(tmp_path) == ["made"]


def test_a_living_writers_stage_stays(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "made") as first:
        (first / "part").write_text("first")
        with staged_folder(tmp_path / "made") as second:
            (second / "part").write_text("second")
        assert (tmp_path / "made" / "part").read_text() == "second"
    assert (tmp_path / "made" / "part").read_text() == "first"
    with staged_file(tmp_path / "file") as one, staged_file(tmp_path / "file") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "file").read_text() == "one"
    assert sorted(os.listdir(tmp_path)) == ["file", "made"]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk" / "made").mkdir(parents=True)
    (tmp_path / "made").symlink_to(tmp_path / "disk" / "made")
    with staged_folder(tmp_path / "made") as stage:
        (stage / "part").write_text("new")
    assert (tmp_path / "made").is_symlink()
    assert (tmp_path / "disk" / "made" / "part").read_text() == "new"
    assert os.listdir(tmp_path / "disk") == ["made"]


def test_a_file_in_the_way_of_a_folder_stays(tmp_path: Path) -> None:
    write_text(tmp_path / "made", "a file")
    with (
        pytest.raises(atomic.StorageError, match="could not be written"),
        staged_folder(tmp_path / "made"),
    ):
        pass
    assert (tmp_path / "made").read_text() == "a file"


def test_a_lock_is_on_the_place_itself(tmp_path: Path) -> None:
    with held(tmp_path):
        assert os.listdir(tmp_path) == []
    with held(tmp_path / "missing"):
        assert os.listdir(tmp_path) == []


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    def write(content: str) -> None:
        with staged_folder(tmp_path / "made") as stage:
            for part in ("one", "two"):
                (stage / part).write_text(content)

    def read(folder: Path) -> list[str]:
        first = (folder / "one").read_text()
        if first == "old":
            write("new")
        return [first, (folder / "two").read_text()]

    write("old")
    assert atomic.read_folder(tmp_path / "made", read) == ["new", "new"]
