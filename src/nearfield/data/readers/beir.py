"""BEIR's folder: corpus.jsonl, queries.jsonl, qrels/<split>.tsv."""

from __future__ import annotations

from pathlib import Path

from nearfield.data.columns import id_of, text_of, texts_of
from nearfield.data.readers.jsonl import records
from nearfield.data.readers.trec import beir_judgements, trec_judgements
from nearfield.data.writer import CollectionWriter
from nearfield.store.inside import inside

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels"


def files_of(folder: Path) -> list[Path]:
    """The files of a BEIR folder that are read: corpus, queries, and each split's judgements."""
    return [folder / CORPUS, folder / QUERIES, *judgement_files(folder)]


def judgement_files(folder: Path) -> list[Path]:
    """The files in `qrels`: .tsv as BEIR writes them, .qrels and .txt as TREC does; a file's name
    is its split's.
    """
    found = sorted(
        path
        for path in (folder / QRELS).glob("*")
        if path.suffix.lower() in (".tsv", ".qrels", ".txt")
    )
    return [inside(folder, f"{QRELS}/{path.name}", path=folder / QRELS) for path in found]


def write_collection(folder: Path, writer: CollectionWriter) -> None:
    """Write the folder's documents (_id, title, text, group), queries (_id, text, group) and
    judgements to `writer`.
    """
    path = folder / CORPUS
    for line, row in records(path):
        title, group = ("".join(texts_of(row, field, path, line)) for field in ("title", "group"))
        writer.document(
            id_of(row, "_id", path, line),
            text_of(row, "text", path, line),
            title=title,
            group=group,
        )
    path = folder / QUERIES
    for line, row in records(path):
        group = "".join(texts_of(row, "group", path, line))
        writer.query(id_of(row, "_id", path, line), text_of(row, "text", path, line), group=group)
    write_judgements(folder, writer)


def write_judgements(folder: Path, writer: CollectionWriter) -> None:
    """Write the judgements in the folder's `qrels` to `writer`."""
    for path in judgement_files(folder):
        read = beir_judgements if path.suffix.lower() == ".tsv" else trec_judgements
        for query, document, relevance in read(path):
            writer.judgement(query, document, relevance, path.stem)
