from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.similarity.dense import Dense
from nearfield.vectors.job import REPLACES, job_folder
from tiny import tiny_model

Run = Callable[..., Any]
TEXTS = ["a cat on a mat", "", "tax law", "naïve café"]
pytestmark = pytest.mark.usefixtures("minilm")


def read_ids(folder: Path) -> list[str]:
    return [
        json.loads(line) for line in (folder / "ids.jsonl").read_text(encoding="utf-8").splitlines()
    ]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


def test_a_text_file_gives_a_vector_a_line(cli: Run, texts: Path, tmp_path: Path) -> None:
    from nearfield.encoders.load import load

    shown = cli("encode", "minilm", texts, "--to", tmp_path / "vectors")
    assert (shown.exit_code, shown.stderr) == (
        0,
        "warning: 1 of 4 texts are empty (the first is 2); their vectors tell nothing\n"
        f'Next: nearfield search {texts} "your question" --vectors {tmp_path / "vectors"}\n',
    )
    assert "4 texts" in shown.stdout
    assert "none truncated" in shown.stdout
    opened = Dense.open(tmp_path / "vectors")
    np.testing.assert_allclose(
        opened.floats(), load("minilm").encode(TEXTS, "document").floats(), atol=1e-6
    )
    assert read_ids(tmp_path / "vectors") == ["1", "2", "3", "4"]


def test_standard_input_dim_and_dtype(cli: Run, tmp_path: Path) -> None:
    options = ("--to", tmp_path / "vectors", "--dim", "128", "--dtype", "int8", "--json")
    shown = cli("encode", "minilm", "-", *options, stdin="\n".join(TEXTS))
    assert shown.exit_code == 0
    assert shown.stderr.startswith(
        "warning: minilm is cut to 128 dimensions and was trained for none"
    )
    told = json.loads(shown.stdout)
    assert (told["dim"], told["dtype"], told["bytes_per_item"], told["usage"]["items"]) == (
        128,
        "int8",
        128,
        4,
    )
    assert Dense.open(tmp_path / "vectors").vectors.shape == (4, 128)


def test_a_collections_documents_or_queries(cli: Run, tmp_path: Path) -> None:
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    (beir / "corpus.jsonl").write_text(
        "".join(
            json.dumps({"_id": f"d{n}", "title": "", "text": f"text {n}"}) + "\n" for n in range(3)
        )
    )
    (beir / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "which text"}) + "\n")
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    assert cli("encode", "minilm", beir, "--to", tmp_path / "documents").exit_code == 0
    assert (
        cli("encode", "minilm", beir, "--role", "query", "--to", tmp_path / "queries").exit_code
        == 0
    )
    assert read_ids(tmp_path / "documents") == ["d0", "d1", "d2"]
    assert read_ids(tmp_path / "queries") == ["q1"]
    assert Dense.open(tmp_path / "queries").scores(Dense.open(tmp_path / "documents")).shape == (
        1,
        3,
    )


def test_truncation_is_counted_and_said(cli: Run, tmp_path: Path) -> None:
    shown = cli(
        "encode", "minilm", "-", "--to", tmp_path / "vectors", stdin="word " * 400 + "\nshort\n"
    )
    assert shown.stderr.startswith(
        "warning: minilm reads 256 tokens: 1 of 2 texts were longer and lost 146 tokens"
    )
    assert "1 truncated, 146 tokens lost" in shown.stdout
    assert Dense.open(tmp_path / "vectors").usage.tokens_lost == 146


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("nowhere", (), "nowhere"),
        ("nowhere.txt", (), "nowhere.txt: does not exist"),
        ("-", ("--dim", "1000"), "1000 dimensions were asked for; these vectors have 384"),
        ("-", ("--dim", "0"), "0 dimensions were asked for"),
        ("-", ("--dtype", "int9"), "Did you mean 'int8'?"),
        ("-", ("--role", "classify"), "minilm has no role 'classify'; it has document, query"),
    ],
)
def test_bad_requests_write_nothing(
    cli: Run, tmp_path: Path, source: str, options: tuple[str, ...], said: str
) -> None:
    shown = cli(
        "encode", "minilm", source, "--to", tmp_path / "vectors", *options, stdin="a text\n"
    )
    assert shown.exit_code == 2
    assert said in shown.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"fine\nbad \xff byte\n", "standard input:2: is not UTF-8"),
        (b"", "standard input: holds no text"),
    ],
)
def test_bad_input_names_the_line(cli: Run, tmp_path: Path, content: bytes, said: str) -> None:
    shown = cli("encode", "minilm", "-", "--to", tmp_path / "vectors", stdin=content)
    assert shown.exit_code == 2
    assert said in shown.stderr


def test_a_folder_that_holds_something_else_is_not_replaced(
    cli: Run, texts: Path, tmp_path: Path
) -> None:
    shown = cli("encode", "minilm", texts, "--to", tmp_path)
    assert shown.exit_code == 2
    assert "exists and is not a vector folder" in shown.stderr
    assert texts.is_file()


def test_a_full_disk_is_an_error_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    limit = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    limit += "; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))"
    start = "from nearfield.cli.app import main; main()"
    to = tmp_path / "out" / "vectors"

    def run(code: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "encode", "minilm", "-", "--to", str(to)]
        return subprocess.run(
            command, input="text\n" * 100, capture_output=True, text=True, check=False
        )

    ran = run(f"{limit}; {start}")
    assert ran.returncode == 2
    assert "vectors: could not be written" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list((tmp_path / "out").iterdir()) == [job_folder(to)]
    again = run(start)
    assert (again.returncode, "goes on after row" in again.stderr) == (0, True), again.stderr
    assert list((tmp_path / "out").iterdir()) == [to]


def test_the_folder_says_what_made_it(cli: Run, texts: Path, tmp_path: Path) -> None:
    from nearfield.catalog.fetch import fetch
    from nearfield.store.fingerprint import model_hash
    from nearfield.store.made_by import MadeBy

    assert (
        cli("encode", "minilm", texts, "--role", "query", "--to", tmp_path / "vectors").exit_code
        == 0
    )
    assert MadeBy.open(tmp_path / "vectors") == MadeBy(
        "minilm", "minilm", model_hash(fetch("minilm")), "query"
    )


def test_another_models_vectors_are_replaced_only_when_asked(
    cli: Run, texts: Path, tmp_path: Path
) -> None:
    other, vectors = str(tiny_model(tmp_path / "other")), tmp_path / "vectors"
    assert cli("encode", "minilm", texts, "--to", vectors).exit_code == 0
    before = (vectors / "vectors.npy").read_bytes()
    for model, role, made in (
        (other, "document", "minilm as document"),
        ("minilm", "query", "minilm as document"),
    ):
        refused = cli("encode", model, texts, "--to", vectors, "--role", role)
        assert (refused.exit_code, f"holds vectors by {made}" in refused.stderr) == (2, True), (
            refused.stderr
        )
        assert (vectors / "vectors.npy").read_bytes() == before
    (job_folder(vectors) / "shards").mkdir(parents=True)
    assert cli("encode", other, texts, "--to", vectors).exit_code == 2, (
        "what a killed run left, which was not to replace anything"
    )
    job_folder(vectors).mkdir(exist_ok=True)
    (job_folder(vectors) / REPLACES).touch()
    assert cli("encode", other, texts, "--to", vectors).exit_code == 0, (
        "a run that was begun with --restart goes on"
    )
    refused = cli("encode", "minilm", texts, "--to", vectors)
    assert refused.exit_code == 2
    (vectors / "encoder.json").write_text("{}")
    assert "--restart to replace" in cli("encode", "minilm", texts, "--to", vectors).stderr
    assert cli("encode", "minilm", texts, "--to", vectors, "--restart").exit_code == 0
    assert cli("encode", other, texts, "--to", vectors, "--restart").exit_code == 0
    assert cli("encode", other, texts, "--to", vectors, "--dtype", "int8").exit_code == 0


def test_other_texts_vectors_are_replaced_only_when_asked_and_a_grown_input_is_accounted_for(
    cli: Run, texts: Path, tmp_path: Path
) -> None:
    other, vectors = tmp_path / "other.txt", tmp_path / "vectors"
    other.write_text("bread is baked\n\nships sail\n")
    assert cli("encode", "minilm", texts, "--to", vectors).exit_code == 0
    before = (vectors / "vectors.npy").read_bytes()
    refused = cli("encode", "minilm", other, "--to", vectors)
    assert refused.exit_code == 2
    assert (
        f"{vectors}: holds vectors of other texts, none of this input's among them"
        in refused.stderr
    )
    assert "give another place with --to, or --restart" in refused.stderr
    piped = cli("encode", "minilm", "-", "--to", vectors, stdin=other.read_bytes())
    assert (piped.exit_code, "holds vectors of other texts" in piped.stderr) == (2, True), (
        piped.stderr
    )
    assert (vectors / "vectors.npy").read_bytes() == before
    assert cli("encode", "minilm", "-", "--to", vectors, stdin=texts.read_bytes()).exit_code == 0
    texts.write_text(
        "\n".join([TEXTS[0], *TEXTS[2:], "one more", "and another"]) + "\n", encoding="utf-8"
    )
    grown = cli("encode", "minilm", texts, "--to", vectors, "--json")
    assert (
        f"{vectors}: of the 4 rows that it held 1 are dropped; of the 5 now 3 are kept and 2 new\n"
    ) in grown.stderr
    lossier = cli("encode", "minilm", texts, "--to", vectors, "--dtype", "binary")
    assert "; they were 384 x float32 and become 384 x binary\n" in lossier.stderr
    assert json.loads(grown.stdout)["cached"] == 3
    (vectors / "vectors.json").write_text("")
    assert cli("encode", "minilm", other, "--to", vectors, "--restart").exit_code == 0
    assert read_ids(vectors) == ["1", "2", "3"]


def test_the_output_is_tried_before_the_work(cli: Run, texts: Path) -> None:
    shown = cli("encode", "no-such-model", texts, "--to", texts / "vectors")
    assert "texts.txt/vectors: could not be written: a part of the path is a file" in shown.stderr


def test_strict_ends_at_a_bad_row_and_restart_begins_anew(cli: Run, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "one"}\n{"text": null}\n{"text": "three"}\n')
    command = ("encode", "minilm", rows, "--field", "text", "--to", tmp_path / "vectors")
    strict = cli(*command, "--strict")
    assert (strict.exit_code, "a strict run ends at the first row" in strict.stderr) == (2, True)
    assert not (tmp_path / "vectors").exists()
    lenient = cli(*command)
    assert (lenient.exit_code, "1 of 3 rows failed" in lenient.stderr) == (2, True)
    assert read_ids(tmp_path / "vectors") == ["1", "3"]
    shards = job_folder(tmp_path / "vectors") / "shards"
    shards.mkdir(parents=True)
    (shards / "00000000.npz").write_bytes(b"damaged")
    again = cli(*command)
    assert "number 1 is damaged" in again.stderr
    assert "1 of 3 rows failed" in again.stderr
    assert "1 of 3 rows failed" in cli(*command, "--restart").stderr
    assert not job_folder(tmp_path / "vectors").exists()
