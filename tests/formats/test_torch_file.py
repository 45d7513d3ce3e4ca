"""Files that torch.save wrote, read as torch reads them; hostile ones are refused."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from nearfield.errors import ModelError, NearfieldWarning
from nearfield.formats.torch_file import read_torch_file


def tensors() -> dict[str, torch.Tensor]:
    whole = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    return {
        "whole": whole,
        "turned": whole.T,
        "part": whole[1:4, 2:],
        "repeated": whole[:1].expand(3, 5),
        "double": whole.double(),
        "half": whole.half(),
        "brain": whole.bfloat16(),
        "parameter": torch.nn.Parameter(whole),
        "number": torch.tensor(3.5),
        "brain number": torch.tensor(3.5).bfloat16(),
        "empty": torch.empty(0, 4),
    }


@pytest.mark.parametrize("ordered", [dict, OrderedDict])
def test_gives_what_torch_reads(ordered: type[dict[str, torch.Tensor]], tmp_path: Path) -> None:
    torch.save(ordered(tensors()), tmp_path / "file.pt")
    found, wanted = (
        read_torch_file(tmp_path / "file.pt"),
        torch.load(tmp_path / "file.pt", weights_only=True),
    )
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value.detach().float().numpy(), err_msg=name)
        found[name][...] = 0  # a copy of its own


def test_a_file_of_before_is_read_by_torch(tmp_path: Path) -> None:
    torch.save(
        {"weight": torch.nn.Parameter(torch.ones(2, 3))},
        tmp_path / "old.pt",
        _use_new_zipfile_serialization=False,
    )
    np.testing.assert_array_equal(read_torch_file(tmp_path / "old.pt")["weight"], np.ones((2, 3)))


class Command:
    """Unpickles to the outcome of a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_that_a_file_asks_for_is_called(zipped: bool, tmp_path: Path) -> None:
    torch.save({"weight": Command()}, tmp_path / "file.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"file\.pt: holds no weights that torch saved"):
        read_torch_file(tmp_path / "file.pt")


def test_what_is_damaged_or_else_says_so(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(200, 3)}, tmp_path / "file.pt")
    content = (tmp_path / "file.pt").read_bytes()
    for wrong in (
        content[:300],
        content[: len(content) // 2] + b"\0" * 300,
        b"",
        pickle.dumps({"weight": 3}),
    ):
        (tmp_path / "file.pt").write_bytes(wrong)
        with pytest.raises(ModelError, match="holds no weights that torch saved"):
            read_torch_file(tmp_path / "file.pt")
    negated = torch._neg_view(torch.ones(2))  # type: ignore[no-untyped-call]
    for other in (
        [torch.ones(2)],
        {"weight": 3},
        {"weight": torch.ones(2, dtype=torch.int64)},
        {"weight": negated},
    ):
        torch.save(other, tmp_path / "file.pt")
        with pytest.raises(ModelError, match="holds no weights that torch saved"):
            read_torch_file(tmp_path / "file.pt")


def test_a_file_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "file.pt")
    read_torch_file(tmp_path / "file.pt")
    script = (
        "import sys; from nearfield.formats.torch_file import read_torch_file as read; from "
        "pathlib import Path; read(Path(sys.argv[1]))"
    )
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"{script}; assert 'torch' not in sys.modules",
            str(tmp_path / "file.pt"),
        ],
        check=True,
    )


def test_a_damaged_copy_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "file.pt")
    read_torch_file(tmp_path / "file.pt")
    (copy,) = (tmp_path / "home" / "tensors").glob("*/model.safetensors")
    copy.write_bytes(copy.read_bytes()[:-1] + b"\x07")
    with pytest.warns(NearfieldWarning, match="checksum is not the one that was noted"):
        found = read_torch_file(tmp_path / "file.pt")
    np.testing.assert_array_equal(found["weight"], np.ones((2, 3)))


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "file"))
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "file.pt")
    np.testing.assert_array_equal(read_torch_file(tmp_path / "file.pt")["weight"], np.ones((2, 3)))


class Row:
    """A storage of an archive: its file, its numbers and their class."""

    def __init__(self, key: str, numbers: np.ndarray, kind: type) -> None:
        self.key, self.numbers, self.kind = key, numbers, kind


class Rebuilt:
    """Unpickles to the tensor of these parts."""

    def __init__(self, *parts: object) -> None:
        self.parts = parts

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return torch._utils._rebuild_tensor_v2, self.parts


class Writer(pickle.Pickler):
    """Pickles rows as torch pickles storages."""

    def persistent_id(self, obj: object) -> tuple[object, ...] | None:
        return (
            ("storage", obj.kind, obj.key, "cpu", len(obj.numbers))
            if isinstance(obj, Row)
            else None
        )


ONE = Row("0", np.ones(1, "<f4"), torch.FloatStorage)
WRAPPING = [
    Row(str(number), np.array([number], "<u2"), torch.BFloat16Storage) for number in (65534, 65535)
]


PAST = {
    "no numbers": Rebuilt(Rebuilt(ONE, 0, (2000, 0), (1, 1)), 0, (2000,), (1,)),
    "very many of none": Rebuilt(Rebuilt(ONE, 0, (10**9, 0), (1, 1)), 0, (10**9,), (1,)),
    "numbers that wrap around": Rebuilt(ONE, 0, *WRAPPING),
    "very many dimensions": [Rebuilt(ONE, 0, (1,) * 65, (1,) * 65)],
}
READ_EACH = """
import resource, sys
from pathlib import Path
import torch
from nearfield.errors import ModelError
from nearfield.formats.torch_file import read_torch_file
resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))
for file in map(Path, sys.argv[1:]):
    try:
        read_torch_file(file)
    except ModelError as error:
        print(file.stem, len(str(error)), sep=": ", flush=True)
"""


def refused_in_turn(files: Sequence[Path]) -> dict[str, int]:
    """The names of those of the files that are refused in one process with 2 GiB of memory, which a
    file may end, and how long their messages are.
    """
    done = subprocess.run(
        [sys.executable, "-c", READ_EACH, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = [line.rpartition(": ") for line in done.stdout.splitlines()]
    assert done.returncode == 0, (found[-1:], done.returncode, done.stderr)
    return {name: int(length) for name, _, length in found}


def test_no_tensor_reads_past_its_numbers(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.pt" for name in PAST]
    for path, tensor in zip(files, PAST.values(), strict=True):
        with zipfile.ZipFile(path, "w") as archive:
            with archive.open("archive/data.pkl", "w") as file:
                Writer(file, 2).dump({"weight": tensor})
            for row in (ONE, *WRAPPING):
                archive.writestr(f"archive/data/{row.key}", row.numbers.tobytes())
    # a read past the end may end the process
    assert list(refused_in_turn(files)) == list(PAST)


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    file = tmp_path / "file.pt"
    torch.save({"fine": torch.ones(3), "repeated": torch.ones(1).expand(10**9, 10**9)}, file)
    with pytest.raises(
        ModelError,
        match=r"file\.pt: .* tensor repeated has "
        r"1,000,000,000,000,000,000 elements, and its storage 1 numbers",
    ):
        read_torch_file(file)
    torch.save({"weight": torch.zeros(10**6)}, file)
    for compressed in ("data.pkl", "data/0"):
        with zipfile.ZipFile(file) as saved, zipfile.ZipFile(tmp_path / "bomb.pt", "w") as bomb:
            for member in saved.infolist():
                method = (
                    zipfile.ZIP_DEFLATED
                    if member.filename.endswith(compressed)
                    else zipfile.ZIP_STORED
                )
                bomb.writestr(member.filename, saved.read(member), method)
        with pytest.raises(
            ModelError,
            match=rf"bomb\.pt: .* its member file/{compressed} is "
            rf"compressed",
        ):
            read_torch_file(tmp_path / "bomb.pt")


def test_members_hold_no_more_than_the_file(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "file.pt")
    content = (tmp_path / "file.pt").read_bytes()
    directory, size = (
        content.rindex(
            b"PK\x01\x02", 0, content.index(b"file/data/0", content.index(b"PK\x01\x02"))
        ),
        24,
    )
    sizes = slice(directory + size, directory + size + 4)
    (tmp_path / "file.pt").write_bytes(
        content[: sizes.start] + (10**9).to_bytes(4, "little") + content[sizes.stop :]
    )
    with pytest.raises(ModelError, match=r"file\.pt: holds no weights that torch saved"):
        read_torch_file(tmp_path / "file.pt")


HARMFUL = {
    "a memo of very many places": b"\x80\x02}r\x00\x00\x00\xff.",
    "a key nested without end": b"\x80\x02}" + b")" + 300_000 * b"\x85" + b"K\x01s.",
    "a key that doubles": b"\x80\x02}"
    + b")"
    + b"".join(b"q%cq%ch%c\x86" % (0, 0, 0) for _ in range(60))
    + b"K\x01s.",
    "a value that doubles": b"\x80\x02}X\x01\x00\x00\x00a)" + 60 * b"q\x00h\x00\x86" + b"s.",
    "a storage that doubles": b"\x80\x02)" + 60 * b"q\x00h\x00\x86" + b"Q.",
    "state on a dictionary": b"\x80\x02ccollections\nOrderedDict\n)RX\x01\x00\x00\x00aK\x01sN}X\x01\x00\x00\x00bK\x01s\x86b.",
    "items made of pairs": b"\x80\x02ccollections\nOrderedDict\n]))\x86a\x85R.",
    "a class as a value": b"\x80\x02}X\x01\x00\x00\x00actorch\nFloatStorage\ns.",
    "nothing on the stack": b"\x80\x02s.",
    "no mark": b"\x80\x02}u.",
    "no end": b"\x80\x02}",
}


def test_a_pickle_that_harms_others_is_refused(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.pt" for name in HARMFUL]
    for path, pickled in zip(files, HARMFUL.values(), strict=True):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
    found = refused_in_turn(files)
    assert list(found) == list(HARMFUL)
    assert max(found.values()) < 1000


def test_many_views_of_one_storage_are_refused(tmp_path: Path) -> None:
    file, whole = tmp_path / "file.pt", torch.randn(5000)
    torch.save({f"tied {at}": whole for at in range(10)}, file)
    assert len(read_torch_file(file)) == 10
    torch.save({f"view {at}": whole for at in range(40)}, file)
    with pytest.raises(
        ModelError,
        match=r"its tensors up to view \d+ have [\d,]+ elements, and "
        r"the whole file [\d,]+ bytes",
    ):
        read_torch_file(file)


def test_a_file_of_before_cannot_ask_for_much_memory_either(tmp_path: Path) -> None:
    file = tmp_path / "old.pt"
    torch.save(
        {"repeated": torch.ones(1).half().expand(10**5, 10**5)},
        file,
        _use_new_zipfile_serialization=False,
    )
    with pytest.raises(
        ModelError,
        match=r"tensor repeated has 10,000,000,000 elements, and its "
        r"storage 1 numbers",
    ):
        read_torch_file(file)
