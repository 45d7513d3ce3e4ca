"""Killed at any moment, a run goes on and ends in the very same bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# One process forks a child a run. The child kills itself, with a signal that nothing can catch, at
# its n-th call of one of the functions that order what is on the disk, before the call or after it;
# then the run is begun again, until one ends.
SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import counting
from counting import Counting
from nearfield.data.stream import Stream
from nearfield.encoders import pace
from nearfield.vectors.encode_to import encode_to
from nearfield.vectors.request import Request

folder = Path(sys.argv[1])
texts = [f"text {number % 29} {'x' * (number % 7)}" for number in range(70)]
storage, cache, kind = sys.argv[3], sys.argv[4] == "cache", getattr(counting, sys.argv[5])

def run(to, home, fatal):
    pid = os.fork()
    if pid == 0:
        os.environ["NEARFIELD_HOME"] = str(home)
        calls = 0
        def dying(call):
            def counted(*arguments, **named):
                nonlocal calls
                calls += 1
                if calls == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **named)
            return counted
        os.fsync = lambda file: None  # what was written outlives the process without it, and disks are slow
        for name in ("fsync", "replace", "link"):
            setattr(os, name, dying(getattr(os, name)))
        Counting.encode = dying(Counting.encode)
        encode_to(kind(), Stream.of(texts), to, Request(storage=storage), shard_rows=20, cache=cache)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)

def contents(to):
    files = [file for file in sorted(to.rglob("*")) if file.is_file() and file != to / "vectors.json"]
    return {file.relative_to(to): file.read_bytes() for file in files}

assert run(folder / "whole", folder / "home", 0) == 0
pace.FIRST, pace.GROWTH = 3, 2  # the others are written in smaller parts, as a slow model's are
kills = 0
for fatal in range(1, 90, int(sys.argv[6])):
    to, home = folder / str(fatal), folder / f"home{fatal}"
    first = run(to, home, fatal)
    if first == 0:
        break
    assert first == signal.SIGKILL, first
    again = run(to, home, fatal + 5)  # and once more, later
    kills += 1 + (again == signal.SIGKILL)
    assert again == 0 or run(to, home, 0) == 0
    assert contents(to) == contents(folder / "whole"), fatal
    assert not (folder / f".{fatal}.encode").exists(), fatal
print(kills)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize(
    ("storage", "cache", "kind", "step"),
    [
        ("float32", "cache", "Counting", 4),
        ("int8", "none", "Counting", 7),
        ("float16", "cache", "CountingTerms", 13),
        ("int8", "none", "CountingTokens", 11),
    ],
)
def test_killed_twice_at_any_moment_nothing_is_lost_and_nothing_twice(
    tmp_path: Path, repository: Path, storage: str, cache: str, kind: str, step: int
) -> None:
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        str(tmp_path),
        str(repository / "tests"),
        storage,
        cache,
        kind,
        str(step),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 36 // step
