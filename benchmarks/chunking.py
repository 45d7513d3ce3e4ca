"""Long documents cut off, in chunks and in late chunks: nDCG@10 with intervals, and each against
the model that reads the beginning alone.

    python benchmarks/chunking.py DATA [--model minilm-l3] [--sizes 64 128] [--documents 200]
        [--words 800] [--save] [--json]

DATA is either a folder with questions_df.csv and a text for each corpus in it (Smith and Troynikov
2024, Chroma): documents are parts of `--words` words, relevant where they hold a part of a
question's references; or a file of pairs, of which the `--documents` first with a document of
`--words` words at least are taken. BM25 reads documents whole.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from results import circumstances, parsed, save

import nearfield as nf
from nearfield.data.collection import Collection
from nearfield.data.writer import CollectionWriter
from nearfield.types.numbers import changed, estimated


def main() -> None:
    arguments = _arguments()
    source = Path(arguments.data)
    if source.is_dir():
        data = of_corpora(source, arguments.words)
    else:
        data = of_pairs(source, arguments.documents, arguments.words)
    first = arguments.model
    models = [
        first,
        *(f"{first}@{how}={size}" for size in arguments.sizes for how in ("chunk", "late")),
    ]
    compared = nf.compare(["bm25", *models], data)
    pairs = {(pair.a, pair.b): pair for pair in compared.pairs}
    rows: dict[str, Any] = {}
    name = Path(first).name
    for row in compared.rows:
        rows[row.name] = {"nDCG@10": estimated(row.estimate), "bytes": row.bytes_per_document}
        for (a, b), pair in pairs.items():
            if {a, b} == {row.name, name}:
                sign = "" if a == row.name else f"{name} less "
                rows[row.name]["difference"] = sign + changed(pair.difference)
                rows[row.name]["p_holm"] = round(pair.p_holm, 4)
    result = circumstances() | {
        "queries": len(compared.query_ids),
        "documents": compared.documents,
        "notes": compared.notes,
        "systems": rows,
    }
    if arguments.save:
        print(save(f"chunking-{source.name}", result))
    print(json.dumps(result, indent=1) if arguments.json else _table(result))


def of_corpora(folder: Path, words: int) -> Collection:
    """Parts of `words` words of each corpus, and the questions on them."""
    writer = CollectionWriter(folder.name, None)
    spans = {}
    for file in sorted(folder.glob("*.md")):
        text = file.read_text(encoding="utf-8")
        spans[file.stem] = list(_parts(text, words))
        for number, (start, end) in enumerate(spans[file.stem]):
            writer.document(f"{file.stem}:{number}", text[start:end])
    with (folder / "questions_df.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            query = row["question"]
            writer.query(query, query)
            for number, (start, end) in enumerate(spans[row["corpus_id"]]):
                if any(
                    part["start_index"] < end and part["end_index"] > start
                    for part in json.loads(row["references"])
                ):
                    writer.judgement(query, f"{row['corpus_id']}:{number}", 1, "test")
    return writer.finish()


def of_pairs(file: Path, documents: int, words: int) -> Collection:
    """The first pairs with a document of `words` words at least."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    long = [row for row in rows if len(row["positive"].split()) >= words][:documents]
    return nf.open_collection([{key: row[key] for key in ("query", "positive")} for row in long])


def _parts(text: str, words: int) -> Iterator[tuple[int, int]]:
    starts = [found.start() for found in re.finditer(r"\S+", text)][::words]
    yield from zip(starts, [*starts[1:], len(text)], strict=True)


def _table(result: dict[str, Any]) -> str:
    lines = ["{queries} queries, {documents} documents".format(**result)]
    for name, row in result["systems"].items():
        against = f"  {row['difference']}, p = {row['p_holm']}" if "difference" in row else ""
        lines.append(f"{name:30}  {row['nDCG@10']}  {row['bytes']:>8,.0f} bytes{against}")
    return "\n".join([*lines, *result["notes"]])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--model", default="minilm-l3")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--words", type=int, default=800)
    return parsed(parser)


if __name__ == "__main__":
    main()
