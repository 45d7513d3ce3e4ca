"""README and docs: every command parses, every Python block runs, every link has a target."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from PIL import Image

from nearfield.cli.app import build
from three_head_models import tiny_three_heads
from tiny import tiny_model
from tiny_cross import tiny_cross
from tiny_data import tiny_collection
from towers import tiny_towers

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# walked by tests/test_extending.py
EXTENDING = "extending.md"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blocks(page: Path, language: str) -> Iterator[str]:
    """The page's fenced blocks in `language`."""
    for found in FENCE.finditer(page.read_text(encoding="utf-8")):
        if found.group(1) == language:
            yield found.group(2)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each `nearfield ...` line of a shell block: where it stands, and its arguments."""
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("nearfield "):
                    yield f"{page.name}: {line}", shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("page", [ROOT / "CHANGELOG.md", *PAGES], ids=lambda page: page.name)
def test_a_page_holds_no_marks_of_a_merge(page: Path) -> None:
    assert not re.search(r"^(<<<<<<<|>>>>>>>) ", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def application() -> click.Command:
    return typer.main.get_command(build())


def parse(command: click.Command, arguments: list[str], name: str) -> None:
    """Parse the arguments as the command line would, and run nothing."""
    context = command.make_context(name, arguments)
    if isinstance(command, click.Group):
        words = [*context.protected_args, *context.args]
        assert words, f"{name} is a group; a command of it is missing"
        found, inner, rest = command.resolve_command(context, words)
        assert inner is not None
        parse(inner, rest, f"{name} {found}")


def test_there_are_commands_to_parse() -> None:
    assert len(list(commands())) > 40


@pytest.mark.parametrize(("place", "arguments"), list(commands()))
def test_a_command_parses(place: str, arguments: list[str], application: click.Command) -> None:
    if arguments[:1] == ["models"] and arguments[1:2] and arguments[1].startswith("-"):
        return  # options of the group itself, which lists the catalog
    parse(application, arguments, "nearfield")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the documents name: models, my-data."""
    folder = tmp_path_factory.mktemp("documents")
    tiny_collection().save(folder / "my-data")
    tiny_model(folder / "a-minilm")
    tiny_model(folder / "a-potion-base-8m", seed=2)
    tiny_cross(folder / "cross-encoder")
    tiny_three_heads(folder / "a-bge-m3")
    tiny_towers(folder / "clip-vit-base-patch32", "clip")
    for name in ("cat.jpg", "house.png"):
        Image.new("RGB", (40, 30), "red").save(folder / name)
    return folder


# the models are not those that the page means, so that what it says of their dims does not hold
@pytest.mark.filterwarnings("ignore::nearfield.errors.NearfieldWarning")
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != EXTENDING and list(blocks(page, "python"))],
    ids=lambda page: page.name,
)
def test_python_blocks_run(
    page: Path, stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page's blocks run one after the other; folders stand in for the catalog's models."""
    shutil.copytree(stage, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        for model in ("minilm", "bge-m3", "potion-base-8m"):
            block = block.replace(f'"{model}"', f'"./a-{model}"')
        block = block.replace("(384, 128)", "(32, 16)")
        exec(compile(block, page.name, "exec"), names)
