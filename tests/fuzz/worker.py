"""A child process that tries damaged inputs one after the other, is replaced when it crashes or
hangs, and counts how each ended.

What a fuzz script writes is a function of one JSON value (a path, say) in a module that can be
imported from tests/ or src/:

    with Canary(tmp / "outside") as canary, Worker("fuzz.models:attempt", canary=canary) as worker:
        outcome = worker.run(str(folder))  # Outcome("works", ""), Outcome("ModelError", "…: is no
            …"), Outcome("traceback", …)

`ALLOWED` are the kinds of outcome that are no finding. The canary is a folder that nothing may
open, list or change.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import json
import os
import select
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
# bytes of data that a worker may have: a size that a file claims must not be taken for granted
MEMORY = 6 << 30


@dataclass(frozen=True)
class Outcome:
    """`kind`: works, the name of a NearfieldError, or traceback, crash, hang, outside. `said`: its
    message, traceback or signal.
    """

    kind: str
    said: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it is no finding: the input was used, or refused as errors of ours are."""
        return self.kind == "works" or self.kind.endswith(("Error", "Refusal", "Extra"))


class Canary:
    """A folder outside, made with one file of each of `files` in it, that says when it was opened,
    listed or changed.
    """

    # IN_OPEN, MODIFY, CREATE, DELETE, MOVED_FROM, MOVED_TO, ATTRIB
    EVENTS = 0x20 | 0x2 | 0x100 | 0x200 | 0x40 | 0x80 | 0x4

    def __init__(self, path: Path, files: dict[str, bytes] | None = None) -> None:
        self.path = path
        path.mkdir(parents=True)
        for name, content in (
            files or {"config.json": b"{}", "model.safetensors": b"canary"}
        ).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        self._whole = self._state()
        self._events = self._watch()

    def _watch(self) -> int | None:
        if not sys.platform.startswith("linux"):
            return None  # what is written is seen even so
        libc = ctypes.CDLL(None, use_errno=True)
        events = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        for folder in [self.path, *(path for path in self.path.rglob("*") if path.is_dir())]:
            if libc.inotify_add_watch(events, os.fsencode(folder), self.EVENTS) < 0:
                raise OSError(ctypes.get_errno(), f"{folder} cannot be watched")
        return events

    def touched(self) -> str:
        """What happened in the folder since the last call, in words; "" where nothing did."""
        opened = self._events_since()
        state = self._state()
        self._events_since()  # what reading the state has caused
        changed, self._whole = state != self._whole, state
        return "was written to" if changed else "was read" if opened else ""

    def _events_since(self) -> bool:
        """Whether anything happened since the last call."""
        happened = False
        with contextlib.suppress(BlockingIOError):
            while self._events is not None and os.read(self._events, 1 << 16):
                happened = True
        return happened

    def _state(self) -> dict[str, str]:
        files = sorted(self.path.rglob("*"))
        return {
            str(file): hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
            for file in files
        }

    def __enter__(self) -> Canary:
        self._events_since()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._events is not None:
            os.close(self._events)


class Worker:
    """Runs the function `task` ("module:function") on one JSON value after the other, in a process
    of its own.

    An input that takes longer than `seconds` is a hang.
    """

    def __init__(self, task: str, *, seconds: float = 30, canary: Canary | None = None) -> None:
        self.task, self.seconds, self.canary = task, seconds, canary
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, closed when the worker is

    def run(self, value: Any) -> Outcome:
        """How the task ended for `value`."""
        outcome = self._answer(value)
        touched = self.canary.touched() if self.canary is not None else ""
        return (
            Outcome("outside", f"{self.canary.path} {touched}; {outcome}")
            if touched and self.canary
            else outcome
        )

    def _answer(self, value: Any) -> Outcome:
        if self._process is None:
            self._start()
            self._exchange(None, 300)  # importing takes its time
        answer = self._exchange(value, self.seconds)
        if answer is None:
            ended = self._stop()
            return (
                Outcome("hang", f"took longer than {self.seconds:g} s")
                if ended is None
                else Outcome("crash", f"{ended}\n{self._tail()}")
            )
        return Outcome(*answer)

    def _exchange(self, value: Any, seconds: float) -> list[str] | None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(value).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return None
        if not select.select([process.stdout], [], [], seconds)[0]:
            return None
        line = process.stdout.readline()
        answer: list[str] | None = json.loads(line) if line.endswith(b"\n") else None
        return answer

    def _start(self) -> None:
        paths = [str(TESTS), str(TESTS.parent / "src")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-X", "faulthandler", __file__, self.task],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environment,
        )  # fmt: skip

    def _stop(self) -> str | None:
        """End the process. How it had ended by itself, None where it had not."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            code = process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        return None if code is None else f"exit status {code}"

    def _tail(self) -> str:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 3000))
        return self._log.read().decode(errors="replace")

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._stop()
        self._log.close()


def serve(task: str) -> None:
    """The worker's side: a JSON value a line from standard input, an outcome a line to what was
    standard output.
    """
    import resource
    import warnings

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    module, function = task.split(":")
    attempt = getattr(importlib.import_module(module), function)
    from nearfield.errors import NearfieldError

    for line in sys.stdin:
        value = json.loads(line)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if value is not None:
                    attempt(value)
            answer = ["works", ""]
        except NearfieldError as error:
            answer = [type(error).__name__, str(error)[:2000]]
        except BaseException:
            answer = ["traceback", traceback.format_exc()[-4000:]]
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
