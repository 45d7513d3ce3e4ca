"""`nearfield judge`: what systems find, judged by people and by models."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, err, out, progress_bar, show_next
from nearfield.cli.evaluate import On
from nearfield.cli.opened import model_names
from nearfield.cli.prepare.synthesise import Price, price_of

if TYPE_CHECKING:
    from nearfield.evaluate.judging.assessor import Assessor
    from nearfield.evaluate.judging.judgements import Judgements

Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL...]",
        help="The systems whose results are judged, as of search, bm25 among them; none to see the "
        "agreement alone, or to save.",
        autocompletion=model_names,
    ),
]
To = Annotated[
    Path,
    typer.Option(
        metavar="FILE", help="Tab-separated judgements; those that it holds are not asked again."
    ),
]
Queries = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Queries, where the data has none or others.")
]
With = Annotated[
    str | None,
    typer.Option(
        "--with",
        metavar="MODEL",
        help="Have a chat model behind an API judge, as openai:MODEL or URL#MODEL; it is a judge "
        "of its own, by this name.",
    ),
]
Save = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Write the data with the judgements of --judge alone as its test split.",
    ),
]


def judge(
    on: On,
    to: To,
    models: Models = None,
    queries: Queries = None,
    judge: Annotated[str, typer.Option(help="The name of who judges.")] = "me",
    with_: With = None,
    price: Price = None,
    k: Annotated[int, typer.Option("-k", help="Results of each system.", min=1)] = 10,
    most: Annotated[int, typer.Option(help="Queries at most, drawn; 0 for all.", min=0)] = 0,
    grades: Annotated[
        int, typer.Option(help="The highest grade; 1 is relevant or not.", min=1, max=9)
    ] = 1,
    form: Annotated[
        bool,
        typer.Option("--form", help="Write the file to be filled in, and open no page."),
    ] = False,
    save: Save = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn and shuffled.")] = 0,
    port: Annotated[int, typer.Option(help="The port of the page; 0 for any.", max=65535)] = 0,
    open_page: Annotated[
        bool, typer.Option("--open", help="Show the page in the browser.")
    ] = False,
    json: Json = False,
) -> None:
    """Judge what several systems find, to make a test set: on a page of this machine, by keys, or
    in a file.

    The first -k results of each system are pooled, once each and shuffled, so that nothing says
    which system found one. Each judgement is kept at once; the same command goes on where it was
    stopped. It ends in how far each two judges agree (Cohen's kappa). Judges are never mixed:
    --save takes those of one.

    Examples:

        nearfield judge minilm bm25 --on my-data --to judgements.tsv
        nearfield judge minilm bm25 --on my-data --to judgements.tsv --judge anna --most 50 --open
        nearfield judge minilm bm25 --on my-data --to form.tsv --form
        nearfield judge minilm bm25 --on my-data --to judgements.tsv --with openai:gpt-5-mini
            --price 0.25,2
        nearfield judge --on my-data --to judgements.tsv --judge anna --save my-judged
    """
    from nearfield.evaluate.judging.assessor import Assessor
    from nearfield.evaluate.judging.judgements import Judgements, write_form
    from nearfield.evaluate.judging.pool import pool

    judgements = Judgements(to)
    if models:
        items = pool(models, on, queries=queries, k=k, most=most, seed=seed, bars=progress_bar)
        if form:
            write_form(to, items, judge)
            err.print(f"written: {to}; fill in the column relevance", highlight=False)
            show_next(f"nearfield judge --on {shlex.quote(on)} --to {shlex.quote(str(to))}")
            return
        assessor = Assessor(items, judgements, with_ or judge, highest=grades)
        if with_ is None:
            _serve(assessor, port, show=open_page)
        else:
            _ask(assessor, with_, price)
    if save is not None:
        _save(judgements, on, queries, judge, save)
    _show(judgements, as_json=json)


def _ask(assessor: Assessor, model: str, price: str | None) -> None:
    from nearfield.encoders.remote.address import Address
    from nearfield.errors import InputError
    from nearfield.evaluate.judging.chat_judge import ChatJudge

    address = Address.parse(model)
    if address is None:
        raise InputError(f"--with has {model!r}; wanted openai:MODEL or URL#MODEL")
    asked = ChatJudge(address, None if price is None else price_of(price))
    with progress_bar(f"{model} judges") as progress:
        wrong = asked.judge(assessor, progress=progress)
    if wrong:
        err.say(f"{wrong} documents got no grade; the same command asks again", style="yellow")


def _serve(assessor: Assessor, port: int, *, show: bool) -> None:
    from nearfield.extras import require

    uvicorn = require("uvicorn", extra="serve")
    require("fastapi", extra="serve")
    from nearfield.serve.judging.app import judging_app

    # other users of this machine reach the port, too, and cannot guess the page's path
    key = secrets.token_urlsafe(16)
    app = judging_app(assessor, key)
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False)
    # before the address is said: 0 is any free port
    listening = config.bind_socket()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/{key}/"
    err.say(f"judge at {url}; Ctrl-C ends")
    if show:
        typer.launch(url)
    uvicorn.Server(config).run([listening])


def _save(judgements: Judgements, on: str, queries: Path | None, judge: str, folder: Path) -> None:
    from nearfield.data.open import open_collection
    from nearfield.evaluate.judging.pool import with_queries
    from nearfield.store.atomic import check_replaceable

    check_replaceable(folder, marker="collection.json", what="a collection")
    judgements.applied(with_queries(open_collection(on), queries), judge).save(folder)
    err.print(f"written: {folder}", highlight=False)


def _show(judgements: Judgements, *, as_json: bool) -> None:
    from nearfield.types.numbers import estimated, plural

    found = judgements.agreement()
    counts = {name: len(own) for name, own in judgements.by_judge.items()}
    if as_json:
        emit_json({"judges": counts, "agreement": found})
        return
    if not counts:
        out.say(f"{judgements.path}: no judgements")
    for name, count in counts.items():
        out.say(f"{name}: {plural(count, 'judgement')}")
    for each in found:
        out.say(
            f"{each.a} and {each.b} agree on {each.equal:.0%} of {plural(each.items, 'document')}: "
            f"Cohen's kappa {estimated(each.kappa)}"
        )
