"""The model card: the README.md of a tuned model's folder, as the hub and sentence-transformers
read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nearfield.catalog.card import cards
from nearfield.report.facts import RunFacts
from nearfield.report.reproduce import command, flat, toml
from nearfield.report.words import LETTERS, advice, guard_line, headline, in_one_line
from nearfield.similarity import EMBEDDINGS
from nearfield.types.comparison import Comparison, Row
from nearfield.types.numbers import UNKNOWN, count, estimated, size

_USE = """## Use

```python
from nearfield import load

encoder = load("path/to/this/folder")
documents = encoder.encode(["..."], "document")
queries = encoder.encode(["..."], "query")
scores = queries.scores(documents)
```

or, with the same vectors, in sentence-transformers:

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
documents = model.encode_document(["..."])
queries = model.encode_query(["..."])
scores = model.similarity(queries, documents)
```"""


def model_card(run: RunFacts) -> str:
    """The card as Markdown with YAML front matter; what the run has not written is left out."""
    about = run.about
    title = f"# {_plain(about.model)} tuned on {_plain(about.collection)}"
    opening = (
        f"A sentence embedding model: {_linked(about.model)}, tuned on the collection "
        f"{_code(about.collection)} with nearfield."
    )
    # the snippet of sentence-transformers is a dense model's
    use = _USE if EMBEDDINGS[about.kind or "dense"].one_vector else _USE.split("\n\nor, with")[0]
    parts = [
        _front_matter(run),
        title,
        opening,
        *_verdict(run),
        *_comparison(run),
        use,
        *_training(run),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(run: RunFacts) -> str:
    known = cards().get(run.about.model)
    facts: dict[str, Any] = {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["sentence-transformers", "sentence-similarity", "feature-extraction", "nearfield"],
    }
    if known:
        facts |= {"base_model": known.hub, "base_model_relation": "finetune"}
        terms = known.contract.terms
        facts |= {"language": list(terms.languages)} if terms.languages else {}
        facts |= {"license": terms.licence.lower()} if terms.licence else {}
    facts |= {"model-index": [_results(run)]} if run.verdict else {}
    # JSON is YAML
    lines = [f"{name}: {json.dumps(value, ensure_ascii=True)}" for name, value in facts.items()]
    return "\n".join(["---", *lines, "---"])


def _results(run: RunFacts) -> dict[str, Any]:
    """The test's main measure in the hub's own form for results."""
    verdict = run.verdict
    assert verdict is not None
    dataset = {
        "name": f"{verdict.collection} ({verdict.split})",
        "type": verdict.collection,
        "split": verdict.split,
    }
    metric = {
        "type": verdict.measure.lower().replace("@", "_at_"),
        "name": verdict.measure,
        "value": round(verdict.tuned.mean, 4),
    }
    task = {"type": "information-retrieval", "name": "Information Retrieval"}
    return {
        "name": f"{run.about.model}-{run.about.collection}",
        "results": [{"task": task, "dataset": dataset, "metrics": [metric]}],
    }


def _verdict(run: RunFacts) -> Iterator[str]:
    if run.verdict is None:
        return
    yield "## Verdict"
    said = _plain(advice(run.verdict, run.comparison))
    yield (f"**{_plain(headline(run.verdict))}** {_plain(in_one_line(run.verdict))}. {said}")
    if run.verdict.forgotten:
        yield "\n".join(f"- Guard {_plain(guard_line(guard))}." for guard in run.verdict.forgotten)


def _comparison(run: RunFacts) -> Iterator[str]:
    if run.comparison is None or not run.comparison.rows:
        return
    found = run.comparison
    yield "## Comparison"
    place = f"{_plain(found.collection)} / {_plain(found.split)}"
    yield f"{count(len(found.query_ids))} queries of {place}, {count(found.documents)} documents."
    yield "\n".join(_table(found))
    yield LETTERS


def _table(comparison: Comparison) -> Iterator[str]:
    yield f"| system | {comparison.measure}, 95 % interval | group | dim | storage | bytes/doc |"
    yield "| --- | --- | --- | ---: | --- | ---: |"
    for row in comparison.rows:
        yield f"| {' | '.join(_cells(row))} |"


def _cells(row: Row) -> tuple[str, ...]:
    dim = UNKNOWN if row.dim is None else str(row.dim)
    return (
        _plain(row.name),
        estimated(row.estimate),
        row.letters,
        dim,
        row.storage or UNKNOWN,
        size(row.bytes_per_document),
    )


def _training(run: RunFacts) -> Iterator[str]:
    yield "## Training"
    yield _fenced("sh", command(run))
    for title, facts in (
        ("Model and data (fingerprints are SHA-256)", run.data),
        ("Environment", run.environment),
    ):
        lines = _lines(facts)
        if lines:
            yield f"{title}:"
            yield lines
    if run.recipe:
        yield "The recipe, as `recipe.toml`:"
        yield _fenced("toml", toml(run.recipe))


def _lines(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {_plain(name)}: {_code(value)}" for name, value in flat(facts).items())


def _linked(model: str) -> str:
    known = cards().get(model)
    if known:
        return f"[{model}](https://huggingface.co/{known.hub})"
    return _code(model)


def _fenced(language: str, text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def _code(text: str) -> str:
    line = " ".join(text.split())
    return f"`{line}`" if "`" not in line else f"`` {line} ``"


def _plain(text: str) -> str:
    """Text from data that Markdown takes as it stands."""
    line = " ".join(text.split())
    return "".join(
        f"\\{character}" if character in "\\`*_<>#|~" else character for character in line
    )
