"""Damaged data of every kind: each is opened and read to its end, or it is refused as errors of
ours are.

    python tests/fuzz/data.py --count 5000 --seed 0

prints how each of them ended. `--only NUMBER` tries one alone and shows what came of it.
"""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # tests/ instead of this folder

from fuzz.count import main
from fuzz.mutate import RAWS, damage_file, mutated_bytes, mutated_json
from fuzz.worker import Canary

OUTSIDE = ("../../outside/config.json", "../../../outside/model.safetensors", "/etc/passwd")
DATA, PAIRS, QUERIES, DOCUMENTS, FIELD = "data", "pairs", "queries", "documents", "field"
QRELS, VECTORS, ANALOGIES, WORD_PAIRS = "qrels", "vectors", "analogies", "word pairs"
TABLE = (DATA, DATA, PAIRS, QUERIES, DOCUMENTS, FIELD)


def attempt(asked: tuple[str, str, str]) -> None:
    """The worker's task: read what lies at a path in one of the ways above, with a cache of its
    own.
    """
    path, how, home = asked
    os.environ["NEARFIELD_HOME"] = home
    WAYS[how](path)


def _data(path: str) -> None:
    from nearfield.data.doctor.examine import examine
    from nearfield.data.open import open_data

    data = open_data(path)
    _ = data.fingerprint
    examine(data)
    data.save(Path(os.environ["NEARFIELD_HOME"]) / f"run-{data.name}")
    for split in getattr(data, "splits", ()):
        data.split(split)  # type: ignore[union-attr]


def _pairs(path: str) -> None:
    from nearfield.data.open import open_pairs

    pairs = open_pairs(path)
    assert sum(map(len, pairs.queries)) + sum(map(len, pairs.positives)) >= 0


def _stream(path: str, role: str, field: str | None = None) -> None:
    from nearfield.data.open import open_stream

    stream = open_stream(path, role, field=field)
    stream.total()
    for row in stream.rows():
        assert isinstance(row.text, str)


def _qrels(path: str) -> None:
    from nearfield.data.readers.trec import trec_judgements

    list(trec_judgements(Path(path)))


def _vectors(path: str) -> None:
    from nearfield.data.word_vectors import WordVectors

    vectors = WordVectors.open(path)
    vectors.positions(vectors.first(3).words.to_pylist())
    vectors.folded()


def _analogies(path: str) -> None:
    from nearfield.data.readers.word_tests import read_analogies

    read_analogies(path)


def _word_pairs(path: str) -> None:
    from nearfield.data.readers.word_tests import read_word_pairs

    read_word_pairs(path)


WAYS: dict[str, Callable[[str], None]] = {
    DATA: _data,
    PAIRS: _pairs,
    QRELS: _qrels,
    VECTORS: _vectors,
    ANALOGIES: _analogies,
    WORD_PAIRS: _word_pairs,
    QUERIES: lambda path: _stream(path, "query"),
    DOCUMENTS: lambda path: _stream(path, "document"),
    FIELD: lambda path: _stream(path, "document", "query"),
}


def whole_data(place: Path) -> dict[str, tuple[str, ...]]:
    """Make whole data of every kind in `place`, by its path there, with the ways in which it is
    read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from nearfield.data.export import write_beir
    from nearfield.data.open import open_collection, open_pairs
    from tiny_data import tiny_collection
    from word_files import WORDS, some_vectors, write_every_format

    ways: dict[str, tuple[str, ...]] = {}
    rows = [
        {
            "query": f"question {at}",
            "positive": f"the answer, {at}",
            "negatives": [f"not {at}", 'nor "this"'],
            "relevance": 1 + at % 2,
            "group": f"g{at % 3}",
            "split": ("train", "dev", "test")[at % 3],
        }
        for at in range(12)
    ]
    scored = [
        {"sentence1": row["query"], "sentence2": row["positive"], "score": 0.5 * at}
        for at, row in enumerate(rows)
    ]
    documents = [
        {"id": f"d{at}", "title": f"title {at}", "text": f"text {at} é"} for at in range(12)
    ]
    tables = {"rows": rows, "scored": scored, "documents": documents}
    for name, table in tables.items():
        for ending in (".csv", ".tsv", ".jsonl", ".parquet"):
            _write_table(place / f"{name}{ending}", table)
            ways[f"{name}{ending}"] = TABLE
    _write_table(place / "splits" / "train.jsonl", rows)
    _write_table(place / "splits" / "test.csv", rows)
    write_beir(tiny_collection(queries=12), place / "beir")
    (place / "beir" / "qrels" / "extra.qrels").write_text("q0 0 d0 1\nq1 0 d1 2\n")
    tiny_collection(queries=12).save(place / "collection")
    open_pairs(place / "rows.jsonl").save(place / "pairs")
    open_collection(place / "rows.jsonl").save(place / "imported")
    _write_texts(place / "texts")
    pq.write_table(
        pa.table({"query": ["a"], "positive": pa.array(["b"]).dictionary_encode()}),
        place / "coded.parquet",
    )
    ways |= {
        "coded.parquet": TABLE,
        "splits": (DATA, QUERIES),
        "beir": (DATA, QUERIES, DOCUMENTS),
        "texts": (DATA, QUERIES, DOCUMENTS),
    }
    ways |= {
        "collection": (DATA, QUERIES, DOCUMENTS),
        "imported": (DATA,),
        "pairs": (DATA, PAIRS),
        "lines.txt": (DOCUMENTS,),
    }
    (place / "lines.txt").write_text("one\ntwo é\n\nthree\n")
    (place / "qrels.txt").write_text("".join(f"q{at // 3} 0 d{at} {at % 3}\n" for at in range(9)))
    (place / "analogies.txt").write_text(": capitals\na b c d\ne f g h\n: rest\na b c d\n")
    (place / "similar.tsv").write_text("# words\ncat\tdog\t7.5\nking\tqueen\t8\nman\tcat\t1\n")
    ways |= {
        "qrels.txt": (QRELS,),
        "analogies.txt": (ANALOGIES,),
        "similar.tsv": (WORD_PAIRS,),
    }
    made = write_every_format(place / "words", WORDS, some_vectors())
    ways |= {str(path.relative_to(place)): (VECTORS,) * 2 for path in made.values()}
    return ways


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    import csv
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=5)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text(
            "".join(
                "\t".join(map(str, part)) + "\n"
                for part in [list(rows[0]), *(row.values() for row in rows)]
            )
        )


def _write_texts(folder: Path) -> None:
    (folder / "qrels").mkdir(parents=True)
    (folder / "deep").mkdir()
    (folder / "a.txt").write_text("a text")
    (folder / "deep" / "b.md").write_text("# another")
    (folder / "c.html").write_text(
        "<html><title>t</title><script>x</script><p>seen &amp; read<p>again</html>"
    )
    (folder / "queries.jsonl").write_text(
        '{"_id": "q1", "text": "q", "document": '
        '"a.txt"}\n{"text": "r", "document": ["deep/b.md"]}\n'
    )
    (folder / "qrels" / "test.tsv").write_text("q1\tc.html\t1\n")


@cache
def _whole() -> tuple[tempfile.TemporaryDirectory[str], dict[str, tuple[str, ...]]]:
    place = tempfile.TemporaryDirectory()
    os.environ["NEARFIELD_HOME"] = str(Path(place.name) / "home")
    return place, whole_data(Path(place.name))


def make(number: int, random: Random, place: Path) -> tuple[Any, str]:
    """Damaged data in `place`."""
    whole, ways = _whole()
    name = sorted(ways)[number % len(ways)]
    source, target = Path(whole.name) / name, place / "data" / Path(name).name
    target.parent.mkdir()
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    files = (
        sorted(path for path in target.rglob("*") if path.is_file())
        if target.is_dir()
        else [target]
    )
    chosen = random.sample(files, min(len(files), random.choice([1, 1, 1, 2])))
    what = "; ".join(_damaged(file, random, place) for file in chosen)
    return (str(target), random.choice(ways[name]), str(place / "home")), f"{name}: {what}"


def _damaged(file: Path, random: Random, place: Path) -> str:
    mutator = MUTATORS.get(file.suffix)
    if mutator is None or random.random() < 0.25:
        return damage_file(file, random, elsewhere=place, names=OUTSIDE)
    data, what = mutator(file.read_bytes(), random)
    file.write_bytes(data)
    return f"{file.name}: {what}"


def _mutated_lines(data: bytes, random: Random) -> tuple[bytes, str]:
    """Damage to a table of text: to a line, a cell or the whole."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    line = lines[at]
    kind = random.randrange(9)
    if kind == 0 and line.startswith(b"{"):
        lines[at], what = mutated_json(line, random, names=OUTSIDE)
    elif kind == 1:
        cell = random.choice(CELLS)
        cut = random.choice([b",", b"\t", b" "])
        parts = line.split(cut)
        parts[random.randrange(len(parts))] = cell
        lines[at], what = cut.join(parts), f"a cell is {cell[:30]!r}"
    elif kind == 2:
        lines[at], what = (
            line + random.choice([b",", b"\t", b",,,", b'"', b"\r", b"\0", b" "]),
            "something after a line",
        )
    elif kind == 3:
        lines, what = [lines[random.randrange(len(lines))] for _ in lines], "lines drawn again"
    elif kind == 4:
        lines, what = lines[at:], "cut at its start"
    elif kind == 5:
        lines[0], what = (
            lines[0] + random.choice([b",query", b"\tquery", b",,", b"\tscore"]),
            "columns more",
        )
    elif kind == 6:
        return random.choice(WHOLE)(data), "in another form"
    elif kind == 7:
        lines[at], what = line.replace(b'"', b""), "a line without quotes"
    else:
        lines[at], what = mutated_bytes(line, random)
    return b"\n".join(lines), f"line {at + 1}: {what}"


CELLS: tuple[bytes, ...] = (
    b"",
    b"nan",
    b"NULL",
    b"1,5",
    b"['a', 'b']",
    b"[a, b]",
    b"\xff\xfe",
    b"\0",
    b"9" * 5000,
    b"1e999",
    b"-0",
    b"x" * (9 << 20),
    b'"',
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"[" * 100_000,
    b"../../outside/config.json",
    b"True",
    b"1_0",
    b"0x10",
    "\u202e".encode(),
)
WHOLE: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: data.decode("utf-8", "replace").encode("utf-16"),
    lambda data: data.decode("utf-8", "replace").encode("utf-16-le"),
    lambda data: data.decode("utf-8", "replace").encode("latin-1", "replace"),
    lambda data: b"\xef\xbb\xbf" + data,
    gzip.compress,
    lambda data: data.replace(b"\n", b"\r"),
    lambda data: data.replace(b",", b";"),
    lambda data: data * 3,
    lambda data: RAWS[1].encode() + b"\n" + data,
    lambda data: b"PK\x03\x04" + data,
)


def _mutated_footer(data: bytes, random: Random) -> tuple[bytes, str]:
    """Damage to where Parquet and Arrow files say what they hold: their ends, and the lengths
    before each part.
    """
    changed = bytearray(data)
    kind = random.randrange(4)
    if kind == 0 and len(data) > 16:
        claimed = random.choice([0, 1, len(data), 2**31 - 1, 2**32 - 1])
        changed[-8:-4] = struct.pack("<I", claimed)
        return bytes(changed), f"the footer claims {claimed} bytes"
    if kind == 1:
        place = data.find(random.choice([b"question", b"answer", b"text"]))
        changed[place : place + 1] = b"\xff"
        return bytes(changed), "a text is no UTF-8"
    if kind == 2 and len(data) > 64:
        for _ in range(random.choice([1, 2, 4])):
            place = len(data) - 1 - random.randrange(min(len(data), 1500))
            changed[place] = random.choice(
                [0, 0x7F, 0x80, 0xFF, changed[place] ^ (1 << random.randrange(8))]
            )
        return bytes(changed), "bytes of the footer"
    return mutated_bytes(data, random)


def _mutated_gzip(data: bytes, random: Random) -> tuple[bytes, str]:
    if random.random() < 0.5:
        return mutated_bytes(data, random)
    inner, what = _mutated_vectors(gzip.decompress(data), random)
    return gzip.compress(inner), f"within: {what}"


def _mutated_vectors(data: bytes, random: Random) -> tuple[bytes, str]:
    """Another first line: how many words and dimensions there are."""
    kind = random.randrange(3)
    if kind == 0:
        return mutated_bytes(data, random)
    if kind == 1:
        return _mutated_lines(data, random)
    counts = [random.choice([0, 1, 3, 4, 12, 10**6, 10**12, 2**63, 10**30]) for _ in range(2)]
    line = b"%d %d\n" % tuple(counts)
    return (
        line + data.partition(b"\n")[2] if random.random() < 0.6 else line + data
    ), f"the first line says {counts}"


Mutator = Callable[[bytes, Random], tuple[bytes, str]]
MUTATORS: dict[str, Mutator] = {
    **dict.fromkeys((".csv", ".tsv", ".jsonl", ".qrels", ".html", ".md"), _mutated_lines),
    **dict.fromkeys((".parquet", ".arrow"), _mutated_footer),
    **dict.fromkeys((".txt", ".vec", ".bin"), _mutated_vectors),
    ".gz": _mutated_gzip,
}


if __name__ == "__main__":
    raise SystemExit(main("fuzz.data:attempt", make, canary=Canary))
