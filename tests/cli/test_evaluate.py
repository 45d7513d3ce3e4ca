"""`nearfield evaluate` on a small collection, by BM25 and by the default model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nearfield.cli.app import build
from tiny import tiny_model

TEXTS = {
    "cat": "A cat sleeps on the mat.",
    "tax": "Tax law for small firms.",
    "sea": "Ships sail over the sea.",
    "bread": "How bread is baked.",
}
QUERIES = {
    "q1": ("sleeping cats", "cat"),
    "q2": ("law on taxes", "tax"),
    "q3": ("sailing a ship", "sea"),
    "q4": ("baking a loaf of bread", "bread"),
}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "animals"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        "".join(
            json.dumps({"_id": key, "title": "", "text": text}) + "\n"
            for key, text in TEXTS.items()
        )
    )
    (folder / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": key, "text": text}) + "\n" for key, (text, _) in QUERIES.items())
    )
    lines = "".join(f"{key}\t{document}\t1\n" for key, (_, document) in QUERIES.items())
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build(), ["evaluate", *map(str, arguments)])


def test_bm25_alone_as_json_and_as_a_table(collection: Path) -> None:
    result = run("bm25", "--on", collection, "--json")
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    assert table["rows"][0]["name"] == "bm25"
    assert table["rows"][0]["means"]["nDCG@10"] == 1
    assert table["measure"] == "nDCG@10"
    shown = run("bm25", "--on", collection).stdout
    assert "4 queries, 4 documents" in shown
    words = table["decision"]["words"]
    begins = [line.split(",")[0] for line in words]
    assert [line.split(",")[0] for line in shown.splitlines()[-3:]] == begins
    assert words[0].startswith("Best: bm25, nDCG@10 1.000 ")
    assert "\nTake under 1 ms per query: " in run("bm25", "--on", collection, "--max-ms", 1).stdout
    asked = ("tfidf", "bm25", "--on", collection, "--margin", 0.5)
    assert "\nNot worse than the best by more than .5: " in run(*asked).stdout
    found = json.loads(run(*asked, "--json").stdout)
    assert found["decision"]["not_worse"]["margin"] == 0.5
    assert found["pairs"][0]["detectable"] is None  # four queries show no difference
    # a pipe gets every column whole, and what a narrow terminal leaves out is not needed to decide
    assert not any(line.endswith("…") for line in shown.splitlines())
    assert {"RR@10", "bytes", "ms", "docs/s"} <= set(shown.splitlines()[1].split())
    details = run("bm25", "--on", collection, "--details").stdout
    assert "group" in details
    assert "group" not in shown


def test_a_run_folder_holds_what_ir_measures_reads(collection: Path, tmp_path: Path) -> None:
    import ir_measures

    folder = tmp_path / "run"
    assert (
        run("bm25", "--on", collection, "--run-folder", folder, "--measure", "mrr@10").exit_code
        == 0
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "bm25.run",
        "comparison.json",
        "qrels.txt",
    ]
    qrels, ranking = (
        ir_measures.read_trec_qrels(str(folder / "qrels.txt")),
        ir_measures.read_trec_run(str(folder / "bm25.run")),
    )
    assert (
        ir_measures.calc_aggregate([ir_measures.RR @ 10], qrels, ranking)[ir_measures.RR @ 10] == 1
    )
    assert json.loads((folder / "comparison.json").read_text())["measure"] == "RR@10"
    # its own folder may be written again
    assert run("bm25", "--on", collection, "--run-folder", folder).exit_code == 0
    assert (
        "is not a folder that evaluate wrote"
        in run("bm25", "--on", collection, "--run-folder", collection).stderr
    )


def test_two_systems_whose_names_are_one_in_a_file_name_have_a_run_each(
    collection: Path, tmp_path: Path
) -> None:
    for name in ("my model", "my-model"):
        tiny_model(tmp_path / name)
    models = (tmp_path / "my model", tmp_path / "my-model")
    folder = tmp_path / "run"
    assert run(*models, "--on", collection, "--run-folder", folder, "--no-bm25").exit_code == 0
    found = {path.name for path in folder.glob("*.run")}
    assert {"my-model.run", "my-model-2.run"} <= found


def test_a_model_its_cuts_and_the_fusion(collection: Path, minilm: Path) -> None:
    result = run(
        "minilm",
        "--on",
        collection,
        "--dims",
        "384,96",
        "--dtype",
        "float32,int8",
        "--fuse",
        "--json",
    )
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    names = {row["name"] for row in table["rows"]}
    cuts = {f"minilm {dim} {dtype}" for dim in (384, 96) for dtype in ("float32", "int8")}
    assert names == {"bm25", "minilm 384 float32 + bm25 (fused)", *cuts}
    assert "warning: minilm is cut to 96 dimensions" in result.stderr
    # of the dim, not of each storage type
    assert sum("which minilm was not trained for" in note for note in table["notes"]) == 1
    alone = json.loads(run(minilm, "--on", collection, "--no-bm25", "--json").stdout)
    assert [row["name"] for row in alone["rows"]] == [minilm.name]


def test_scored_pairs_give_spearman(tmp_path: Path, minilm: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    rows = [
        ("A cat sleeps.", "A kitten naps.", 4.0),
        ("A cat sleeps.", "Tax law.", 0.0),
        ("Bread is baked.", "Someone bakes bread.", 5.0),
        ("The sea", "A ship", 2.0),
    ]
    pairs.write_text(
        "sentence1,sentence2,score\n" + "".join(f"{a},{b},{score}\n" for a, b, score in rows)
    )
    result = run("minilm", "--on", pairs, "--json")
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    assert table["measure"] == "Spearman"
    assert table["rows"][0]["estimate"]["mean"] > 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bm25", "--on", "{data}", "--measure", "bleu"], "there is no measure 'bleu'"),
        (["bm25", "--on", "{data}", "--split", "tset"], "Did you mean 'test'"),
        (["bm25", "--on", "{data}", "--dims", "384;128"], "--dims has '384;128'"),
        (["bm25", "--on", "nowhere"], "nowhere: does not exist"),
        (["no-such-model", "--on", "{data}"], "no-such-model"),
        (["minilm", "--on", "{data}", "--dims", "0"], "0 dimensions were asked for; wanted 1"),
        (["bm25", "--on", "{data}", "--max-ms", "0"], "the limit max_ms is 0; wanted a number"),
        (["bm25", "--on", "{data}", "--margin", "0"], "the margin is 0; wanted a number above 0"),
        (
            ["minilm", "--on", "{data}", "--dtype", "int4"],
            "dense embeddings are not stored as 'int4'",
        ),
        (["minilm", "--on", "{data}", "--similarity", "cosin"], "Did you mean 'cosine'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    collection: Path, arguments: list[str], message: str, request: pytest.FixtureRequest
) -> None:
    if "minilm" in arguments:
        request.getfixturevalue("minilm")
    result = run(*(argument.format(data=collection) for argument in arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("sentence1,sentence2,score\na cat,a dog,1\nthe sun,the rain,2\nfile,read,3\n")
    return path


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--split", "test"], "split"),
        (["--fuse"], "fuse"),
        (["--pool-tokens", "2"], "pool tokens"),
        (["--no-bm25"], "bm25"),
        (["--bm25"], "bm25"),
        (["--keep-own", "--rerank", "minilm"], "rerank, keep own"),
    ],
)
def test_options_without_a_meaning_on_scored_pairs_are_refused(
    pairs: Path, tmp_path: Path, options: list[str], named: str
) -> None:
    result = run(tmp_path / "model", "--on", pairs, *options)
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: {pairs} is data for the task similarity, which has no {named}; leave that out\n"
    )


@pytest.mark.parametrize("option", ["--measure", "--measures"])
def test_a_measure_that_a_task_does_not_have_is_refused(
    pairs: Path, tmp_path: Path, option: str
) -> None:
    result = run(tmp_path / "model", "--on", pairs, option, "nDCG@10")
    assert result.exit_code == 2
    assert "the task similarity has no measure 'nDCG@10'; known: Spearman" in result.stderr


def test_a_task_is_named_and_an_unknown_one_is_refused(pairs: Path, tmp_path: Path) -> None:
    from tiny import tiny_model

    model = tiny_model(tmp_path / "tiny")
    result = run(model, "--on", pairs, "--task", "bitext", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["task"], found["item"], found["measure"]) == ("bitext", "sentence", "F1")
    assert "3 sentences" in run(model, "--on", pairs, "--task", "bitext").stdout
    refused = run(model, "--on", pairs, "--task", "bitexts")
    assert (refused.exit_code, "Did you mean 'bitext'" in refused.stderr) == (2, True)
    refused = run(model, "--on", pairs, "--task", "retrieval")
    assert (refused.exit_code, "is not data for the task retrieval" in refused.stderr) == (2, True)


def test_bm25_scores_no_pairs_and_alone_is_fused_with_nothing(
    pairs: Path, collection: Path
) -> None:
    assert (
        "bm25 makes no vectors, which the task similarity needs"
        in run("bm25", "--on", pairs).stderr
    )
    assert "there is nothing to fuse" in run("bm25", "--on", collection, "--fuse").stderr


def test_data_without_splits_is_asked_whole_or_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "my qa.csv"
    path.write_text("question,answer\nwhat a,this a\nwhat b,this b\n")
    whole = run("bm25", "--on", path)
    assert whole.exit_code == 0
    assert "was never split: all its queries are asked" in whole.stderr
    result = run("bm25", "--on", path, "--split", "test")
    assert result.exit_code == 2
    assert (
        f"Give --split all, or make splits first: nearfield data split '{path}' FOLDER"
        in result.stderr
    )
    assert run("bm25", "--on", path, "--split", "all").exit_code == 0


def test_an_id_that_run_files_cannot_hold_is_said_before_the_work(
    collection: Path, tmp_path: Path
) -> None:
    with open(collection / "corpus.jsonl", "a") as corpus:
        corpus.write(json.dumps({"_id": "two words", "title": "", "text": "never found"}) + "\n")
    result = run("no-such-model", "--on", collection, "--run-folder", tmp_path / "run")
    assert result.exit_code == 2
    assert "document 'two words' is empty or holds a blank" in result.stderr
    assert "partial" not in result.stderr
    assert run("bm25", "--on", collection).exit_code == 0


def test_the_run_folder_is_tried_before_the_work(collection: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = run("no-such-model", "--on", collection, "--run-folder", tmp_path / "file" / "run")
    assert (
        "file/run: could not be written: a part of the path is a file, not a folder. Remove "
        "what is in the way"
    ) in result.stderr


def test_the_measures_asked_for_are_shown(collection: Path) -> None:
    shown = run("bm25", "--on", collection, "--measures", "success@3,p@2").stdout
    assert "Success@3" in shown
    assert "P@2" in shown


def test_a_converted_model_is_calibrated_on_the_texts_that_it_is_evaluated_on(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearfield.runtimes.proof import Proof
    from nearfield.store.home import home
    from tiny import tiny_model

    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    model = tiny_model(tmp_path / "tiny")
    result = run(f"{model}@openvino,int8", "--on", collection, "--no-bm25", "--json")
    assert result.exit_code == 0, result.output
    (made,) = (home() / "conversions").glob("openvino-int8-*/conversion.json")
    assert (
        json.loads(made.read_text())["settings"]["texts"]
        == Proof(tuple(TEXTS.values())).fingerprint()
    )


def test_a_query_does_not_find_itself_unless_asked(tmp_path: Path) -> None:
    texts = {"a": "cats and dogs", "b": "dogs and cats never share", "c": "tax law"}
    (tmp_path / "qrels").mkdir()
    rows = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in texts.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(rows))
    (tmp_path / "queries.jsonl").write_text(rows[0])
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\na\tb\t1\n")
    for options, figure, said in (
        ([], 1.0, "which is left out"),
        (["--keep-own"], 0.631, "may find itself"),
    ):
        result = CliRunner().invoke(
            build(), ["evaluate", "bm25", "--on", str(tmp_path), "--json", *options]
        )
        found = json.loads(result.stdout)
        assert round(found["rows"][0]["means"]["nDCG@10"], 3) == figure
        assert said in found["notes"][0]


def test_errors_of_the_data_are_said_before_it_is_measured(tmp_path: Path) -> None:
    rows = [
        {"query": "nan" if at < 4 else f"ask {at}", "positive": f"text {at}", "split": "test"}
        for at in range(8)
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = run("bm25", "--on", tmp_path / "x.jsonl")
    assert ended.exit_code == 0
    assert "warning: the data may mislead: missing-value-texts" in ended.stderr
    assert "nearfield data check" in ended.stderr
