"""Damage to files, drawn by a seeded generator: to bytes, to JSON, to safetensors, and to a file's
place in its folder.

Each function takes what is whole and a `random.Random`, and gives what is damaged with words for
what was done, so that a finding can be told from its seed. `damage_folder` draws among all of them
for any folder.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

DIGITS, DEPTH, RAW = 5_000, 100_000, "@raw-{}@"
RAWS = (
    "9" * DIGITS,
    "[" * DEPTH + "]" * DEPTH,
    '{"a":' * DEPTH + "1" + "}" * DEPTH,
    "NaN",
    "-Infinity",
    "1e999",
)
"""JSON, or nearly, that `json.dumps` does not write; `RAW` stands for one until the rest is
text.
"""
WRONG: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    3,
    2**31 - 1,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**20,
    0.5,
    -0.5,
    1e308,
    "",
    "x",
    "1",
    "\0",
    "\ud800",
    "é" * 3000,
    [],
    [[]],
    [1, 2],
    ["a", None],
    {},
    {"a": 1},
    [{}],
    *(RAW.format(at) for at in range(len(RAWS))),
)


def mutated_bytes(data: bytes, random: Random) -> tuple[bytes, str]:
    """`data` with bits flipped, a part cut out, doubled or overwritten, or nothing left."""
    at, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    kind = random.randrange(7)
    if kind == 0 or not data:
        return b"", "emptied"
    if kind == 1:
        return data[:at], f"cut at byte {at}"
    if kind == 2:
        return data[:at] + data[end:], f"without bytes {at} to {end}"
    if kind == 3:
        return data[:end] + data[at:], f"bytes {at} to {end} twice"
    if kind == 4:
        filler = random.choice([b"\0", b"\xff", b"\x80"])
        return data[:at] + filler * (end - at) + data[end:], f"{filler!r} from byte {at} to {end}"
    changed = bytearray(data)
    flips = random.choice([1, 1, 8, 64])
    for _ in range(flips):
        place = random.randrange(len(changed) if kind == 5 else min(len(changed), 256))
        changed[place] ^= 1 << random.randrange(8)
    return bytes(changed), f"{flips} bits flipped"


def mutated_json(data: bytes, random: Random, *, names: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """The JSON `data` with one place of it changed; `names` are further values to try, of files
    that lead outside, say.
    """
    try:
        whole = json.loads(data)
    except ValueError:
        return mutated_bytes(data, random)
    if random.random() < 0.15:
        return _mutated_text(data, random)
    holder = [whole]
    container, key = _place(holder, random)
    what = _change(container, key, random, names)
    text = json.dumps(holder[0])
    for at, raw in enumerate(RAWS):
        text = text.replace(json.dumps(RAW.format(at)), raw)
    return text.encode(), what


def _place(holder: list[Any], random: Random) -> tuple[Any, Any]:
    """A container in `holder` and a key of it: every depth has its chance, however many leaves lie
    below.
    """
    container, key = holder, 0
    while isinstance(container[key], dict | list) and container[key] and random.random() < 0.8:
        container = container[key]
        key = (
            random.choice(list(container))
            if isinstance(container, dict)
            else random.randrange(len(container))
        )
    return container, key


def _change(container: Any, key: Any, random: Random, names: tuple[str, ...]) -> str:
    value = container[key]
    kind = random.randrange(6)
    if kind == 0 and not isinstance(key, int):
        del container[key]
        return f"without {key!r}"
    if kind == 1 and not isinstance(key, int):
        container[random.choice(["", "x", key.upper(), key + "\0"])] = container.pop(key)
        return f"{key!r} under another name"
    if kind == 2 and isinstance(value, int | float) and not isinstance(value, bool):
        container[key] = random.choice(
            [value + 1, value - 1, -value, value * 2, value * 1000, value / 3]
        )
    elif kind == 2 and isinstance(value, list):
        container[key] = random.choice(
            [value[::-1], value * 2, value[:-1], [value], dict(enumerate(value))]
        )
    elif kind == 2 and isinstance(value, str):
        container[key] = random.choice(
            [value.upper(), value[:-1], value + "\n", [value], {"x": value}]
        )
    elif kind == 3 and names:
        container[key] = random.choice(names)
    else:
        container[key] = random.choice(WRONG)
    return f"{key!r} is {str(container[key])[:40]!r}, was {str(value)[:40]!r}"


def _mutated_text(data: bytes, random: Random) -> tuple[bytes, str]:
    if data.startswith(b"{") and random.random() < 0.4:
        first = data[1 : data.find(b":") + 1]
        return b"{" + first + b" 7," + data[1:] if first else data, "its first key twice"
    added: list[tuple[bytes, str]] = [
        (b"\xef\xbb\xbf" + data, "with a byte order mark"),
        (data + b"}", "with a bracket too many"),
        (data.replace(b'"', b"'"), "in single quotes"),
        (data.decode().encode("utf-16"), "in UTF-16"),
        (b"\xff" + data, "with a byte that is not UTF-8"),
        (RAWS[1].encode(), "nested deeply"),
        (RAWS[0].encode(), "a number of many digits"),
        (b" " * 1_000_000, "blanks"),
    ]
    return random.choice(added)


def mutated_safetensors(data: bytes, random: Random) -> tuple[bytes, str]:
    """The safetensors file `data` with a header that lies, or with damaged bytes."""
    kind = random.randrange(4)
    if kind == 0 or len(data) < 8:
        return mutated_bytes(data, random)
    (length,) = struct.unpack("<Q", data[:8])
    if kind == 1:
        claimed = random.choice(
            [0, 1, length - 1, length + 1, len(data), 2**31, 2**40, 2**63, 2**64 - 1]
        )
        return struct.pack("<Q", claimed % 2**64) + data[8:], f"its header claims {claimed} bytes"
    body, header = data[8 + length :], data[8 : 8 + length]
    header, what = _lying_header(header, random) if kind == 2 else mutated_json(header, random)
    body = body[: len(body) // 2] if random.random() < 0.1 else body
    return struct.pack("<Q", len(header)) + header + body, what


def _lying_header(header: bytes, random: Random) -> tuple[bytes, str]:
    facts = json.loads(header)
    name = random.choice([name for name in facts if name != "__metadata__"])
    entry = facts[name]
    start, end = entry["data_offsets"]
    kind = random.randrange(6)
    if kind == 0:
        entry["data_offsets"] = random.choice(
            [[end, start], [start, 2**62], [-8, end - start - 8], [start + 1, end + 1], [0, 0]]
        )
    elif kind == 1:
        entry["shape"] = random.choice(
            [entry["shape"][::-1], [*entry["shape"], 1], [2**32, 2**32], [-1], [0], [end - start]]
        )
    elif kind == 2:
        entry["dtype"] = random.choice(
            ["F16", "F64", "I64", "BOOL", "F8_E4M3", "BF16", "U8", "XX", "C64"]
        )
    elif kind == 3:
        other = random.choice([name for name in facts if name != "__metadata__"])
        facts[name], facts[other] = facts[other], facts[name]
        return json.dumps(facts).encode(), f"{name} and {other} exchanged"
    elif kind == 4:
        shape = random.choice([[end - start], [1, end - start], [end - start, 1]])
        facts[name] = entry | {"dtype": "U8", "shape": shape}
    else:
        del facts[name]
    return json.dumps(facts).encode(), f"{name} is {facts.get(name)}"


def misplaced(file: Path, random: Random, *, elsewhere: Path) -> str:
    """Put something else in the place of `file`: nothing, a folder, a FIFO, a device, a link.
    `elsewhere` is a folder to link into.
    """
    whole = file.read_bytes()
    file.unlink()
    kind = random.choice(
        ["gone", "renamed", "folder", "fifo", "device", "dangling", "loop", "linked", "huge"]
    )
    if kind == "renamed":
        file.with_name(file.name + ".bak").write_bytes(whole)
    elif kind == "folder":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to(random.choice(["/dev/zero", "/dev/null", "/dev/tty"]))
    elif kind == "dangling":
        file.symlink_to("nothing-there")
    elif kind == "loop":
        file.symlink_to(file.name)
    elif kind == "linked":
        place = elsewhere / f"{random.getrandbits(64):x}-{file.name}"
        place.write_bytes(whole)
        file.symlink_to(place)
    elif kind == "huge":
        with open(file, "wb") as sparse:
            sparse.write(whole)
            sparse.truncate(1 << 42)
    return kind


MUTATORS: dict[str, Callable[[bytes, Random], tuple[bytes, str]]] = {
    ".json": mutated_json,
    ".safetensors": mutated_safetensors,
}
"""By a file's ending; all others get `mutated_bytes`."""


def damage_file(file: Path, random: Random, *, elsewhere: Path, names: tuple[str, ...] = ()) -> str:
    """Damage one file in place; see `damage_folder`."""
    if random.random() < 0.12:
        return f"{file.name}: {misplaced(file, random, elsewhere=elsewhere)}"
    data = file.read_bytes()
    mutator = MUTATORS.get(file.suffix, mutated_bytes)
    if mutator is mutated_json and random.random() < 0.9:
        data, what = mutated_json(data, random, names=names)
    elif random.random() < 0.9:
        data, what = mutator(data, random)
    else:
        data, what = mutated_bytes(data, random)
    file.write_bytes(data)
    return f"{file.name}: {what}"


def damage_folder(
    folder: Path, random: Random, *, elsewhere: Path, outside: Path, names: tuple[str, ...] = ()
) -> str:
    """Damage one to three files of `folder`, or replace a folder in it by a link to `outside`, and
    say what was done.

    `elsewhere` is a folder where what linked files point to may lie, which is allowed; `outside`
    one that must be neither read nor written. `names` are values for fields of JSON that lead
    there.
    """
    inner = sorted(path for path in folder.rglob("*") if path.is_dir())
    if inner and random.random() < 0.03:
        linked = random.choice(inner)
        shutil.rmtree(linked)
        linked.symlink_to(outside)
        return f"{linked.name}: a link to a folder outside"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    some = random.sample(files, min(len(files), random.choice([1, 1, 1, 1, 2, 3])))
    return "; ".join(damage_file(file, random, elsewhere=elsewhere, names=names) for file in some)
